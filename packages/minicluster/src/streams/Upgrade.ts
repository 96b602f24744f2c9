/** Requests that leave HTTP behind: what is asked for, by which protocol, and by whom it is served. */
import { Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type IncomingMessage, STATUS_CODES } from "node:http"
import { type Duplex } from "node:stream"
import {
  createWebSocketStream,
  type ServerOptions as WebSocketServerOptions,
  type WebSocket,
  WebSocketServer
} from "ws"
import { decodePath, urlOf } from "../api/RequestPath.ts"
import { type ApiError, badRequest, internalError, noSuchResource } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type ExecFault, type Faults } from "../faults/Faults.ts"
import { type Kubelet } from "../node/Kubelet.ts"
import { admitAttach, admitExec } from "./Exec.ts"
import { channelLink } from "./ExecChannel.ts"
import { dialFailure, faultyLink, faultySession } from "./ExecFaults.ts"
import { type ExecLink, serveExec } from "./ExecSession.ts"
import { spdyLink } from "./ExecSpdy.ts"
import { admitForward, forwardChannels, forwardStreams, parsePorts } from "./PortForward.ts"

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

type Serve<Carrier> = (carrier: Carrier) => Effect.Effect<void, never, Scope.Scope>

/** What a request was admitted to: how it is served by each protocol's name. */
interface Served {
  readonly webSocket: Readonly<Record<string, Serve<WebSocket>>>
  readonly spdy: Readonly<Record<string, Serve<Duplex>>>
  readonly fault?: ExecFault | undefined
}

const webSocketOptions: WebSocketServerOptions & { readonly closeTimeout: number } = {
  noServer: true,
  // Answered by `answerPings`.
  autoPong: false,
  perMessageDeflate: false,
  maxPayload: frameLimit,
  closeTimeout
}

/** What accepts WebSockets; its owner terminates its `clients` in the end. */
export const makeSockets = (): WebSocketServer => new WebSocketServer(webSocketOptions)

/** A client that reads nothing must not have us keep an answer to each of its pings: one pong waits at most (RFC 6455 §5.5.3). */
const answerPings = (socket: WebSocket): void => {
  let waits = false
  socket.on("ping", (data) => {
    if (waits || socket.readyState !== socket.OPEN) return
    waits = true
    socket.pong(data, undefined, () => {
      waits = false
    })
  })
}

type Admit = (
  options: UpgradeOptions,
  namespace: string,
  name: string,
  query: URLSearchParams
) => Effect.Effect<Served, ApiError>

/** An exec or an attach, over any carrier. */
const sessions = (admitSession: typeof admitExec): Admit =>
  Effect.fnUntraced(function*({ faults, kubelet, store }, namespace, name, query): Effect.fn.Return<Served, ApiError> {
    const admitted = yield* admitSession(store, kubelet, namespace, name, query)
    const fault = yield* faults.exec
    const session = faultySession(admitted, fault)
    const over = (link: Effect.Effect<ExecLink | undefined, never, Scope.Scope>) =>
      Effect.flatMap(link, (found) =>
        found === undefined
          ? Effect.void
          : Effect.flatMap(faultyLink(found, fault), (faulty) => serveExec(faulty, session)))
    return {
      fault,
      webSocket: {
        "v5.channel.k8s.io": (socket) => over(channelLink(socket, session.streams, true)),
        "v4.channel.k8s.io": (socket) => over(channelLink(socket, session.streams, false))
      },
      spdy: { "v4.channel.k8s.io": (socket) => over(spdyLink(socket, session.streams)) }
    }
  })

/** By the pod's subresource. */
const admissions: Readonly<Record<string, Admit>> = {
  exec: sessions(admitExec),
  attach: sessions(admitAttach),
  portforward: Effect.fnUntraced(function*({ kubelet, store }, namespace, name, query) {
    const target = yield* admitForward(store, kubelet, namespace, name)
    const tunnel: Serve<WebSocket> = (socket) => forwardStreams(createWebSocketStream(socket), target)
    const channels = query.has("ports") ? yield* parsePorts(query) : undefined
    return {
      webSocket: {
        "SPDY/3.1+portforward.k8s.io": tunnel,
        ...(channels === undefined
          ? {}
          : { "v4.channel.k8s.io": (socket) => forwardChannels(socket, target, channels) })
      },
      spdy: { "portforward.k8s.io": (socket) => forwardStreams(socket, target) }
    }
  })
}

/** How long a client that was refused may take to close its end too. */
const lingering = "1 second"

const refuse = (socket: Duplex, { status }: ApiError): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    socket.once("close", () => resume(Effect.void))
    const body = JSON.stringify(status)
    const seconds = status.details?.retryAfterSeconds
    const head = [
      `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? ""}`,
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(seconds === undefined ? [] : [`Retry-After: ${seconds}`]),
      "Connection: close"
    ]
    socket.end(`${head.join("\r\n")}\r\n\r\n${body}`)
    // The client's own end is seen only by whoever reads.
    socket.resume()
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOption(lingering), Effect.asVoid)

/** The first name in the client's order that is served. */
const negotiate = <A>(served: Readonly<Record<string, A>>, offered: string | undefined) => {
  const names = (offered ?? "").split(",").map((name) => name.trim())
  const name = names.find((name) => Object.hasOwn(served, name))
  const serve = name === undefined ? undefined : served[name]
  return name === undefined || serve === undefined
    ? badRequest(
      `unable to upgrade: unable to negotiate protocol: client supports [${names.join(" ")}], server accepts [${
        Object.keys(served).join(" ")
      }]`
    )
    : Effect.succeed({ name, serve })
}

/**
 * Answers a WebSocket's handshake; `undefined` when ws has refused it. The protocol's name is kept from ws, which takes
 * the slash in a port-forward's for a mistake.
 */
const acceptWebSocket = (
  sockets: WebSocketServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string
): WebSocket | undefined => {
  delete request.headers["sec-websocket-protocol"]
  const addProtocol = (headers: Array<string>) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`)
  let accepted: WebSocket | undefined
  sockets.on("headers", addProtocol)
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    // Until a fiber listens, nothing may be read: a message without a listener is lost.
    webSocket.pause()
    answerPings(webSocket)
    accepted = webSocket
  })
  sockets.off("headers", addProtocol)
  return accepted
}

const acceptSpdy = (socket: Duplex, head: Buffer, protocol: string): void => {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`
  )
  if (head.length > 0) socket.unshift(head)
}

/** Completes when the client has gone, and drops it when nobody waits any more. */
const gone = (socket: Duplex): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    socket.resume()
    return Effect.sync(() => socket.destroy())
  })

/** Serves one upgrade to its end, or refuses it with a Status. */
export const serveUpgrade = (
  options: UpgradeOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer
): Effect.Effect<void> => {
  const serve = Effect.gen(function*() {
    const url = urlOf(request)
    const path = yield* decodePath(url)
    const [root, version, namespaces, namespace = "", pods, name = "", subresource = ""] = path
    yield* options.admit(subresource, namespace, name, request)
    const isPod = [root, version, namespaces, pods].join("/") === "api/v1/namespaces/pods" && path.length === 7
    const admission = isPod && Object.hasOwn(admissions, subresource) ? admissions[subresource] : undefined
    if (admission === undefined) return yield* noSuchResource
    const upgrade = (request.headers.upgrade ?? "").toLowerCase()
    const method = request.method ?? ""
    const isWebSocket = method === "GET" && upgrade === "websocket"
    const isSpdy = ["GET", "POST"].includes(method) && upgrade === "spdy/3.1"
    const served = yield* admission(options, namespace, name, url.searchParams)
    if (!isWebSocket && !isSpdy) return yield* badRequest("Upgrade request required")
    if (served.fault?._tag === "NoAnswer") return yield* gone(socket)
    if (isWebSocket) {
      const { name, serve } = yield* negotiate(served.webSocket, request.headers["sec-websocket-protocol"])
      const webSocket = acceptWebSocket(options.sockets, request, socket, head, name)
      return webSocket === undefined ? undefined : yield* serve(webSocket)
    }
    // Only a WebSocket is accepted before the node is dialled.
    if (served.fault?._tag === "DialFails") return yield* internalError(dialFailure)
    const { name: protocol, serve } = yield* negotiate(
      served.spdy,
      request.headersDistinct["x-stream-protocol-version"]?.join(",")
    )
    acceptSpdy(socket, head, protocol)
    return yield* serve(socket)
  })
  return Effect.scoped(serve).pipe(
    Effect.catchTag("ApiError", (error) => refuse(socket, error)),
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("an upgrade failed", defect), Effect.sync(() => socket.destroy()))
    )
  )
}
