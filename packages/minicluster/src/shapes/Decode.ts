/** From a request's body to the object that it stands for: `k8s.io/apiserver/pkg/endpoints/handlers`. */
import { Effect } from "effect"
import { type Buffer } from "node:buffer"
import { type ApiRequest } from "../api/Http.ts"
import { type ApiError, badRequest, type Cause, invalid, unsupportedMediaType } from "../api/Status.ts"
import { isRecord } from "./Json.ts"
import { applyType } from "./Patch.ts"
import { decodeProtobuf, protobufType } from "./Protobuf.ts"
import { groupVersion, type ResourceType } from "./Resources.ts"
import * as Rule from "./Rules.ts"
import { conform, jsonType, modelOf } from "./Schemas.ts"

const yamlTypes = new Set(["application/yaml", applyType])
const reason = (error: unknown): string => error instanceof Error ? error.message.split("\n")[0] ?? "" : ""

const parseJson = (text: string): Effect.Effect<unknown, ApiError> =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (error) => badRequest(`the object provided is unrecognized: couldn't parse JSON: ${reason(error)}`)
  })

/** Far deeper than any object of the API, and what everything here can walk and write. */
const maxDepth = 1000

const isTooDeep = (body: unknown): boolean => {
  let level: ReadonlyArray<unknown> = [body]
  for (let depth = 0; level.length > 0 && depth <= maxDepth; depth++) {
    level = level.flatMap((value) => typeof value === "object" && value !== null ? Object.values(value) : [])
  }
  return level.length > 0
}

/** More than stands in any object of the API: each takes a kilobyte while it is read. */
const maxTokens = 200_000

/**
 * The parser is loaded for the first body that needs it. What it does by itself for errors and for keys takes time by
 * the square of the text's length, in which nobody else would be served.
 */
const parseYaml = (text: string): Effect.Effect<unknown, ApiError> =>
  Effect.tryPromise({
    try: async (): Promise<unknown> => {
      const { isScalar, Lexer, parseDocument, visit } = await import("yaml")
      let tokens = 0
      for (const _ of new Lexer().lex(text)) if (++tokens > maxTokens) throw new Error("exceeded max size")
      const document = parseDocument(text, { merge: true, prettyErrors: false, uniqueKeys: false, logLevel: "error" })
      const [error] = document.errors
      if (error !== undefined) {
        throw new Error(`line ${text.slice(0, error.pos[0]).split("\n").length}: ${error.message}`)
      }
      visit(document, {
        Map: (_, { items }) => {
          const keys = new Set<unknown>()
          for (const { key } of items) {
            if (!isScalar(key) || key.value === "<<") continue
            if (keys.has(key.value)) throw new Error(`key ${JSON.stringify(key.value)} already set in map`)
            keys.add(key.value)
          }
        }
      })
      return document.toJS()
    },
    catch: (error) =>
      badRequest(`the object provided is unrecognized: error converting YAML to JSON: yaml: ${reason(error)}`)
  })

/** The JSON value of a body that is not empty; 400 for one that cannot be read, 415 for other types. */
export const parseBody = (bytes: Buffer, contentType: string): Effect.Effect<unknown, ApiError> => {
  if (contentType === protobufType) return decodeProtobuf(bytes)
  const isYaml = yamlTypes.has(contentType)
  if (!isYaml && contentType !== "" && contentType !== "application/json" && !contentType.endsWith("+json")) {
    return Effect.fail(unsupportedMediaType(["application/json", "application/yaml", protobufType]))
  }
  const text = bytes.toString("utf8")
  // Most YAML that is sent is JSON.
  return (isYaml ? parseJson(text).pipe(Effect.catch(() => parseYaml(text))) : parseJson(text)).pipe(
    Effect.filterOrFail(
      (body) => !isTooDeep(body),
      () => badRequest("the object provided is unrecognized: json: exceeded max depth")
    )
  )
}

const validations = ["Ignore", "Strict", "Warn"]
const optionsOf: Readonly<Record<string, string>> = { PUT: "UpdateOptions", PATCH: "PatchOptions" }

const fieldValidation = ({ method, query }: ApiRequest): Effect.Effect<string, ApiError> => {
  const asked = query.get("fieldValidation") ?? ""
  if (asked === "") return Effect.succeed("Warn")
  return validations.includes(asked)
    ? Effect.succeed(asked)
    : Effect.fail(invalid(`${optionsOf[method] ?? "CreateOptions"}.meta.k8s.io`, "", [
      Rule.unsupported("fieldValidation", asked, validations)
    ]))
}

/** A kind, and where it is from: a `ResourceType`, or that of a subresource. */
type Kind = Pick<ResourceType, "group" | "version" | "kind">

/** What a body is that holds no object at all. */
const notAnObject = (kind: string, body: unknown): ApiError => {
  const sentence = body === undefined
    ? "unexpected end of JSON input (<empty>)"
    : `json: cannot unmarshal ${jsonType(body)} into Go value of type struct { APIVersion string; Kind string }`
  return badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${sentence}`
  )
}

const said = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value ?? "")

/** The kind and the version that a body names must be the expected ones; it may leave them out. */
const mismatch = (expected: Kind, sent: Readonly<Record<string, unknown>>): ApiError | undefined => {
  const kind = said(sent["kind"] || expected.kind)
  const apiVersion = said(sent["apiVersion"] || groupVersion(expected))
  if (kind !== expected.kind) {
    const version = apiVersion.split("/").at(-1)
    const [group] = expected.group === "" ? ["core"] : expected.group.split(".")
    return badRequest(
      `${kind} in version "${version}" cannot be handled as a ${expected.kind}: converting (${version}.${kind}) to (${group}.${expected.kind}): unknown conversion`
    )
  }
  return apiVersion === groupVersion(expected)
    ? undefined
    : badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${groupVersion(expected)})`
    )
}

/**
 * The object that a request brings, of the expected kind: without nulls and without unknown fields.
 *
 * `fieldValidation` says what unknown fields do: they are warned of, refused, or ignored.
 */
export const decodeBody = Effect.fnUntraced(function*(expected: Kind, request: ApiRequest) {
  const directive = yield* fieldValidation(request)
  const body = yield* request.json
  if (!isRecord(body)) return yield* notAnObject(expected.kind, body)
  const other = mismatch(expected, body)
  if (other !== undefined) return yield* other
  const { fault, object, unknown } = conform(modelOf(expected.kind), body)
  const strict = directive === "Strict" && unknown.length > 0
    ? `strict decoding error: ${unknown.join(", ")}`
    : undefined
  const wrong = fault ?? strict
  if (wrong !== undefined) {
    // What a patch leads to is judged as a value of the field "patch", whoever sent it.
    return yield* request.method === "PATCH"
      ? invalid("", "", [{
        reason: "FieldValueInvalid",
        field: "patch",
        message: `Invalid value: ${patched(body)}: ${wrong}`
      }])
      : badRequest(
        `${expected.kind} in version "${expected.version}" cannot be handled as a ${expected.kind}: ${wrong}`
      )
  }
  return { object, warnings: directive === "Warn" ? unknown : [] }
})

const patched = (object: object): string => JSON.stringify(JSON.stringify(object))

/** `metav1.DeleteOptions`. */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly propagationPolicy?: Propagation
  readonly orphanDependents?: boolean
  readonly dryRun?: ReadonlyArray<string>
}
export type Propagation = "Foreground" | "Background" | "Orphan"
const propagations: ReadonlyArray<string> = ["Foreground", "Background", "Orphan"] satisfies ReadonlyArray<Propagation>

const deleteOptionsCauses = (
  { dryRun = [], orphanDependents, propagationPolicy }: DeleteOptions
): ReadonlyArray<Cause> => {
  const at = "propagationPolicy"
  const dry = dryRun.find((one) => one !== "All")
  return [
    ...Rule.when(
      orphanDependents !== undefined && propagationPolicy !== undefined,
      Rule.wrong(at, propagationPolicy, "orphanDependents and deletionPropagation cannot be both set")
    ),
    ...Rule.when(
      propagationPolicy !== undefined && !propagations.includes(propagationPolicy),
      Rule.unsupported(at, propagationPolicy, [...propagations, "nil"])
    ),
    ...Rule.when(dry !== undefined, Rule.unsupported("dryRun", dry, ["All"]))
  ]
}

const optionsInQuery = Effect.fnUntraced(function*(query: URLSearchParams) {
  const grace = query.get("gracePeriodSeconds")
  if (grace !== null && !/^[+-]?\d+$/.test(grace)) {
    return yield* badRequest(`strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`)
  }
  const orphan = query.get("orphanDependents")
  const policy = query.get("propagationPolicy")
  return {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: orphan !== "false" && orphan !== "0" }),
    ...(query.has("dryRun") ? { dryRun: query.getAll("dryRun") } : {})
  }
})

/** The options of a deletion: those of its body, and of its query what the body does not say. */
export const decodeDeleteOptions = Effect.fnUntraced(function*({ json, query }: ApiRequest) {
  const body = (yield* json) ?? {}
  if (!isRecord(body)) return yield* notAnObject("DeleteOptions", body)
  const kind = said(body["kind"] || "DeleteOptions")
  const { fault, object } = conform("V1DeleteOptions", body)
  const wrong = kind === "DeleteOptions" ? fault : "decoded object cannot be converted to DeleteOptions"
  if (wrong !== undefined) {
    return yield* badRequest(`${kind} in version "v1" cannot be handled as a DeleteOptions: ${wrong}`)
  }
  const options = { ...(yield* optionsInQuery(query)), ...object } as DeleteOptions
  const causes = deleteOptionsCauses(options)
  return causes.length === 0 ? options : yield* invalid("DeleteOptions.meta.k8s.io", "", causes)
})
