/**
 * One HTTP exchange with the API server: as JSON, or as a stream of bytes.
 *
 * Not by client-node's generated API: that drops every field that its own version of Kubernetes does not know, turns
 * times into `Date` (microseconds lost), has no time limit, takes no signal, and cannot stream. What it is good at,
 * who and how to ask, comes from it by way of `ApiAccess`.
 */
import { Duration, Effect, Stream } from "effect"
import { CallTimedOut, type ClusterError, type ClusterErrorReason, ProtocolViolation, StreamLost } from "kuberun"
import type { Dispatcher } from "undici"
import type { ApiAccess } from "./ApiAccess.ts"
import { describeConnectionError, failed, faultOfAnswer, faultOfConnection, parseJson } from "./ApiFault.ts"

/** A request. `path` begins with `/api` or `/apis`, everything in it encoded; a `PATCH` is a merge patch (RFC 7386). */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  readonly path: string
  readonly body?: unknown
}

/** The one way of this package to the API server. */
export interface ApiCall {
  /**
   * Sends the request once and answers the parsed body. Interruption aborts it. `operation` stands in every error.
   */
  readonly json: (operation: string, request: ApiRequest) => Effect.Effect<unknown, ClusterError>
  /**
   * The body of the answer as it arrives, no faster than it is pulled. The time limit covers the way to the answer's
   * head only; what may happen after is the caller's to bound.
   */
  readonly bytes: (operation: string, request: ApiRequest) => Stream.Stream<Uint8Array, ClusterError>
}

export interface ApiCallOptions {
  readonly timeout: Duration.Duration
  /** Waits until the call for this operation may be made. The time limit begins after it. */
  readonly turn: (operation: string) => Effect.Effect<void>
}

/**
 * The largest answer that is read. A pod is stored in at most 1.5 MiB (etcd's limit), and is a few KiB in practice: the
 * longest list asked for, that of an installation's pods, has room for some thousands.
 */
const ANSWER_LIMIT_BYTES = 32 * 1024 * 1024

/** How much of an answer that is an error is read; a Status is a few hundred bytes. */
const ERROR_LIMIT_BYTES = 256 * 1024

class TooLong extends Error {}

const readText = async (body: AsyncIterable<Uint8Array>, limit: number): Promise<string> => {
  const parts: Array<Uint8Array> = []
  let length = 0
  for await (const part of body) {
    parts.push(part)
    length += part.length
    if (length > limit) throw new TooLong(`the answer is longer than ${limit} bytes`)
  }
  return Buffer.concat(parts).toString("utf8")
}

const header = (answer: Dispatcher.ResponseData, name: string): string | undefined => {
  const value = answer.headers[name]
  return typeof value === "string" ? value : value?.[0]
}

const isOk = (code: number): boolean => code >= 200 && code < 300

const refusal = async (answer: Dispatcher.ResponseData) =>
  faultOfAnswer({
    code: answer.statusCode,
    body: await readText(answer.body, ERROR_LIMIT_BYTES),
    retryAfter: header(answer, "retry-after")
  })

const faultOfExchange = (error: unknown) =>
  error instanceof TooLong ? new ProtocolViolation({ detail: error.message }) : faultOfConnection(error)

export const make = (access: ApiAccess, options: ApiCallOptions): ApiCall => {
  const { origin, pathname } = new URL(access.server)
  const prefix = pathname.replace(/\/+$/u, "")

  const send = (
    request: ApiRequest,
    as: { readonly headers: Readonly<Record<string, string>>; readonly dispatcher: Dispatcher },
    signal: AbortSignal
  ): Promise<Dispatcher.ResponseData> =>
    as.dispatcher.request({
      origin,
      path: prefix + request.path,
      method: request.method,
      signal,
      // Ours alone decides: these would fire later and be told as something else.
      headersTimeout: 0,
      bodyTimeout: 0,
      headers: {
        ...as.headers,
        accept: "application/json",
        ...(request.body === undefined ? {} : {
          "content-type": request.method === "PATCH" ? "application/merge-patch+json" : "application/json"
        })
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) })
    })

  const limited = <A>(operation: string, effect: Effect.Effect<A, ClusterError>): Effect.Effect<A, ClusterError> =>
    Effect.andThen(
      options.turn(operation),
      Effect.timeoutOrElse(effect, {
        duration: options.timeout,
        orElse: () => {
          const detail = `the API server did not answer within ${Duration.format(options.timeout)}`
          return Effect.fail(failed(operation)(new CallTimedOut({ detail })))
        }
      })
    )

  const refusedBy = (operation: string, fault: ClusterErrorReason) =>
    Effect.andThen(
      fault._tag === "Unauthorized" ? access.refused : Effect.void,
      Effect.fail(failed(operation)(fault))
    )

  const json = Effect.fn("ApiCall.json")(function*(operation: string, request: ApiRequest) {
    const as = yield* access.forRequest(operation)
    const answer = yield* Effect.tryPromise({
      try: async (signal) => {
        const answer = await send(request, as, signal)
        return isOk(answer.statusCode)
          ? { ok: true, text: await readText(answer.body, ANSWER_LIMIT_BYTES) } as const
          : { ok: false, fault: await refusal(answer) } as const
      },
      catch: (error) => failed(operation)(faultOfExchange(error))
    })
    if (!answer.ok) return yield* refusedBy(operation, answer.fault)
    const value = parseJson(answer.text)
    if (value !== undefined) return value
    return yield* failed(operation)(new ProtocolViolation({ detail: "the API server's answer is not JSON" }))
  })

  const bytes = (operation: string, request: ApiRequest) =>
    Stream.unwrap(Effect.gen(function*() {
      const abort = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        (controller) => Effect.sync(() => controller.abort())
      )
      const head = Effect.gen(function*() {
        const as = yield* access.forRequest(operation)
        return yield* Effect.tryPromise({
          try: async () => {
            const answer = await send(request, as, abort.signal)
            if (!isOk(answer.statusCode)) return { ok: false, fault: await refusal(answer) } as const
            // The end of the scope aborts the body while nobody may be reading it.
            answer.body.on("error", () => undefined)
            return { ok: true, body: answer.body } as const
          },
          catch: (error) => failed(operation)(faultOfExchange(error))
        })
      })
      const answer = yield* limited(operation, head)
      if (!answer.ok) return yield* refusedBy(operation, answer.fault)
      return Stream.fromAsyncIterable<Uint8Array, ClusterError>(
        answer.body,
        (error) => failed(operation)(new StreamLost({ detail: describeConnectionError(error) }))
      )
    }))

  return { json: (operation, request) => limited(operation, json(operation, request)), bytes }
}
