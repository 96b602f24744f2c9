/** A request and an answer of the API, apart from the server that carries them. */
import { type Effect, type Stream } from "effect"
import { type ApiError } from "./Status.ts"

export interface ApiRequest {
  readonly method: string
  /** The path's parts, decoded. */
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
  readonly accept: string
  readonly contentType: string
  /** The body as JSON; `undefined` for an empty one. 400, 413 or 415 for others. */
  readonly json: Effect.Effect<unknown, ApiError>
}

export type ApiResponse =
  | { readonly _tag: "Json"; readonly code: number; readonly body: object }
  | { readonly _tag: "Text"; readonly code: number; readonly body: string }
  | { readonly _tag: "Stream"; readonly contentType: string; readonly body: Stream.Stream<Uint8Array> }

export const json = (body: object, code = 200): ApiResponse => ({ _tag: "Json", code, body })
export const text = (body: string, code = 200): ApiResponse => ({ _tag: "Text", code, body })
export const refusal = ({ status }: ApiError): ApiResponse => json(status, status.code)
