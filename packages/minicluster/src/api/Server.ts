/** The edge: HTTPS on the loopback, credentials, bodies, and requests that leave HTTP behind. Callbacks stand only here. */
import { Data, Effect, FiberSet, type Scope, Stream } from "effect"
import { Buffer } from "node:buffer"
import { type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer } from "node:https"
import { type TLSSocket } from "node:tls"
import { clientCertificate, type Credentials } from "../access/Authentication.ts"
import { authorize, streamVerbs } from "../access/Authorization.ts"
import { type Certificates } from "../access/Certificates.ts"
import { parseBody } from "../shapes/Decode.ts"
import { makeSockets, serveUpgrade, type UpgradeOptions } from "../streams/Upgrade.ts"
import { type Api, handle } from "./Api.ts"
import { type ApiRequest, type ApiResponse, refusal, type User } from "./Http.ts"
import { decodePath, urlOf } from "./RequestPath.ts"
import { type ApiError, badRequest, internalError, type Status, tooLarge } from "./Status.ts"

/** Go's own limit for a request's head (`http.DefaultMaxHeaderBytes`): an exec's whole command stands in its URL. */
const maxHeaderSize = 1024 * 1024

/** The cluster could not be started; `message` says what stood in the way. */
export class MiniclusterError extends Data.TaggedError("MiniclusterError")<{ readonly message: string }> {}

/** The real server's limit for a request body. */
const bodyLimit = 3 * 1024 * 1024

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
    return yield* parseBody(Buffer.concat(chunks), contentType)
  })

/** Who asks, by what a request brings. */
export type Authenticate = (credentials: Credentials) => Effect.Effect<User, ApiError>

const userOf = (authenticate: Authenticate, request: IncomingMessage): Effect.Effect<User, ApiError> =>
  Effect.suspend(() =>
    authenticate({
      headers: request.headersDistinct,
      certificate: clientCertificate(request.socket as TLSSocket),
      path: urlOf(request).pathname
    })
  )

/** Every failure has a Status; a defect is logged and told as 500. */
const orRefusal = (effect: Effect.Effect<ApiResponse, ApiError>): Effect.Effect<ApiResponse> =>
  effect.pipe(
    Effect.catchTag("ApiError", (error) => Effect.succeed(refusal(error))),
    Effect.catchDefect((defect) =>
      Effect.as(Effect.logError("a request failed", defect), refusal(internalError("the request could not be handled")))
    )
  )

const answer = (authenticate: Authenticate, api: Api, request: IncomingMessage): Effect.Effect<ApiResponse> =>
  orRefusal(Effect.gen(function*() {
    const url = urlOf(request)
    const user = yield* userOf(authenticate, request)
    const contentType = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? ""
    const apiRequest: ApiRequest = {
      method: request.method === "HEAD" ? "GET" : request.method ?? "GET",
      path: yield* decodePath(url),
      query: url.searchParams,
      accept: request.headers.accept ?? "",
      contentType,
      user,
      json: yield* Effect.cached(readJson(request, contentType))
    }
    return yield* handle(api, apiRequest)
  }))

const write = (response: ServerResponse, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) => {
    response.write(bytes, () => resume(Effect.void))
  })

/** The API server's own bounds, in characters (`filters/warning.go`): of all together, and of each once that is passed. */
const warningsLimit = 4096
const warningLimit = 256

/** `NewWarningHeader` of apimachinery: Node takes the bytes of UTF-8 as the characters of Latin-1. */
const warningHeader = (text: string): string =>
  Buffer.from(`299 - ${JSON.stringify(text.replaceAll("\u007f", "?"))}`).toString("latin1")

const warningHeaders = (warnings: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (warnings.reduce((sum, { length }) => sum + length, 0) <= warningsLimit) return warnings.map(warningHeader)
  return warnings.slice(0, warningsLimit / warningLimit).map((text) => warningHeader(text.slice(0, warningLimit)))
}

const headersOf = (
  { body, contentType = "application/json", warnings = [] }: Extract<ApiResponse, { readonly _tag: "Json" }>
) => {
  const { details } = body as Partial<Status>
  const seconds = details?.retryAfterSeconds
  const headers = [
    ["content-type", contentType],
    ...(seconds === undefined ? [] : [["retry-after", String(seconds)]]),
    ...warningHeaders(warnings).map((text) => ["warning", text])
  ]
  return headers.flat()
}

const respond = (response: ServerResponse, answer: ApiResponse): Effect.Effect<void> => {
  switch (answer._tag) {
    case "Json":
      return Effect.sync(() => {
        response.writeHead(answer.code, headersOf(answer)).end(`${JSON.stringify(answer.body)}\n`)
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
      }).pipe(Effect.catchTag("CutOff", () => Effect.sync(() => response.destroy())))
  }
}

/** Completes when the client has gone, or has been answered. */
const closed = (response: ServerResponse): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (response.closed) return resume(Effect.void)
    response.once("close", () => resume(Effect.void))
  })

/** An upgrade is a call of the API like any other: its caller is known, may do it, and may meet a fault. */
const admitUpgrade = (authenticate: Authenticate, { faults, store }: Api): UpgradeOptions["admit"] =>
  Effect.fnUntraced(function*(subresource, namespace, name, request) {
    const user = yield* userOf(authenticate, request)
    const path = urlOf(request).pathname
    const asked = { group: "", resource: "pods", subresource, namespace, name, path }
    const verbs = streamVerbs(request.method ?? "")
    for (const verb of verbs) yield* authorize(store, user, { ...asked, verb })
    yield* faults.request({ ...asked, verb: "create" })
  })

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
}

/** A listening server, whose API is given once its address is known. Closing the scope ends every connection. */
export const listenServer = Effect.fnUntraced(function*(
  options: ServerOptions
): Effect.fn.Return<
  {
    readonly port: number
    readonly serve: (api: Api, authenticate: Authenticate) => Effect.Effect<void, never, Scope.Scope>
  },
  MiniclusterError,
  Scope.Scope
> {
  const { certificates, host } = options
  const server = createServer({
    cert: certificates.certificate,
    key: certificates.privateKey,
    ca: certificates.authority,
    // Whoever has no certificate, or another's, is judged by what else they bring.
    requestCert: true,
    rejectUnauthorized: false,
    maxHeaderSize,
    // Any other protocol that a client would like is ignored, as Go does; before Node 24.9 it is refused.
    shouldUpgradeCallback: ({ headers }) => /^(websocket|spdy\/3\.1)$/i.test(headers.upgrade ?? "")
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
  const serve = Effect.fnUntraced(function*(api: Api, authenticate: Authenticate) {
    const fork = yield* FiberSet.makeRuntime<never>()
    server.on("request", (request, response) => {
      fork(
        Effect.raceFirst(
          Effect.flatMap(answer(authenticate, api, request), (found) => respond(response, found)),
          closed(response)
        ).pipe(
          Effect.catchDefect((defect) =>
            Effect.andThen(Effect.logError("an answer failed", defect), Effect.sync(() => response.destroy()))
          )
        )
      )
    })
    server.on("upgrade", (request, socket, head) => {
      socket.on("error", () => socket.destroy())
      const { faults, kubelet, store } = api
      const admit = admitUpgrade(authenticate, api)
      fork(serveUpgrade({ sockets, store, kubelet, faults, admit }, request, socket, head))
    })
  })
  return { port, serve }
})
