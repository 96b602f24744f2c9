/** Requests that leave HTTP behind: what is asked for, by which protocol, and by whom it is served. */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { type IncomingMessage, STATUS_CODES } from "node:http"
import { type Duplex } from "node:stream"
import { type ServerOptions as WebSocketServerOptions, type WebSocket, WebSocketServer } from "ws"
import { admitExec } from "./Exec.ts"
import { protocols, serveExec } from "./ExecChannel.ts"
import { type Faults } from "./Faults.ts"
import { type Kubelet } from "./Kubelet.ts"
import { decodePath, urlOf } from "./RequestPath.ts"
import { type ApiError, badRequest } from "./Status.ts"
import { type Store } from "./Store.ts"

/** The limit of golang.org/x/net/websocket for one frame. */
const frameLimit = 32 * 1024 * 1024
/** How long a client may take to read what is still on its way after the program's end, as the real translator waits. */
const closeTimeout = 15 * 60_000

export interface UpgradeOptions {
  readonly sockets: WebSocketServer
  readonly store: Store
  readonly kubelet: Kubelet
  readonly faults: Faults
  /** Authentication and authorisation of one request for a pod's subresource. */
  readonly admit: (
    subresource: string,
    namespace: string,
    name: string,
    request: IncomingMessage
  ) => Effect.Effect<void, ApiError>
}

/** The first name in the client's order that is known here. */
const chooseProtocol = (offered: ReadonlyArray<string>): string | undefined =>
  offered.find((name) => protocols.includes(name))

const webSocketOptions: WebSocketServerOptions & { readonly closeTimeout: number } = {
  noServer: true,
  perMessageDeflate: false,
  maxPayload: frameLimit,
  closeTimeout,
  handleProtocols: (offered) => chooseProtocol(Array.from(offered)) ?? false
}

/** What accepts WebSockets; its owner terminates its `clients` in the end. */
export const makeSockets = (): WebSocketServer => new WebSocketServer(webSocketOptions)

const refuse = (socket: Duplex, { status }: ApiError): Effect.Effect<void> =>
  Effect.sync(() => {
    const body = JSON.stringify(status)
    socket.end(
      `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? ""}\r\nContent-Type: application/json\r\nContent-Length: ${
        Buffer.byteLength(body)
      }\r\nConnection: close\r\n\r\n${body}`
    )
  })

/** Serves one upgrade to its end, or refuses it with a Status. */
export const serveUpgrade = (
  options: UpgradeOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer
): Effect.Effect<void> => {
  const { admit, kubelet, sockets, store } = options
  const serve = Effect.gen(function*() {
    const url = urlOf(request)
    const path = yield* decodePath(url)
    const [root, version, namespaces, namespace = "", pods, name = "", subresource = ""] = path
    yield* admit(subresource, namespace, name, request)
    const isExec = [root, version, namespaces, pods, subresource].join("/") === "api/v1/namespaces/pods/exec"
    if (!isExec || path.length !== 7) return yield* badRequest("no upgrade is served at this path")
    const exec = yield* admitExec(store, kubelet, namespace, name, url.searchParams)
    const isWebSocket = request.method === "GET" && (request.headers.upgrade ?? "").toLowerCase() === "websocket"
    if (!isWebSocket) {
      return yield* badRequest(
        `unable to upgrade: only WebSocket is served here, not ${request.headers.upgrade ?? "this"}`
      )
    }
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((one) => one.trim())
    if (chooseProtocol(offered) === undefined) {
      return yield* badRequest(`unable to upgrade: none of the protocols offered is served: ${offered.join(", ")}`)
    }
    const webSocket = yield* Effect.callback<WebSocket>((resume) =>
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        // Until a fiber listens, nothing may be read: a message without a listener is lost.
        webSocket.pause()
        resume(Effect.succeed(webSocket))
      })
    )
    return yield* serveExec(webSocket, exec.streams, exec.start)
  })
  return serve.pipe(
    Effect.catchTag("ApiError", (error) => refuse(socket, error)),
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("an exec failed", defect), Effect.sync(() => socket.destroy()))
    )
  )
}
