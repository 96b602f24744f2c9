/**
 * One exec over one WebSocket. The callbacks of `ws` stand here and nowhere else.
 *
 * A byte of output costs no Effect of its own: messages go into the buffer as they come. Memory is bounded in both
 * directions, see `BUFFER_LIMIT_BYTES`, `MESSAGE_LIMIT_BYTES` and `STDIN_BUFFER_BYTES`.
 */
import { Deferred, Effect, type Scope } from "effect"
import {
  type ClusterError,
  type ClusterErrorReason,
  type ExecExit,
  ProtocolViolation,
  stderr,
  stdout,
  StreamLost
} from "kuberun"
import { type ClientOptions, type RawData, WebSocket } from "ws"
import { KEEP_ALIVE_MILLIS, type SocketAccess } from "./ApiAccess.ts"
import { describeConnectionError, failed } from "./ApiFault.ts"
import * as ExecHandshake from "./ExecHandshake.ts"
import * as ExecWire from "./ExecWire.ts"
import * as Liveness from "./Liveness.ts"
import * as OutputBuffer from "./OutputBuffer.ts"

/**
 * The largest message taken. Servers copy output in pieces of 32 KiB; the rest is for those that do not. A larger one
 * ends the stream: it would be held in memory as a whole.
 */
export const MESSAGE_LIMIT_BYTES = 1024 * 1024

/** stdin goes in messages of at most this: the size that kubectl sends, far below the 32 MiB that the server takes. */
export const STDIN_MESSAGE_BYTES = 32 * 1024

/** How much of stdin may wait here for the network. More would only hold back a change of the terminal's size. */
export const STDIN_BUFFER_BYTES = 128 * 1024

/** How long the other side has to answer our close before the connection is cut. */
export const CLOSE_GRACE_MILLIS = 1000

/** A status is a few hundred bytes; the text of an error in it may be some thousand. */
const STATUS_LIMIT_BYTES = 64 * 1024

export interface ExecSocket {
  /**
   * The subprotocol, when the server has accepted the stream. When it refused, or was not reached, or the wait is
   * interrupted, the socket is closed at once.
   */
  readonly opened: Effect.Effect<string, ClusterError>
  readonly output: OutputBuffer.OutputBuffer
  readonly exit: Effect.Effect<ExecExit, ClusterError>
  /** Completes when the status channel has said something, or the socket is closed. */
  readonly told: Effect.Effect<void>
  /** Sends these bytes as stdin, and waits while too much waits already. False: the program has ended, send no more. */
  readonly write: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<boolean, ClusterError>
  /** Sends one message, or drops it when the socket is no longer open. Waits only until it is handed to the network. */
  readonly send: (message: Uint8Array) => Effect.Effect<void, ClusterError>
  /**
   * Sends one message when there is room, without making the caller wait for it. Of several that had to wait, only the
   * last is sent: a program that does not read must not make us collect sizes of its terminal.
   */
  readonly post: (message: Uint8Array) => void
  /** Pings; and gives up when the other side counts as dead. To be called once every `Liveness.PING_INTERVAL`. */
  readonly beat: () => void
  /** How many messages have come so far. */
  readonly received: () => number
  /** Ends the output as it stands, then the socket: for a server that does not close after the status. */
  readonly finish: () => void
}

/** How it ended: with the program's exit, or with an error. */
type Ending =
  | { readonly _tag: "Exit"; readonly exit: ExecExit }
  | { readonly _tag: "Fault"; readonly error: ClusterError }

/** `closeTimeout` is a documented option of `ws` that its types do not know yet. */
interface Options extends ClientOptions {
  readonly closeTimeout: number
}

const optionsOf = ({ headers, tls, ...access }: SocketAccess): Options => ({
  ...tls,
  ...access,
  headers: { ...headers },
  closeTimeout: CLOSE_GRACE_MILLIS,
  followRedirects: false,
  maxPayload: MESSAGE_LIMIT_BYTES,
  // Go's server takes every frame for a message, so none may be compressed or fragmented.
  perMessageDeflate: false
})

const BINARY = { binary: true, fin: true, compress: false } as const

/** All but the default `binaryType` apart, `ws` gives one Buffer. */
const bytesOf = (data: RawData): Buffer =>
  Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)

function* pieces(chunks: ReadonlyArray<Uint8Array>): Generator<Uint8Array, undefined> {
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length; from += STDIN_MESSAGE_BYTES) {
      yield chunk.subarray(from, from + STDIN_MESSAGE_BYTES)
    }
  }
}

/** Opens the socket, which is closed with the scope: within `CLOSE_GRACE_MILLIS`, and at once when it is not open. */
export const make = (
  url: string,
  access: SocketAccess,
  operation: string,
  onUnknownChannel: (channel: number) => void
): Effect.Effect<ExecSocket, ClusterError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({
        try: () => connect(url, access, operation, onUnknownChannel),
        catch: (error) => failed(operation)(new ProtocolViolation({ detail: describeConnectionError(error) }))
      }),
      ({ release }) => release
    ),
    ({ exec }) => exec
  )

const connect = (
  url: string,
  access: SocketAccess,
  operation: string,
  onUnknownChannel: (channel: number) => void
): { readonly exec: ExecSocket; readonly release: Effect.Effect<void> } => {
  const fault = failed(operation)
  const socket = new WebSocket(url, ExecWire.SUBPROTOCOLS, optionsOf(access))
  const output = OutputBuffer.make({ pause: () => socket.pause(), resume: () => socket.resume() })
  const liveness = Liveness.make()
  const opened = Deferred.makeUnsafe<string, ClusterError>()
  const exit = Deferred.makeUnsafe<ExecExit, ClusterError>()
  const told = Deferred.makeUnsafe<void>()
  const closed = Deferred.makeUnsafe<void>()

  let ending: Ending | undefined
  let status: Buffer = Buffer.alloc(0)
  let received = 0
  let isUp = false
  let discarding = false
  let unknownTold = false
  let lastError: unknown
  /** The writer that waits for room, or for the end. */
  let waiting: (() => void) | undefined
  /** The message that waits for room. */
  let posted: Uint8Array | undefined

  const isOpen = () => socket.readyState === WebSocket.OPEN
  const hasRoom = () => socket.bufferedAmount < STDIN_BUFFER_BYTES

  const sendPosted = () => {
    if (posted === undefined || !isOpen() || !hasRoom()) return
    const message = posted
    posted = undefined
    socket.send(message, BINARY, proceed)
  }

  /** After every message that was handed to the network, and at the end. */
  const proceed = () => {
    sendPosted()
    const writer = waiting
    waiting = undefined
    writer?.()
  }

  const settle = (end: Ending) => {
    if (ending !== undefined) return
    ending = end
    Deferred.doneUnsafe(exit, end._tag === "Exit" ? Effect.succeed(end.exit) : Effect.fail(end.error))
    proceed()
  }

  /** Nothing that may still come counts. What has come can still be read. */
  const conclude = (reason: ClusterErrorReason) => {
    const known = status.length === 0 ? reason : ExecWire.unreadable(status.toString("utf8"))
    settle({ _tag: "Fault", error: fault(known) })
    output.end(ending?._tag === "Fault" ? ending.error : undefined)
    Deferred.doneUnsafe(told, Effect.void)
  }

  const close = (code: number) => {
    discarding = true
    socket.resume()
    socket.close(code)
  }

  const violate = (detail: string) => {
    settle({ _tag: "Fault", error: fault(new ProtocolViolation({ detail })) })
    conclude(new ProtocolViolation({ detail }))
    close(1002)
  }

  const takeStatus = (bytes: Buffer) => {
    if (bytes.length === 0 || ending !== undefined) return
    status = Buffer.concat([status, bytes])
    const text = status.toString("utf8")
    const read = ExecWire.readStatus(text)
    if (read._tag === "Ended") settle({ _tag: "Exit", exit: read.exit })
    else if (read._tag === "Unreadable" || status.length > STATUS_LIMIT_BYTES) {
      return violate(ExecWire.unreadable(text).detail)
    }
    Deferred.doneUnsafe(told, Effect.void)
  }

  const takeMessage = (message: Buffer) => {
    const channel = message[0]
    const payload = message.subarray(1)
    switch (channel) {
      case undefined:
        return violate("the cluster sent a message without a channel")
      case ExecWire.Channel.stdout:
        return payload.length === 0 ? undefined : output.push(stdout(payload))
      case ExecWire.Channel.stderr:
        return payload.length === 0 ? undefined : output.push(stderr(payload))
      case ExecWire.Channel.status:
        return takeStatus(payload)
      default:
        // As kubectl does: told, and skipped.
        if (!unknownTold) onUnknownChannel(channel)
        unknownTold = true
        return undefined
    }
  }

  socket.on("upgrade", (response) => response.socket.setKeepAlive(true, KEEP_ALIVE_MILLIS))
  socket.on("open", () => {
    isUp = true
    Deferred.doneUnsafe(opened, Effect.succeed(socket.protocol))
  })
  socket.on("unexpected-response", (_request, response) => {
    ExecHandshake.readRefusal(response, (reason) => {
      Deferred.doneUnsafe(opened, Effect.fail(fault(reason)))
    })
  })
  socket.on("message", (data, isBinary) => {
    received += 1
    liveness.heard()
    if (discarding) return
    if (isBinary) takeMessage(bytesOf(data))
    else violate("the cluster sent a text message where all are binary")
  })
  socket.on("ping", () => liveness.heard())
  socket.on("pong", (payload) => {
    liveness.heard()
    liveness.acknowledged(payload.toString("latin1"))
  })
  // Comes before "close", and also after our own end: there must always be a listener.
  socket.on("error", (error) => {
    lastError ??= error
    Deferred.doneUnsafe(opened, Effect.fail(fault(ExecHandshake.faultOfHandshake(error))))
  })
  socket.on("close", (code) => {
    const cause = lastError === undefined ? `closed with code ${code}` : describeConnectionError(lastError)
    const detail = `the stream broke off before the cluster told how the program ended (${cause})`
    conclude(ExecHandshake.isProtocolError(lastError) ? new ProtocolViolation({ detail }) : new StreamLost({ detail }))
    Deferred.doneUnsafe(opened, Effect.fail(fault(new StreamLost({ detail }))))
    Deferred.doneUnsafe(closed, Effect.void)
    proceed()
  })

  /** The end as a writer sees it. */
  const outcome = (end: Ending): Effect.Effect<boolean, ClusterError> =>
    end._tag === "Exit" ? Effect.succeed(false) : Effect.fail(end.error)

  const write = (chunks: ReadonlyArray<Uint8Array>) =>
    Effect.callback<boolean, ClusterError>((resume) => {
      const remaining = pieces(chunks)
      const step = () => {
        while (true) {
          if (ending !== undefined) return resume(outcome(ending))
          if (!isOpen() || !hasRoom()) break
          const piece = remaining.next()
          if (piece.value === undefined) return resume(Effect.succeed(true))
          liveness.sent(piece.value.length)
          socket.send(ExecWire.stdinMessage(piece.value), BINARY, proceed)
        }
        waiting = step
      }
      step()
      return Effect.sync(() => {
        waiting = undefined
      })
    })

  const send = (message: Uint8Array) =>
    Effect.callback<void, ClusterError>((resume) => {
      if (ending?._tag === "Fault") return resume(Effect.fail(ending.error))
      if (ending !== undefined || !isOpen()) return resume(Effect.void)
      // An error here is told by the close that follows it.
      socket.send(message, BINARY, () => resume(Effect.void))
    })

  const release = Effect.suspend(() => {
    // Before it was open there is nothing to close in good order, and `ws` has no socket yet to resume.
    if (isUp) close(1000)
    else socket.terminate()
    return Deferred.await(closed)
  })

  return {
    release,
    exec: {
      opened: Deferred.await(opened).pipe(Effect.onError(() => release)),
      output,
      exit: Deferred.await(exit),
      told: Deferred.await(told),
      write,
      send,
      post: (message) => {
        posted = message
        sendPosted()
      },
      beat: () => {
        if (!isOpen()) return
        if (liveness.isDead(output.isPaused())) {
          const detail = "the stream broke off: the cluster no longer answers"
          settle({ _tag: "Fault", error: fault(new StreamLost({ detail })) })
          socket.terminate()
        } else socket.ping(liveness.ping(), true, proceed)
      },
      received: () => received,
      finish: () => {
        conclude(new StreamLost({ detail: "the stream was ended here" }))
        close(1000)
      }
    }
  }
}
