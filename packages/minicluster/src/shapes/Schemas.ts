/**
 * The shapes of Kubernetes objects: which fields a model has, and of which type.
 *
 * They are read, when they are first needed, from the models of client-node, which are made from the API's OpenAPI. One
 * model is one small file of its own there; the package's entrance is never loaded, for it takes half a second.
 */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { isRecord } from "./Json.ts"

/** A scalar goes by the name of its type in Go, which is how the server's refusals call it. */
export type Shape =
  | { readonly _tag: "Scalar"; readonly go: Scalar }
  | { readonly _tag: "List"; readonly of: Shape }
  | { readonly _tag: "Dictionary"; readonly of: Shape }
  | { readonly _tag: "Model"; readonly model: string }

type Scalar = keyof typeof scalars

/** Answers nothing for a value that is right, the sentence for one that is wrong, or `false` for the usual sentence. */
type Judge = (value: unknown) => string | false | undefined

const text = (value: unknown) => typeof value === "string" ? undefined : false
const integer = (limit: number): Judge => (value) =>
  Number.isInteger(value) && Math.abs(Number(value)) <= limit ? undefined : false
const instead = (value: unknown, go: string) => `json: cannot unmarshal ${jsonType(value)} into Go value of type ${go}`

const time: Judge = (value) => {
  if (typeof value !== "string") return instead(value, "string")
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(value)) return undefined
  return `parsing time "${value}" as "2006-01-02T15:04:05Z07:00": cannot parse "${value}" as "2006"`
}

const base64: Judge = (value) => {
  if (typeof value !== "string") return false
  const body = value.replaceAll(/[\r\n]/g, "")
  const good = /^(?:[\w+/]{4})*(?:[\w+/]{2}==|[\w+/]{3}=)?/.exec(body.replaceAll("_", " "))?.[0].length ?? 0
  return good === body.length ? undefined : `illegal base64 data at input byte ${good}`
}

const quantity: Judge = (value) =>
  /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$/.test(
      typeof value === "number" || typeof value === "string" ? String(value) : ""
    )
    ? undefined
    : "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

const scalars = {
  "string": text,
  "bool": (value: unknown) => typeof value === "boolean" ? undefined : false,
  "int32": integer(2 ** 31),
  "int64": integer(2 ** 63),
  "float64": (value: unknown) => typeof value === "number" ? undefined : false,
  "[]uint8": base64,
  "v1.Time": time,
  "v1.MicroTime": time,
  "resource.Quantity": quantity,
  "intstr.IntOrString": (value: unknown) =>
    typeof value === "string" || Number.isInteger(value) ? undefined : instead(value, "int32"),
  "interface {}": () => undefined
} satisfies Record<string, Judge>

/** The fields that hold a quantity, or a map of them; the models call them text. */
const quantities = new Set(
  ["allocatable", "allocatedResources", "capacity", "divisor", "limits", "overhead", "requests", "sizeLimit"]
)

/** Fields whose zero Go leaves out, so that it means nothing: typed clients send them all in protobuf. */
const zeroIsNothing = new Set(
  ["failureThreshold", "hostIPC", "hostNetwork", "hostPID", "hostPort", "initialDelaySeconds", "periodSeconds"]
    .concat("readOnly", "stdin", "stdinOnce", "successThreshold", "timeoutSeconds", "tty")
)

/** The types of the models by their names there. */
const scalarOf = (field: string, type: string, format: string): Scalar | undefined => {
  switch (type) {
    case "string":
      return quantities.has(field) ? "resource.Quantity" : format === "byte" ? "[]uint8" : "string"
    case "number":
      return format === "int32" || format === "int64" ? format : "float64"
    case "boolean":
      return "bool"
    case "Date":
      return "v1.Time"
    case "V1MicroTime":
      return "v1.MicroTime"
    case "IntOrString":
      return "intstr.IntOrString"
    case "any":
      return "interface {}"
    default:
      return undefined
  }
}

const shapeOf = (field: string, type: string, format: string): Shape => {
  const [, list, inDictionary] = /^(?:Array<(.*)>|\{ \[key: string\]: (.*); \})$/.exec(type) ?? []
  if (list !== undefined) return { _tag: "List", of: shapeOf(field, list, format) }
  if (inDictionary !== undefined) return { _tag: "Dictionary", of: shapeOf(field, inDictionary, format) }
  const go = scalarOf(field, type, format)
  return go === undefined ? { _tag: "Model", model: type } : { _tag: "Scalar", go }
}

interface Model {
  readonly attributeTypeMap: ReadonlyArray<
    { readonly baseName: string; readonly type: string; readonly format: string }
  >
}

const require = createRequire(import.meta.url)
/** Where the models lie, and beside each its declarations with the documentation. */
export const modelFile = (model: string, extension: ".js" | ".d.ts"): string =>
  join(dirname(require.resolve("@kubernetes/client-node")), "gen", "models", `${model}${extension}`)

const known = new Map<string, ReadonlyMap<string, Shape>>()

/** The fields of a model by their JSON names. */
export const fieldsOf = (model: string): ReadonlyMap<string, Shape> => {
  const before = known.get(model)
  if (before !== undefined) return before
  const { [model]: loaded } = require(modelFile(model, ".js")) as Record<string, Model>
  const fields = new Map(
    (loaded?.attributeTypeMap ?? []).map(({ baseName, format, type }) => [baseName, shapeOf(baseName, type, format)])
  )
  known.set(model, fields)
  return fields
}

/** The kinds whose name is that of other groups' kinds too. */
const models: Readonly<Record<string, string>> = { Event: "CoreV1Event", TokenRequest: "AuthenticationV1TokenRequest" }
export const modelOf = (kind: string): string => models[kind] ?? `V1${kind}`
/** A model's own name: "Container", "Subject". */
export const typeName = (model: string): string => model.replace(/^(?:[A-Z][a-z]+)?V1/, "")

const goType = (shape: Shape): string => {
  switch (shape._tag) {
    case "Scalar":
      return shape.go
    case "List":
      return `[]${goType(shape.of)}`
    case "Dictionary":
      return shape.of._tag === "Scalar" && shape.of.go === "resource.Quantity"
        ? "v1.ResourceList"
        : `map[string]${goType(shape.of)}`
    default:
      return `v1.${typeName(shape.model)}`
  }
}

/** A value's type as Go's `encoding/json` names it. */
export const jsonType = (value: unknown): string =>
  Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value

/** Where a value lies: for sentences about unknown fields, and (without indices, and after its struct) about wrong types. */
interface At {
  readonly path: string
  readonly names: string
  readonly struct: string
}

const below = (path: string, name: string): string => path === "" ? name : `${path}.${name}`

/** What the server makes of an object that was sent. */
export interface Conformed {
  /** The object without what no field takes, and without nulls and zeros that mean that there is nothing. */
  readonly object: Readonly<Record<string, unknown>>
  /** `unknown field "spec.contaners"`, in the order in which they stand. */
  readonly unknown: ReadonlyArray<string>
  /** The first value of a wrong type, in the words of Go's decoder. */
  readonly fault: string | undefined
}

export const conform = (model: string, object: Readonly<Record<string, unknown>>): Conformed => {
  const unknown: Array<string> = []
  let fault: string | undefined
  const wrong = (value: unknown, shape: Shape, { names, struct }: At, sentence: string | false = false): undefined => {
    const kept = shape._tag === "Scalar" && shape.go.startsWith("int") && typeof value === "number" ? ` ${value}` : ""
    const usual = `json: cannot unmarshal ${jsonType(value)}${kept} into Go struct field ${struct}.${names} of type ${
      goType(shape)
    }`
    fault ??= sentence === false ? usual : sentence
    return undefined
  }
  const record = (
    of: string,
    value: Readonly<Record<string, unknown>>,
    { names, path }: At
  ): Record<string, unknown> => {
    const fields = fieldsOf(of)
    const struct = typeName(of)
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, inside]): ReadonlyArray<readonly [string, unknown]> => {
        const shape = fields.get(name)
        const at = { path: below(path, name), names: below(names, name), struct }
        if (shape === undefined) {
          unknown.push(`unknown field "${at.path}"`)
          return []
        }
        if (zeroIsNothing.has(name) && (inside === 0 || inside === false)) return []
        if (inside !== null) return [[name, walk(shape, inside, at)]]
        // Go has no absent time but for its pointers, which are those of the metadata: it writes null.
        return shape._tag === "Scalar" && shape.go === "v1.Time" && struct !== "ObjectMeta" ? [[name, null]] : []
      })
    )
  }
  const walk = (shape: Shape, value: unknown, at: At): unknown => {
    // A null among others is Go's zero value.
    if (value === null) return shape._tag === "Scalar" ? "" : shape._tag === "List" ? [] : {}
    switch (shape._tag) {
      case "Scalar": {
        const judged = scalars[shape.go](value)
        if (judged !== undefined) return wrong(value, shape, at, judged)
        return shape.go === "resource.Quantity" ? `${value as string | number}` : value
      }
      case "List":
        return Array.isArray(value)
          ? value.map((one: unknown, index) => walk(shape.of, one, { ...at, path: `${at.path}[${index}]` }))
          : wrong(value, shape, at)
      case "Dictionary":
        if (!isRecord(value)) return wrong(value, shape, at)
        return Object.fromEntries(
          Object.entries(value).map(([key, one]) => [key, walk(shape.of, one, { ...at, path: below(at.path, key) })])
        )
      default:
        return isRecord(value) ? record(shape.model, value, at) : wrong(value, shape, at)
    }
  }
  return { object: record(model, object, { path: "", names: "", struct: "" }), unknown, fault }
}
