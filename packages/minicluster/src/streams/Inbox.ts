/** What a peer sent and nobody has taken yet, bounded by stopping the peer. */
import { Effect, Queue } from "effect"
import { type ByteSource } from "../runtime/Bytes.ts"

/** `offer`, `end` and `drop` are for callbacks. A piece counts as taken when the next one is asked for. */
export interface Inbox extends ByteSource {
  readonly offer: (bytes: Uint8Array) => void
  readonly end: () => void
  /** What is here, and what still comes, is of no interest. */
  readonly drop: () => void
}

/** What a piece costs besides its bytes, so that a peer's many tiny ones are bounded too. */
const pieceCost = 128

/** `stop(true)` is called when more than `limit` bytes wait here, `stop(false)` when half of them have been taken. */
export const makeInbox = (limit: number, stop: (full: boolean) => void): Effect.Effect<Inbox> =>
  // Unbounded in pieces, bounded in bytes.
  Effect.map(Queue.unbounded<Uint8Array | undefined>(), (queue) => {
    let waiting = 0
    let taken = 0
    let full = false
    let over: "no" | "ended" | "dropped" = "no"
    const count = (bytes: number) => {
      waiting += bytes
      const now = full ? waiting > limit / 2 : waiting > limit
      if (now !== full) stop(full = now)
    }
    return {
      offer: (bytes) => {
        if (over !== "no" || bytes.length === 0) return
        // A small piece would keep the whole buffer that it was cut from.
        Queue.offerUnsafe(queue, 2 * bytes.length < bytes.buffer.byteLength ? Uint8Array.from(bytes) : bytes)
        count(bytes.length + pieceCost)
      },
      end: () => {
        if (over !== "no") return
        over = "ended"
        Queue.offerUnsafe(queue, undefined)
      },
      drop: () => {
        over = "dropped"
        Queue.offerUnsafe(queue, undefined)
        count(-waiting)
      },
      read: Effect.suspend(() => {
        if (over !== "dropped") count(-taken)
        taken = 0
        return Effect.map(Queue.take(queue), (bytes) => {
          if (bytes === undefined || over === "dropped") {
            // The end stays the end for whoever asks again.
            Queue.offerUnsafe(queue, undefined)
            return undefined
          }
          taken = bytes.length + pieceCost
          return bytes
        })
      })
    }
  })
