/** `pods/portforward`: connections to a pod's ports. Pods share the machine's network, so these are the machine's. */
import { Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { connect, type Socket } from "node:net"
import { type Duplex } from "node:stream"
import { type WebSocket } from "ws"
import { type ApiError, badRequest, internalError } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type Kubelet } from "../node/Kubelet.ts"
import { type ByteSink, type ByteSource, sinkOf, sourceOf } from "../runtime/Bytes.ts"
import { type Pod } from "../shapes/Objects.ts"
import { send, takeSocket, unreadLimit } from "./Channels.ts"
import { dialFailure } from "./ExecFaults.ts"
import { streamCreationTimeout } from "./ExecSpdy.ts"
import { makeInbox } from "./Inbox.ts"
import { serveSpdy, type SpdyStream } from "./SpdyStreams.ts"

/** What the system calls a failed connect, in Go's words. */
const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EADDRNOTAVAIL: "cannot assign requested address",
  EAFNOSUPPORT: "address family not supported by protocol",
  ENETUNREACH: "network is unreachable",
  ETIMEDOUT: "connection timed out"
}

/** The text after a port's number, where it is one. */
const parsePort = (text: string): number | undefined => {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port > 0 && port < 65536 ? port : undefined
}

/** Where a forward leads to. */
export interface ForwardTarget {
  readonly pod: Pod
  /** False once the pod is gone or has ended: its ports are the machine's, and may be another's by then. */
  readonly isUp: Effect.Effect<boolean>
}

/** Refuses before the upgrade what the API server and the kubelet refuse. */
export const admitForward = Effect.fnUntraced(
  function*(
    store: Store,
    kubelet: Kubelet,
    namespace: string,
    name: string
  ): Effect.fn.Return<ForwardTarget, ApiError> {
    const pod: Pod = yield* store.get("pods", namespace, name)
    if ((pod.spec.nodeName ?? "") === "") return yield* badRequest(`pod ${name} does not have a host assigned`)
    if (kubelet.isLost()) return yield* internalError(dialFailure)
    const containers = [...pod.spec.containers, ...pod.spec.initContainers ?? []]
    if (!containers.some((container) => kubelet.running(pod, container.name) !== undefined)) {
      return yield* internalError(`unable to upgrade connection: pod not found ("${name}_${namespace}")`)
    }
    const isUp = Effect.match(store.get("pods", namespace, name), {
      onFailure: () => false,
      onSuccess: ({ metadata, status }: Pod) =>
        metadata.uid === pod.metadata.uid && status.phase !== "Succeeded" && status.phase !== "Failed"
    })
    return { pod, isUp }
  }
)

/** The ports of a plain request, which names them in its query. */
export const parsePorts = (query: URLSearchParams): Effect.Effect<ReadonlyArray<number>, ApiError> =>
  Effect.suspend(() => {
    const texts = query.getAll("ports").flatMap((text) => text.split(","))
    if (texts.length === 0) return badRequest(`query parameter "ports" is required`)
    const ports = texts.flatMap((text) => parsePort(text) ?? [])
    return ports.length === texts.length
      ? Effect.succeed(ports)
      : badRequest(`invalid ports "${texts.join(",")}": each must be between 1 and 65535`)
  })

const connectTo = (host: string, port: number): Effect.Effect<Socket, string, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Socket, string>((resume) => {
      const socket = connect({ host, port, allowHalfOpen: true, noDelay: true })
      socket.once("connect", () => resume(Effect.succeed(socket)))
      socket.on("error", (error: NodeJS.ErrnoException) => {
        socket.destroy()
        resume(Effect.fail(reasons[error.code ?? ""] ?? error.message))
      })
      return Effect.sync(() => socket.destroy())
    }),
    (socket) => Effect.sync(() => socket.destroy()),
    { interruptible: true }
  )

/** Fails with containerd's sentence about a pod that has gone, or a port that nobody listens on. */
const dial = Effect.fnUntraced(
  function*({ isUp, pod }: ForwardTarget, port: number): Effect.fn.Return<Socket, string, Scope.Scope> {
    const sandbox = pod.metadata.uid.replaceAll("-", "")
    const failed = `error forwarding port ${port} to pod ${sandbox}, uid : `
    if (!(yield* isUp)) return yield* Effect.fail(`${failed}network namespace for sandbox "${sandbox}" is closed`)
    return yield* connectTo("127.0.0.1", port).pipe(
      Effect.catch((four) =>
        Effect.mapError(
          connectTo("::1", port),
          (six) =>
            `${failed}failed to execute portforward in network namespace "host": failed to connect to localhost:${port} inside namespace "${sandbox}", IPv4: dial tcp4 127.0.0.1:${port}: connect: ${four} IPv6 dial tcp6 [::1]:${port}: connect: ${six} `
        )
      )
    )
  }
)

const copy = Effect.fnUntraced(function*(from: ByteSource, to: ByteSink) {
  for (let bytes = yield* from.read; bytes !== undefined; bytes = yield* from.read) {
    if (!(yield* to.write(bytes))) return
  }
  yield* to.end
})

/** Connects and copies both ways, each to its own end; fails with what the client is told. */
const forward = (target: ForwardTarget, port: number, from: ByteSource, to: ByteSink): Effect.Effect<void, string> =>
  Effect.scoped(Effect.gen(function*() {
    const socket = yield* dial(target, port)
    yield* Effect.all([copy(from, sinkOf(socket)), copy(sourceOf(socket), to)], { concurrency: "unbounded" })
  }))

interface Pair {
  readonly error?: SpdyStream
  readonly data?: SpdyStream
}

/** One connection: a pair of streams with the same request id, of which `error` takes what went wrong. */
const servePair = Effect.fnUntraced(function*(target: ForwardTarget, { data, error }: Required<Pair>) {
  const port = parsePort(data.headers.get("port") ?? "")
  yield* (port === undefined
    ? Effect.fail(`invalid port "${data.headers.get("port")}"`)
    : Effect.raceFirst(forward(target, port, data.source, data.sink), data.dropped)).pipe(
      Effect.catch((message) => error.sink.write(Buffer.from(message)))
    )
  for (const { release, sink } of [error, data]) yield* Effect.andThen(sink.end, release)
})

/** SPDY, on a socket of its own or inside a WebSocket: any number of connections, each of two streams. */
export const forwardStreams = Effect.fnUntraced(
  function*(transport: Duplex, target: ForwardTarget): Effect.fn.Return<void, never, Scope.Scope> {
    const connection = yield* serveSpdy(transport)
    const pairs = new Map<string, Pair>()
    for (let stream = yield* connection.accept; stream !== undefined; stream = yield* connection.accept) {
      const type = stream.headers.get("streamtype")
      const id = stream.headers.get("requestid") ?? ""
      const before = pairs.get(id) ?? {}
      if ((type !== "error" && type !== "data") || before[type] !== undefined) {
        yield* Effect.andThen(stream.sink.end, stream.release)
        continue
      }
      const pair: Pair = { ...before, [type]: stream }
      const { data, error } = pair
      if (data !== undefined && error !== undefined) {
        pairs.delete(id)
        yield* Effect.forkScoped(servePair(target, { data, error }))
        continue
      }
      pairs.set(id, pair)
      const forget = Effect.suspend(() => {
        if (pairs.get(id) !== pair) return Effect.void
        pairs.delete(id)
        return Effect.andThen(stream.sink.end, stream.release)
      })
      yield* Effect.forkScoped(Effect.delay(forget, streamCreationTimeout))
    }
  }
)

/**
 * v4.channel.k8s.io: one connection for each port in the query, on a channel for its bytes (2i) and one for what went
 * wrong (2i + 1). Each channel begins with its port, little-endian. A connection's end is the socket's.
 */
export const forwardChannels = Effect.fnUntraced(
  function*(
    socket: WebSocket,
    target: ForwardTarget,
    ports: ReadonlyArray<number>
  ): Effect.fn.Return<void, never, Scope.Scope> {
    const full = new Set<number>()
    const inboxes = yield* Effect.forEach(ports, (_port, index) =>
      makeInbox(unreadLimit, (isFull) => {
        if (isFull) full.add(index)
        else full.delete(index)
        stop(full.size > 0)
      }))
    const { closed, finish, stop } = yield* takeSocket(socket, (channel = 1, payload) => {
      if (channel % 2 === 0) inboxes[channel / 2]?.offer(payload)
    })
    const all = Effect.forEach(inboxes, (inbox, index) =>
      Effect.gen(function*() {
        const port = ports[index] ?? 0
        const [data, error] = [2 * index, 2 * index + 1]
        const number = Buffer.of(port & 0xff, port >>> 8)
        yield* Effect.andThen(send(socket, data, number), send(socket, error, number))
        yield* forward(target, port, inbox, {
          write: (bytes) => send(socket, data, bytes),
          // A channel has no half; the inbox ends so that what the client still says is not waited for.
          end: Effect.sync(inbox.end)
        }).pipe(Effect.catch((message) => send(socket, error, Buffer.from(message))))
      }), { concurrency: "unbounded", discard: true })
    if ((yield* Effect.raceFirst(Effect.as(all, true), Effect.as(closed, false)))) yield* finish
  }
)
