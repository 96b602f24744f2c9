/** A request and an answer of the API, apart from the server that carries them. */
import { Data, type Effect, type Stream } from "effect"
import { type ApiError, type Status } from "./Status.ts"

/** `authentication.k8s.io/v1 UserInfo`: who asks. */
export interface User {
  readonly name: string
  readonly groups: ReadonlyArray<string>
  readonly uid?: string
  readonly extra?: Readonly<Record<string, ReadonlyArray<string>>>
}

export interface ApiRequest {
  readonly method: string
  readonly user: User
  /** The path's parts, decoded. */
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
  readonly accept: string
  readonly contentType: string
  /** The body as a JSON value, whatever it came as; `undefined` for an empty one. 400, 413 or 415 for others. */
  readonly json: Effect.Effect<unknown, ApiError>
}

/** A body that ends before its end: the connection is to be broken, not closed in order. */
export class CutOff extends Data.TaggedError("CutOff") {}

export type ApiResponse =
  | {
    readonly _tag: "Json"
    readonly code: number
    readonly body: object
    /** Sent as `Warning` headers (RFC 9111 §5.5), which kubectl prints. */
    readonly warnings?: ReadonlyArray<string>
    /** `application/json` when absent. */
    readonly contentType?: string
  }
  | { readonly _tag: "Text"; readonly code: number; readonly body: string }
  | { readonly _tag: "Stream"; readonly contentType: string; readonly body: Stream.Stream<Uint8Array, CutOff> }

export const json = (
  body: object,
  code = 200,
  warnings: ReadonlyArray<string> = []
): Extract<ApiResponse, { readonly _tag: "Json" }> => ({ _tag: "Json", code, body, warnings })
export const text = (body: string): ApiResponse => ({ _tag: "Text", code: 200, body })
/** A `Status` that says that it is done, and whatever else is in `more`. */
export const success = (more: Pick<Partial<Status>, "details" | "code">): ApiResponse =>
  json({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", ...more }, more.code)
export const refusal = ({ status }: ApiError): ApiResponse => json(status, status.code)
