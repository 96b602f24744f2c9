/**
 * The remotecommand protocol over a WebSocket, server's side: v4.channel.k8s.io and v5.channel.k8s.io.
 *
 * Binary messages whose first byte names the channel: 0 stdin, 1 stdout, 2 stderr, 3 status, 4 resize, and in v5
 * 255 to close one (k8s.io/apimachinery/pkg/util/remotecommand, KEP-4006).
 */
import { Deferred, Effect, Queue, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type RawData, type WebSocket } from "ws"
import { type ByteSource } from "./Bytes.ts"
import { type Process } from "./Process.ts"
import { type TerminalSize } from "./Pty.ts"

export const protocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"]

export interface ExecStreams {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

/** What the runtime says instead of running the program. */
export interface ExecRefusal {
  readonly message: string
}

/** Unsent bytes of a client that does not read, above which its program's output is not read either. */
const unsentLimit = 256 * 1024
/** Bytes of a client that the program has not taken, above which nothing more is read from the client. */
const unreadLimit = 1024 * 1024
/** client-go gives up a link that shows no pong for 60 s, and its pings cannot be read while its bytes are not. */
const pongEvery = "5 seconds"
/** A resize is a few dozen bytes: a longer piece without a whole one in it is no resize. */
const resizeLimit = 4096

const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 }
const nothing = new Uint8Array(0)

const frame = (id: number, bytes: Uint8Array): Buffer => Buffer.concat([Buffer.of(id), bytes])

/** The status of the program's end, as `ServeExec` of the kubelet's streaming server writes it. */
export const exitStatus = (code: number): object =>
  code === 0
    ? { metadata: {}, status: "Success" }
    : {
      metadata: {},
      status: "Failure",
      message: `command terminated with non-zero exit code: command terminated with exit code ${code}`,
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: String(code) }] }
    }

/** The status of anything else that went wrong. */
export const failureStatus = (message: string): object => ({
  metadata: {},
  status: "Failure",
  message: `Internal error occurred: ${message}`,
  reason: "InternalError",
  details: { causes: [{ message }] },
  code: 500
})

/** Takes whole JSON objects from the front of `text`; field names count without their case, as Go reads them. */
export const parseResizes = (text: string): { readonly sizes: ReadonlyArray<TerminalSize>; readonly rest: string } => {
  const sizes: Array<TerminalSize> = []
  const whole = /\{[^{}]*\}/g
  let end = 0
  for (let found = whole.exec(text); found !== null; found = whole.exec(text)) {
    end = whole.lastIndex
    const width = /"width"\s*:\s*(\d{1,5})\b/i.exec(found[0])?.[1]
    const height = /"height"\s*:\s*(\d{1,5})\b/i.exec(found[0])?.[1]
    if (width !== undefined && height !== undefined) sizes.push({ width: Number(width), height: Number(height) })
  }
  return { sizes, rest: text.slice(end).slice(-resizeLimit) }
}

const bytesOf = (data: RawData): Buffer =>
  Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(new Uint8Array(data))

/** Sends one frame; completes at once while little is unsent, else when this frame has left. False when the client is gone. */
const send = (socket: WebSocket, id: number, bytes: Uint8Array): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const much = socket.bufferedAmount > unsentLimit
    socket.send(frame(id, bytes), (error) => {
      if (much) resume(Effect.succeed(error === null || error === undefined))
    })
    if (!much) resume(Effect.succeed(socket.readyState === socket.OPEN))
  })

const pump = Effect.fnUntraced(function*(socket: WebSocket, id: number, source: ByteSource) {
  for (let bytes = yield* source.read; bytes !== undefined; bytes = yield* source.read) {
    if (!(yield* send(socket, id, bytes))) return
  }
})

/** What the client sends, taken from the socket from the first moment on. */
interface Incoming {
  /** Pieces of stdin; `undefined` is its end. Bounded by pausing the socket. */
  readonly stdin: Queue.Queue<Uint8Array | undefined>
  /** To be called when a piece was handed on. */
  readonly taken: (bytes: number) => void
  readonly resizes: Queue.Queue<TerminalSize>
  readonly closed: Effect.Effect<void>
}

const listen = Effect.fnUntraced(function*(socket: WebSocket, streams: ExecStreams) {
  // Unbounded in pieces, bounded in bytes: see `unreadLimit`.
  const stdin = yield* Queue.unbounded<Uint8Array | undefined>()
  // Only the newest size matters.
  const resizes = yield* Queue.sliding<TerminalSize>(1)
  const closed = Deferred.makeUnsafe<void>()
  let unread = 0
  let resizeText = ""
  socket.on("message", (data) => {
    const bytes = bytesOf(data)
    const payload = bytes.subarray(1)
    if (bytes[0] === channel.stdin && streams.stdin && payload.length > 0) {
      unread += payload.length
      Queue.offerUnsafe(stdin, payload)
      if (unread > unreadLimit) socket.pause()
    } else if (bytes[0] === channel.resize && streams.tty) {
      const { rest, sizes } = parseResizes(resizeText + payload.toString("utf8"))
      resizeText = rest
      for (const size of sizes) Queue.offerUnsafe(resizes, size)
    } else if (bytes[0] === channel.close && payload[0] === channel.stdin && socket.protocol === protocols[0]) {
      Queue.offerUnsafe(stdin, undefined)
    }
  })
  socket.on("error", () => socket.terminate())
  socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
  // It was handed over paused: a message without a listener is lost.
  socket.resume()
  yield* Effect.forkScoped(
    Effect.forever(Effect.andThen(
      Effect.sleep(pongEvery),
      Effect.sync(() => {
        if (socket.isPaused && socket.readyState === socket.OPEN) socket.pong()
      })
    ))
  )
  const incoming: Incoming = {
    stdin,
    resizes,
    closed: Deferred.await(closed),
    taken: (bytes) => {
      unread -= bytes
      if (unread <= unreadLimit / 2 && socket.isPaused && socket.readyState === socket.OPEN) socket.resume()
    }
  }
  return incoming
})

const feed = Effect.fnUntraced(function*(process: Process, incoming: Incoming) {
  for (;;) {
    const bytes = yield* Queue.take(incoming.stdin)
    if (bytes === undefined) return yield* process.stdin?.end ?? Effect.void
    // A program that has closed its stdin loses the rest, and a client is not stalled by it.
    yield* process.stdin?.write(bytes) ?? Effect.succeed(false)
    incoming.taken(bytes.length)
  }
})

/** Runs the program to its end and answers the status; its output has been accepted by the socket by then. */
const run = Effect.fnUntraced(function*(
  socket: WebSocket,
  incoming: Incoming,
  start: (size: TerminalSize | undefined) => Effect.Effect<Process, ExecRefusal, Scope.Scope>
) {
  const process = yield* start(
    yield* Effect.map(Queue.poll(incoming.resizes), (size) => size._tag === "Some" ? size.value : undefined)
  )
  yield* Effect.forkScoped(feed(process, incoming))
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(incoming.resizes), process.resize)))
  yield* Effect.all([
    process.stdout === undefined ? Effect.void : pump(socket, channel.stdout, process.stdout),
    process.stderr === undefined ? Effect.void : pump(socket, channel.stderr, process.stderr)
  ], { concurrency: "unbounded" })
  return exitStatus(yield* process.exitCode)
})

/**
 * Serves one exec over an accepted socket. Completes when the socket has closed. A client that leaves takes the
 * program's pipes or terminal away, and is no reason to kill it.
 */
export const serveExec = (
  socket: WebSocket,
  streams: ExecStreams,
  start: (size: TerminalSize | undefined) => Effect.Effect<Process, ExecRefusal, Scope.Scope>
): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    yield* Effect.addFinalizer(() => Effect.sync(() => socket.terminate()))
    const incoming = yield* listen(socket, streams)
    const first = streams.stdout ? channel.stdout : streams.stderr ? channel.stderr : channel.status
    yield* send(socket, first, nothing)
    const program = Effect.scoped(run(socket, incoming, start)).pipe(
      Effect.catch(({ message }) => Effect.succeed(failureStatus(message)))
    )
    const status = yield* Effect.raceFirst(program, Effect.as(incoming.closed, undefined))
    if (status === undefined) return
    yield* send(socket, channel.status, Buffer.from(JSON.stringify(status)))
    // A paused socket would not see the client's answer to the close.
    socket.resume()
    socket.close(1000)
    yield* incoming.closed
  }))
