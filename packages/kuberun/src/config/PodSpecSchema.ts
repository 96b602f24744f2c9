/**
 * The `podSpec` of a configuration: a Kubernetes `PodSpec`, with every fault of its fields and types told at once.
 */
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import type { Container, PodSpec } from "../ports/Pod.ts"
import { podSpecFaults } from "./PodSpecCheck.ts"
import { type FieldType, podSpecTypes } from "./PodSpecTypes.ts"

/** A `PodSpec` with at least one container, each with a name. */
export interface CheckedPodSpec extends PodSpec {
  readonly containers: readonly [Container, ...Array<Container>]
}

const isPodSpec = (input: unknown): input is CheckedPodSpec => podSpecFaults(input).length === 0

/**
 * What a source of texts has for it (variables of the environment, say): the whole as JSON in one text, or a tree of
 * texts, of which those are numbers and truth values that are so by the API's types.
 */
type TextTree = string | ReadonlyArray<TextTree> | { readonly [key: string]: TextTree }

const TextTree: Schema.Codec<TextTree> = Schema.Union([
  Schema.String,
  Schema.Array(Schema.suspend(() => TextTree)),
  Schema.Record(Schema.String, Schema.suspend(() => TextTree))
])

const ofText = (type: FieldType, text: string): unknown => {
  if (type._tag !== "Scalar") return text
  switch (type.name) {
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text
    case "int32":
    case "int64":
    case "number":
    case "intOrString":
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
    default:
      return text
  }
}

const anything: FieldType = { _tag: "Scalar", name: "any" }

const ofTree = (type: FieldType, tree: TextTree): unknown => {
  if (typeof tree === "string") return ofText(type, tree)
  if (Array.isArray(tree)) return tree.map((item: TextTree) => ofTree(type._tag === "List" ? type.of : anything, item))
  const fields = type._tag === "Object" ? podSpecTypes.get(type.name) : undefined
  return Object.fromEntries(
    Object.entries(tree).map(([key, item]: [string, TextTree]) => [
      key,
      ofTree(type._tag === "Map" ? type.of : fields?.get(key)?.type ?? anything, item)
    ])
  )
}

const root: FieldType = { _tag: "Object", name: "PodSpec" }

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // No JSON is no object either, which is told where the value is checked.
    return text
  }
}

export const PodSpecSchema = Schema.declareConstructor<CheckedPodSpec>()(
  [],
  () => (input, ast, options) => {
    if (isPodSpec(input)) return Effect.succeed(input)
    const [first, ...others] = podSpecFaults(input).map(({ message, path }) =>
      new SchemaIssue.Pointer(path, new SchemaIssue.InvalidValue({ message }))
    )
    return Effect.fail(
      first === undefined
        ? new SchemaIssue.InvalidType(ast, input, options)
        : new SchemaIssue.Composite(ast, [first, ...others])
    )
  },
  {
    expected: "a PodSpec of Kubernetes",
    toCodecStringTree: () =>
      Schema.link<unknown>()(
        TextTree,
        SchemaTransformation.transform<unknown, TextTree>({
          decode: (tree) => typeof tree === "string" ? parseJson(tree) : ofTree(root, tree),
          encode: (spec) => JSON.stringify(spec)
        })
      )
  }
)
