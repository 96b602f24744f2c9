/** One output of a container, for everybody who is attached to it. */
import { Effect, Latch, Queue, type Scope } from "effect"
import { type ByteSource } from "./Bytes.ts"

/** As much as a pipe holds may be unread: then whoever writes waits. */
const unreadLimit = 64 * 1024

export interface FanOut {
  /** Gives the bytes to everybody; completes when nobody has too much unread. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void>
  /** Nobody is waited for any more: what comes now is at most what a pipe holds. */
  readonly hurry: Effect.Effect<void>
  /** No more will come. */
  readonly end: Effect.Effect<void>
  /** What comes from now on, until the end or the scope's. */
  readonly attach: Effect.Effect<ByteSource, never, Scope.Scope>
}

interface Reader {
  /** Unbounded in pieces, bounded in bytes: see `unreadLimit`. `undefined` is the end. */
  readonly pieces: Queue.Queue<Uint8Array | undefined>
  readonly room: Latch.Latch
  unread: number
}

export const makeFanOut = (): FanOut => {
  const readers = new Set<Reader>()
  let hurried = false
  let ended = false
  const letGo = (reader: Reader) => {
    readers.delete(reader)
    reader.room.openUnsafe()
  }
  return {
    write: (bytes) =>
      Effect.suspend(() => {
        for (const reader of readers) {
          Queue.offerUnsafe(reader.pieces, bytes)
          reader.unread += bytes.length
          if (reader.unread > unreadLimit && !hurried) reader.room.closeUnsafe()
        }
        return Effect.forEach(Array.from(readers), ({ room }) => room.await, { discard: true })
      }),
    hurry: Effect.sync(() => {
      hurried = true
      for (const { room } of readers) room.openUnsafe()
    }),
    end: Effect.sync(() => {
      ended = true
      for (const { pieces } of readers) Queue.offerUnsafe(pieces, undefined)
    }),
    attach: Effect.gen(function*() {
      const reader: Reader = {
        pieces: yield* Queue.unbounded<Uint8Array | undefined>(),
        room: Latch.makeUnsafe(true),
        unread: 0
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => readers.add(reader)),
        () => Effect.sync(() => letGo(reader))
      )
      if (ended) Queue.offerUnsafe(reader.pieces, undefined)
      return {
        read: Effect.map(Queue.take(reader.pieces), (bytes) => {
          if (bytes === undefined) Queue.offerUnsafe(reader.pieces, undefined)
          else reader.unread -= bytes.length
          if (reader.unread <= unreadLimit) reader.room.openUnsafe()
          return bytes
        })
      }
    })
  }
}
