/** The edge: HTTPS on the loopback, bearer tokens, bodies, and the upgrade to a WebSocket. Callbacks stand only here. */
import { Data, Effect, FiberSet, type Scope, Stream } from "effect"
import { Buffer } from "node:buffer"
import { timingSafeEqual } from "node:crypto"
import { type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer } from "node:https"
import { type Api, handle } from "./Api.ts"
import { type Certificates } from "./Certificates.ts"
import { type Faults } from "./Faults.ts"
import { type ApiRequest, type ApiResponse, refusal } from "./Http.ts"
import { decodePath, urlOf } from "./RequestPath.ts"
import { type ApiError, badRequest, internalError, tooLarge, unauthorized, unsupportedMediaType } from "./Status.ts"
import { makeSockets, serveUpgrade } from "./Upgrade.ts"

/** Go's own limit for a request's head (`http.DefaultMaxHeaderBytes`): an exec's whole command stands in its URL. */
const maxHeaderSize = 1024 * 1024

/** The cluster could not be started; `message` says what stood in the way. */
export class MiniclusterError extends Data.TaggedError("MiniclusterError")<{ readonly message: string }> {}

/** The real server's limit for a request body. */
const bodyLimit = 3 * 1024 * 1024
/** What may be asked without credentials. */
const anonymous = new Set(["/healthz", "/livez", "/readyz", "/version"])

const readJson = (request: IncomingMessage, contentType: string): Effect.Effect<unknown, ApiError> =>
  Effect.gen(function*() {
    const chunks: Array<Buffer> = []
    const length = yield* Effect.tryPromise({
      try: async () => {
        let length = 0
        for await (const chunk of request) {
          const bytes = Buffer.from(chunk)
          length += bytes.length
          // The rest is read and dropped, so that the refusal can be read.
          if (length <= bodyLimit) chunks.push(bytes)
        }
        return length
      },
      catch: () => badRequest("the body of the request was cut off")
    })
    if (length > bodyLimit) return yield* tooLarge
    if (length === 0) return undefined
    const isJson = contentType === "" || contentType === "application/json" || contentType.endsWith("+json")
    if (!isJson) return yield* unsupportedMediaType(["application/json"])
    const text = Buffer.concat(chunks).toString("utf8")
    return yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (error) =>
        badRequest(
          `the object provided is unrecognized: couldn't parse JSON: ${error instanceof Error ? error.message : ""}`
        )
    })
  })

const authenticate = (token: string, request: IncomingMessage): Effect.Effect<void, ApiError> =>
  Effect.suspend(() => {
    const given = Buffer.from(request.headers.authorization ?? "")
    const wanted = Buffer.from(`Bearer ${token}`)
    return given.length === wanted.length && timingSafeEqual(given, wanted) ? Effect.void : unauthorized
  })

/** Every failure has a Status; a defect is logged and told as 500. */
const orRefusal = (effect: Effect.Effect<ApiResponse, ApiError>): Effect.Effect<ApiResponse> =>
  effect.pipe(
    Effect.catchTag("ApiError", (error) => Effect.succeed(refusal(error))),
    Effect.catchDefect((defect) =>
      Effect.as(Effect.logError("a request failed", defect), refusal(internalError("the request could not be handled")))
    )
  )

const answer = (token: string, api: Api, request: IncomingMessage): Effect.Effect<ApiResponse> =>
  orRefusal(Effect.gen(function*() {
    const url = urlOf(request)
    if (!anonymous.has(url.pathname)) yield* authenticate(token, request)
    const contentType = (request.headers["content-type"] ?? "").split(";")[0]?.trim() ?? ""
    const apiRequest: ApiRequest = {
      method: request.method === "HEAD" ? "GET" : request.method ?? "GET",
      path: yield* decodePath(url),
      query: url.searchParams,
      accept: request.headers.accept ?? "",
      contentType,
      json: readJson(request, contentType)
    }
    return yield* handle(api, apiRequest)
  }))

const write = (response: ServerResponse, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) => {
    response.write(bytes, () => resume(Effect.void))
  })

const respond = (response: ServerResponse, answer: ApiResponse): Effect.Effect<void> => {
  switch (answer._tag) {
    case "Json":
      return Effect.sync(() => {
        response.writeHead(answer.code, { "content-type": "application/json" }).end(`${JSON.stringify(answer.body)}\n`)
      })
    case "Text":
      return Effect.sync(() => {
        response.writeHead(answer.code, { "content-type": "text/plain; charset=utf-8" }).end(answer.body)
      })
    case "Stream":
      return Effect.gen(function*() {
        response.writeHead(200, { "content-type": answer.contentType })
        response.flushHeaders()
        yield* Stream.runForEach(answer.body, (bytes) => write(response, bytes))
        response.end()
      })
  }
}

/** Completes when the client has gone, or has been answered. */
const closed = (response: ServerResponse): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (response.closed) return resume(Effect.void)
    response.once("close", () => resume(Effect.void))
  })

/** Nothing goes wrong on purpose. */
const noFaults: Faults = {
  request: () => Effect.void,
  watch: () => Effect.undefined,
  exec: Effect.undefined,
  deletionIgnored: Effect.succeed(false)
}

const listen = (server: Server, host: string, port: number): Effect.Effect<number, MiniclusterError> =>
  Effect.callback((resume) => {
    server.once(
      "error",
      (error) =>
        resume(new MiniclusterError({ message: `The cluster cannot listen on ${host}:${port}: ${error.message}` }))
    )
    server.listen(port, host, () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

export interface ServerOptions {
  readonly host: string
  readonly port: number
  readonly certificates: Certificates
  readonly token: string
}

/** A listening server, whose API is given once its address is known. Closing the scope ends every connection. */
export const listenServer = Effect.fnUntraced(function*(
  options: ServerOptions
): Effect.fn.Return<
  { readonly port: number; readonly serve: (api: Api) => Effect.Effect<void, never, Scope.Scope> },
  MiniclusterError,
  Scope.Scope
> {
  const { certificates, host, token } = options
  const server = createServer({
    cert: certificates.certificate,
    key: certificates.privateKey,
    maxHeaderSize
  })
  const sockets = makeSockets()
  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
      for (const socket of sockets.clients) socket.terminate()
    }).pipe(Effect.timeoutOption("2 seconds"))
  )
  const port = yield* listen(server, host, options.port)
  const serve = Effect.fnUntraced(function*(api: Api) {
    const fork = yield* FiberSet.makeRuntime<never>()
    server.on("request", (request, response) => {
      fork(
        Effect.raceFirst(
          Effect.flatMap(answer(token, api, request), (found) => respond(response, found)),
          closed(response)
        )
      )
    })
    server.on("upgrade", (request, socket, head) => {
      socket.on("error", () => socket.destroy())
      const admit = (_subresource: string, _namespace: string, _name: string, request: IncomingMessage) =>
        authenticate(token, request)
      const { kubelet, store } = api
      fork(serveUpgrade({ sockets, store, kubelet, faults: noFaults, admit }, request, socket, head))
    })
  })
  return { port, serve }
})
