/**
 * `metav1.Status`: the one shape in which a Kubernetes API server refuses.
 *
 * The sentences are those of `k8s.io/apimachinery/pkg/api/errors`, because kubectl prints them as they are.
 */
import { Data } from "effect"

/** One entry of `details.causes`: which field, what is wrong with it. */
export interface StatusCause {
  readonly reason?: string
  readonly message: string
  readonly field?: string
}

/** One entry of a 422: everything about one field. */
export type Cause = Required<StatusCause>

/** The body of a refusal, or of a success that returns no object. */
export interface Status {
  readonly kind: "Status"
  readonly apiVersion: "v1"
  readonly metadata: Record<string, never>
  readonly status: "Success" | "Failure"
  readonly message?: string
  readonly reason?: string
  readonly details?: {
    readonly name?: string
    readonly group?: string
    readonly kind?: string
    readonly uid?: string
    readonly causes?: ReadonlyArray<StatusCause>
    readonly retryAfterSeconds?: number
  }
  readonly code: number
}

/** An API call that is refused with a `Status`. */
export class ApiError extends Data.TaggedError("ApiError")<{ readonly status: Status }> {
  override get message(): string {
    return this.status.message ?? this.status.reason ?? "refused"
  }
}

const refuse = (code: number, reason: string, message: string, details?: Status["details"]): ApiError =>
  new ApiError({
    status: {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message,
      reason,
      ...(details === undefined ? {} : { details }),
      code
    }
  })

export const badRequest = (message: string): ApiError => refuse(400, "BadRequest", message)

export const unauthorized: ApiError = refuse(401, "Unauthorized", "Unauthorized")

/** `what` is the sentence after the colon, for example an exceeded quota. */
export const forbidden = (resource: string, name: string, what: string): ApiError =>
  refuse(403, "Forbidden", `${resource} "${name}" is forbidden: ${what}`, detailsOf(resource, name))

/** An admission webhook that said no: its message is not led in by "is forbidden". */
export const denied = (webhook: string, message: string): ApiError =>
  refuse(403, "Forbidden", `admission webhook "${webhook}" denied the request: ${message}`)

/** Of "roles.rbac.authorization.k8s.io", the resource (or the kind) and its group. */
const detailsOf = (resource: string, name?: string): NonNullable<Status["details"]> => {
  const [kind = "", ...group] = resource.split(".")
  return { ...(name === undefined ? {} : { name }), ...(group.length === 0 ? {} : { group: group.join(".") }), kind }
}

/** `resource` is its qualified name here and below: "pods", "roles.rbac.authorization.k8s.io". */
export const notFound = (resource: string, name: string): ApiError =>
  refuse(404, "NotFound", `${resource} "${name}" not found`, detailsOf(resource, name))

/** A path or a resource type that is not served at all. */
export const noSuchResource: ApiError = refuse(404, "NotFound", "the server could not find the requested resource", {})

export const methodNotAllowed: ApiError = refuse(
  405,
  "MethodNotAllowed",
  "the server does not allow this method on the requested resource",
  {}
)

export const alreadyExists = (resource: string, name: string): ApiError =>
  refuse(409, "AlreadyExists", `${resource} "${name}" already exists`, detailsOf(resource, name))

export const conflict = (resource: string, name: string, why: string): ApiError =>
  refuse(409, "Conflict", `Operation cannot be fulfilled on ${resource} "${name}": ${why}`, detailsOf(resource, name))

/** A watch or a list from a version that the history no longer holds. */
export const expired = (message: string): ApiError => refuse(410, "Expired", message)

/** A version that the cluster has not come to (`storage.NewTooLargeResourceVersionError`). */
export const notYet = (asked: number, current: number): ApiError =>
  refuse(504, "Timeout", `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1
  })

export const tooLarge: ApiError = refuse(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")

export const unsupportedMediaType = (accepted: ReadonlyArray<string>): ApiError =>
  refuse(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`
  )

/** All causes at once, joined as `field.ErrorList` joins them. `kind` is qualified by its group: "Role.rbac.authorization.k8s.io". */
export const invalid = (kind: string, name: string, causes: ReadonlyArray<Cause>): ApiError => {
  const sentences = causes.map((cause) => `${cause.field}: ${cause.message}`)
  const all = sentences.length === 1 ? sentences[0] : `[${sentences.join(", ")}]`
  return refuse(422, "Invalid", `${kind} "${name}" is invalid: ${all}`, { ...detailsOf(kind, name), causes })
}

export const internalError = (message: string): ApiError =>
  refuse(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] })

/** What the authoriser refuses: `name` is "" where none was asked for, `resource` too where it is a mere path. */
export const notPermitted = (resource: string, name: string, sentence: string): ApiError => {
  if (resource === "") return refuse(403, "Forbidden", `forbidden: ${sentence}`, {})
  if (name !== "") return forbidden(resource, name, sentence)
  return refuse(403, "Forbidden", `${resource} is forbidden: ${sentence}`, detailsOf(resource))
}

/** A patch that does not fit its object: what exactly, the server keeps to itself. */
export const unprocessable: ApiError = refuse(
  422,
  "Invalid",
  "the server rejected our request due to an error in our request",
  {}
)

/** A failure that has no Status of its own, and comes as it is. */
export const failed = (message: string): ApiError => refuse(500, "", message)
