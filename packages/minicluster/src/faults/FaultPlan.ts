/**
 * A plan of faults as data: what may be written as JSON, and what is wrong with it when it cannot be used.
 *
 * `{ "seed": 7, "rules": [{ "verbs": ["list"], "share": 0.2, "error": { "code": 503 } }] }`
 */
import { Data, Effect, Exit, Schema, SchemaIssue } from "effect"
import { type StatusCause } from "../api/Status.ts"
import { labelSelector } from "../shapes/Selectors.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Millis = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 86_400_000 }))
const Names = Schema.Array(Schema.String)

/** What becomes of one watch. `after` counts the events that still arrive as they should. */
export const WatchFault = Schema.Union([
  /** The connection is cut. */
  Schema.TaggedStruct("Cut", { after: Count }),
  /** Nothing arrives any more, bookmarks neither, and the connection stays. */
  Schema.TaggedStruct("Silent", { after: Count }),
  /** Each event arrives late. */
  Schema.TaggedStruct("Stale", { after: Count, millis: Millis })
]).annotate({ expected: "a map whose _tag is Cut, Silent or Stale" })
export type WatchFault = typeof WatchFault.Type

/** What becomes of one exec or attach. */
export const ExecFault = Schema.Union([
  /** The connection is cut once so many bytes of output have been sent. */
  Schema.TaggedStruct("Cut", { afterBytes: Count }),
  /** The program ends, and the connection is closed (1000) without its status. */
  Schema.TaggedStruct("NoStatus", {}),
  /** The status is sent before the last piece of output. */
  Schema.TaggedStruct("StatusFirst", {}),
  /** The upgrade is never answered. */
  Schema.TaggedStruct("NoAnswer", {}),
  /** 101, and then the API server cannot reach the node. */
  Schema.TaggedStruct("DialFails", {})
]).annotate({ expected: "a map whose _tag is Cut, NoStatus, StatusFirst, NoAnswer or DialFails" })
export type ExecFault = typeof ExecFault.Type

/** Reason and sentence of a refusal by its code, in the words of `k8s.io/apimachinery/pkg/api/errors`. */
export const refusals = {
  400: ["BadRequest", "the server rejected our request for an unknown reason"],
  401: ["Unauthorized", "Unauthorized"],
  403: ["Forbidden", "the server does not allow access to the requested resource"],
  404: ["NotFound", "the server could not find the requested resource"],
  405: ["MethodNotAllowed", "the server does not allow this method on the requested resource"],
  409: ["Conflict", "the server reported a conflict"],
  410: ["Expired", "The resourceVersion for the provided watch is too old."],
  413: ["RequestEntityTooLarge", "Request entity too large: limit is 3145728"],
  415: ["UnsupportedMediaType", "the body of the request was in an unknown format"],
  422: ["Invalid", "the server rejected our request due to an error in our request"],
  429: ["TooManyRequests", "the server has received too many requests and has asked us to try again later"],
  500: ["InternalError", "Internal error occurred: a fault on purpose"],
  502: ["InternalError", "an error on the server (\"bad gateway\") has prevented the request from succeeding"],
  503: ["ServiceUnavailable", "the server is currently unable to handle the request"],
  504: [
    "Timeout",
    "the server was unable to return a response in the time allotted, but may still be processing the request"
  ]
} as const
const codes = Object.keys(refusals).map(Number) as ReadonlyArray<keyof typeof refusals>

/** The kinds of faults, each with what narrows down where it happens. */
const narrowedBy = {
  latency: ["verbs", "resources", "subresources"],
  error: ["verbs", "resources", "subresources"],
  admission: ["verbs", "resources", "subresources"],
  quota: ["resources"],
  watch: ["resources"],
  exec: [],
  deletionIgnored: []
} as const satisfies Record<string, ReadonlyArray<"verbs" | "resources" | "subresources">>
export type FaultKind = keyof typeof narrowedBy
const kinds = Object.keys(narrowedBy) as ReadonlyArray<FaultKind>

/** The kind of a rule that was checked: it has exactly one. */
export const kindOf = (rule: object): FaultKind | undefined => kinds.find((kind) => kind in rule)

/** Where a fault happens, how often, and exactly one fault. */
export const FaultRule = Schema.Struct({
  /** As RBAC names them; absent: all. */
  verbs: Schema.optionalKey(Names),
  /** Plurals; absent: all. */
  resources: Schema.optionalKey(Names),
  /** Absent: all, and none; "" is the resource itself. */
  subresources: Schema.optionalKey(Names),
  /** Which part of the calls that match, from 0 to 1; absent: all. */
  share: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  /** How often at most; absent: for ever. */
  times: Schema.optionalKey(Count),
  /** The request waits before it is handled: `millis`, and up to `jitter` more. */
  latency: Schema.optionalKey(Schema.Struct({ millis: Millis, jitter: Schema.optionalKey(Millis) })),
  /** The request is refused with a `Status`, and not handled. */
  error: Schema.optionalKey(Schema.Struct({
    code: Schema.Literals(codes),
    reason: Schema.optionalKey(Schema.String),
    message: Schema.optionalKey(Schema.String),
    /** 1 for 429 when it is left out. */
    retryAfterSeconds: Schema.optionalKey(Count)
  })),
  /** A webhook says this and refuses: `verbs` are only "create" and `subresources` only "" when left out. */
  admission: Schema.optionalKey(Schema.String),
  /** The quota of this name is exceeded by every create. */
  quota: Schema.optionalKey(Schema.NonEmptyString),
  watch: Schema.optionalKey(WatchFault),
  exec: Schema.optionalKey(ExecFault),
  /** The deletion of a pod is accepted and does nothing. */
  deletionIgnored: Schema.optionalKey(Schema.Literal(true))
}).check(Schema.makeFilter((rule) => {
  const [kind, ...more] = kinds.filter((kind) => kind in rule)
  if (kind === undefined || more.length > 0) return `expected exactly one fault of ${kinds.join(", ")}`
  const narrows: ReadonlyArray<string> = narrowedBy[kind]
  const useless = ["verbs", "resources", "subresources"].find((name) => name in rule && !narrows.includes(name))
  if (useless === undefined) return undefined
  const allowed = narrows.length === 0 ? "nothing" : `only ${narrows.join(", ")}`
  return { path: [useless], issue: `expected not to be there: ${allowed} can narrow down a fault "${kind}"` }
}))
export type FaultRule = typeof FaultRule.Type

/** The kubelet evicts pods as under node pressure: they fail with the reason Evicted. */
export const Eviction = Schema.Struct({
  /** Absent: in every namespace. */
  namespace: Schema.optionalKey(Schema.String),
  /** As kubectl's `-l`; absent: all. */
  labelSelector: Schema.optionalKey(
    Schema.String.check(Schema.makeFilter((text) =>
      Exit.isSuccess(Effect.runSyncExit(labelSelector(text)))
        ? undefined
        : "expected a label selector, as app=web,tier!=db"
    ))
  ),
  message: Schema.optionalKey(Schema.String)
})
export type Eviction = typeof Eviction.Type

export const FaultPlan = Schema.Struct({
  /** What the shares and the jitter are drawn from; absent: 0. */
  seed: Schema.optionalKey(Schema.Finite),
  rules: Schema.optionalKey(Schema.Array(FaultRule)),
  /** The node is not heard of, as long as the plan holds. */
  nodeLost: Schema.optionalKey(Schema.Boolean),
  /** Done once, when the plan is set. */
  evict: Schema.optionalKey(Schema.Array(Eviction))
})
export type FaultPlan = typeof FaultPlan.Type

/** A plan that cannot be used: each fault with its field, what stands there and what is allowed. */
export class FaultPlanError extends Data.TaggedError("FaultPlanError")<{
  readonly causes: ReadonlyArray<Required<StatusCause>>
}> {
  override get message(): string {
    const sentences = this.causes.map(({ field, message }) => `  ${field}: ${message}`)
    return ["The plan of faults cannot be used:", ...sentences].join("\n")
  }
}

const longestValueShown = 80

const valueAt = (input: unknown, path: ReadonlyArray<PropertyKey>): string => {
  const value = path.reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    input
  )
  const text = JSON.stringify(value) ?? "nothing"
  return text.length > longestValueShown ? `${text.slice(0, longestValueShown)}…` : text
}

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    if (issue._tag === "MissingKey") return "is missing"
    if (issue._tag !== "UnexpectedKey") return SchemaIssue.defaultLeafHook(issue)
    const known = "propertySignatures" in issue.ast ? issue.ast.propertySignatures.map(({ name }) => String(name)) : []
    return `is not a key that is known; allowed here: ${known.join(", ")}`
  }
})

const renderPath = (path: ReadonlyArray<PropertyKey>): string =>
  path.map((key, index) => typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${String(key)}`).join("")

const decode = Schema.decodeUnknownEffect(FaultPlan, { errors: "all", onExcessProperty: "error" })

/** Checks a plan; all that is wrong with it is told at once. */
export const decodeFaultPlan = (input: unknown): Effect.Effect<FaultPlan, FaultPlanError> =>
  Effect.mapError(decode(input), ({ issue }) =>
    new FaultPlanError({
      causes: format(issue).issues.map(({ message, path: segments = [] }) => {
        const path = segments.map((segment) => typeof segment === "object" ? segment.key : segment)
        const sentence = message.startsWith("is ")
          ? message
          : `${valueAt(input, path)} is not allowed: ${message.replace(/^Expected /, "expected ")}`
        return { reason: "FieldValueInvalid", field: renderPath(path) || "(the whole plan)", message: sentence }
      })
    }))
