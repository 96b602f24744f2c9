/**
 * From what went wrong on the way to the API server, or what it answered, to the reason that the port names.
 */
import {
  AlreadyExists,
  ClusterError,
  type ClusterErrorReason,
  Conflict,
  Expired,
  Forbidden,
  NotFound,
  ProtocolViolation,
  Rejected,
  ServerFault,
  TooManyRequests,
  Unauthorized,
  Unreachable
} from "kuberun"

/** The part of a `metav1.Status` that is read, each field only where it has the right type. */
export interface StatusBody {
  readonly status?: string
  readonly reason?: string
  readonly message?: string
  readonly code?: number
  readonly retryAfterSeconds?: number
  readonly causes: ReadonlyArray<{ readonly reason?: string; readonly message?: string }>
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The value of a JSON text, or `undefined` where it is none. No JSON text has the value `undefined`. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const text = (record: Readonly<Record<string, unknown>>, field: string) => {
  const value = record[field]
  return typeof value === "string" && value !== "" ? { [field]: value } : {}
}

const number = (record: Readonly<Record<string, unknown>>, field: string) => {
  const value = record[field]
  return typeof value === "number" && Number.isFinite(value) ? { [field]: value } : {}
}

/** Reads a parsed body as a `metav1.Status`; anything that is not an object is none. */
export const statusBody = (value: unknown): StatusBody | undefined => {
  if (!isRecord(value)) return undefined
  const details = isRecord(value["details"]) ? value["details"] : {}
  const causes = Array.isArray(details["causes"]) ? details["causes"] : []
  return {
    ...text(value, "status"),
    ...text(value, "reason"),
    ...text(value, "message"),
    ...number(value, "code"),
    ...number(details, "retryAfterSeconds"),
    causes: causes.filter(isRecord).map((cause) => ({ ...text(cause, "reason"), ...text(cause, "message") }))
  }
}

/** What is shown of an answer that is not a Status: enough to recognise a proxy's page, not the page. */
const EXCERPT_LENGTH = 200

const describe = (code: number, body: string): string => {
  const line = body.replaceAll(/\s+/gu, " ").trim()
  const said = line === "" || line.startsWith("<") ? "" : `: ${line.slice(0, EXCERPT_LENGTH)}`
  if (code >= 300 && code < 400) {
    return `the server answered with a redirect (HTTP ${code}), which an API server does not do; check its address`
  }
  return `the server answered HTTP ${code}${said}`
}

/** `Retry-After` in its form of whole seconds, the only one that API servers send. */
const seconds = (header: string | undefined): number | undefined =>
  header !== undefined && /^\d+$/u.test(header.trim()) ? Number(header) : undefined

/**
 * The reason behind an answer other than 2xx, or behind an `ERROR` of a watch. The Status' own `reason` decides before
 * its code does, because proxies and aggregated servers change codes; the HTTP code decides where there is no Status.
 * Source of the names: `metav1.StatusReason` in apimachinery's `meta/v1/types.go`.
 */
export const faultOfAnswer = (answer: {
  readonly code: number
  readonly body: string
  readonly retryAfter?: string | undefined
}): ClusterErrorReason => {
  const status = statusBody(parseJson(answer.body))
  const code = answer.code
  const detail = status?.message ?? describe(code, answer.body)
  const retryAfterSeconds = status?.retryAfterSeconds ?? seconds(answer.retryAfter)
  const tooMany = () =>
    new TooManyRequests(retryAfterSeconds === undefined ? { detail } : { detail, retryAfterSeconds })
  switch (status?.reason) {
    case "Unauthorized":
      return new Unauthorized({ detail })
    case "Forbidden":
      return new Forbidden({ detail })
    case "NotFound":
      return new NotFound({ detail })
    case "AlreadyExists":
      return new AlreadyExists({ detail })
    case "Conflict":
      return new Conflict({ detail })
    case "Gone":
    case "Expired":
      return new Expired({ detail })
    case "TooManyRequests":
      return tooMany()
    case "Invalid":
    case "BadRequest":
    case "MethodNotAllowed":
    case "NotAcceptable":
    case "UnsupportedMediaType":
    case "RequestEntityTooLarge":
      return new Rejected({ status: code, detail })
    case "ServerTimeout":
    case "Timeout":
    case "InternalError":
    case "ServiceUnavailable":
      return new ServerFault({ status: code, detail })
    default:
      return faultOfCode(code, detail, tooMany)
  }
}

const faultOfCode = (code: number, detail: string, tooMany: () => TooManyRequests): ClusterErrorReason => {
  switch (code) {
    case 401:
      return new Unauthorized({ detail })
    case 403:
      return new Forbidden({ detail })
    case 404:
      return new NotFound({ detail })
    case 409:
      return new Conflict({ detail })
    case 410:
      return new Expired({ detail })
    case 429:
      return tooMany()
    default:
      return code >= 500 ? new ServerFault({ status: code, detail }) : new Rejected({ status: code, detail })
  }
}

/** The code that Node, OpenSSL or undici gave an error, looked for through its causes. */
const codeOf = (error: unknown): string | undefined => {
  if (!isRecord(error)) return undefined
  if (typeof error["code"] === "string") return error["code"]
  if (Array.isArray(error["errors"])) return codeOf(error["errors"][0])
  return codeOf(error["cause"])
}

/** An error's own sentence. An `AggregateError` (several addresses tried) has none: that of the first it holds. */
export const messageOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === "") return messageOf(error.errors[0])
  if (error instanceof Error) {
    const line = error.message.split("\n")[0]?.trim() ?? ""
    return line === "" ? error.name : line
  }
  return String(error)
}

/** What a failed connection, TLS handshake or name look-up was, in words. */
export const describeConnectionError = (error: unknown): string => {
  const message = messageOf(error)
  switch (codeOf(error)) {
    case "ECONNREFUSED":
      return `the connection was refused (${message})`
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the server's name could not be resolved (${message})`
    case "ECONNRESET":
    case "EPIPE":
    case "UND_ERR_SOCKET":
      return `the connection was cut (${message})`
    case "ETIMEDOUT":
    case "UND_ERR_CONNECT_TIMEOUT":
    case "UND_ERR_HEADERS_TIMEOUT":
      return `the server did not answer (${message})`
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `there is no route to the server (${message})`
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "CERT_HAS_EXPIRED":
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the server's certificate was not accepted (${message})`
    default:
      return message
  }
}

/** No answer came: the reason for it. */
export const faultOfConnection = (error: unknown): ClusterErrorReason =>
  codeOf(error)?.startsWith("HPE_") === true
    ? new ProtocolViolation({ detail: `the server does not speak HTTP (${messageOf(error)})` })
    : new Unreachable({ detail: describeConnectionError(error) })

/** Names the operation to a reason. */
export const failed = (operation: string) => (reason: ClusterErrorReason): ClusterError =>
  new ClusterError({ operation, reason })
