/** Binary messages whose first byte names a channel: what the streaming protocols over WebSockets have in common. */
import { Deferred, Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type RawData, type WebSocket } from "ws"

/** Unsent bytes of a client that does not read, above which what is meant for it is not read either. */
export const unsentLimit = 256 * 1024
/** Bytes of a client that nobody has taken, above which nothing more is read from the client. */
export const unreadLimit = 1024 * 1024
/** client-go gives up a link that shows no pong for 60 s, and its pings cannot be read while its bytes are not. */
const pongEvery = "5 seconds"

const bytesOf = (data: RawData): Buffer =>
  Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(new Uint8Array(data))

/** Sends one frame; completes at once while little is unsent, else when this frame has left. False when the client is gone. */
export const send = (socket: WebSocket, id: number, bytes: Uint8Array): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const much = socket.bufferedAmount > unsentLimit
    socket.send(Buffer.concat([Buffer.of(id), bytes]), (error) => {
      if (much) resume(Effect.succeed(error === null || error === undefined))
    })
    if (!much) resume(Effect.succeed(socket.readyState === socket.OPEN))
  })

export interface Channels {
  readonly closed: Effect.Effect<void>
  /** Stops and resumes what the client sends. */
  readonly stop: (full: boolean) => void
  /** Closes with 1000, and completes when the client has read all that was sent. */
  readonly finish: Effect.Effect<void>
}

/** Takes a socket that was handed over paused; closing the scope drops it. */
export const takeSocket = Effect.fnUntraced(function*(
  socket: WebSocket,
  receive: (channel: number | undefined, payload: Buffer) => void
): Effect.fn.Return<Channels, never, Scope.Scope> {
  yield* Effect.addFinalizer(() => Effect.sync(() => socket.terminate()))
  const closed = Deferred.makeUnsafe<void>()
  const stop = (full: boolean) => {
    if (socket.readyState !== socket.OPEN && socket.readyState !== socket.CLOSING) return
    if (full) socket.pause()
    else if (socket.isPaused) socket.resume()
  }
  socket.on("message", (data) => {
    const bytes = bytesOf(data)
    receive(bytes[0], bytes.subarray(1))
  })
  socket.on("error", () => socket.terminate())
  socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
  // A message without a listener would have been lost.
  stop(false)
  const pong = Effect.sync(() => {
    if (socket.isPaused && socket.readyState === socket.OPEN) socket.pong()
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(pongEvery), pong)))
  const finish = Effect.suspend(() => {
    socket.close(1000)
    // A paused socket would not see the client's answer to the close.
    stop(false)
    return Deferred.await(closed)
  })
  return { closed: Deferred.await(closed), stop, finish }
})
