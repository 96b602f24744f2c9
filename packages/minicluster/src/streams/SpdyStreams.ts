/** The streams of one SPDY connection, server's side: what clients open is accepted here, nothing is opened. */
import { Deferred, Effect, Latch, Queue, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type Duplex } from "node:stream"
import { type ByteSink, type ByteSource, sourceOf } from "../runtime/Bytes.ts"
import { unsentLimit } from "./Channels.ts"
import { type Inbox, makeInbox } from "./Inbox.ts"
import {
  dataFrame,
  type Frame,
  goAwayFrame,
  type Headers,
  makeFrames,
  pingFrame,
  refusedStream,
  resetFrame,
  SpdyError,
  synReplyFrame
} from "./Spdy.ts"

export interface SpdyStream {
  readonly headers: Headers
  /** Ends by the client's half-close, by its reset, and with the connection. */
  readonly source: ByteSource
  /** `end` half-closes. */
  readonly sink: ByteSink
  /** The client has reset it, or the connection has ended. */
  readonly dropped: Effect.Effect<void>
  /** Forgets the stream: what still comes of it is dropped. */
  readonly release: Effect.Effect<void>
}

export interface SpdyConnection {
  /** The next stream that the client opens; `undefined` once the connection has ended. */
  readonly accept: Effect.Effect<SpdyStream | undefined>
  readonly closed: Effect.Effect<void>
  /** Half-closes the transport behind all that was sent, and completes when the client has gone. */
  readonly finish: Effect.Effect<void>
}

/**
 * Bytes of one stream that nobody has taken, above which nothing more is read from the whole connection: there are no
 * windows by which one stream alone could be stopped.
 */
const streamLimit = 64 * 1024
/** Two for each connection that is forwarded; more are refused, so that a client can make us hold 64 MiB at most. */
const streamsLimit = 1024
/** Opened and not accepted yet: accepting takes no time. */
const unacceptedLimit = 16
/** A client that leaves while it is not read from is noticed by writing to it. */
const knockEvery = "5 seconds"

/** Takes `transport` until the scope closes. Whatever comes over it, nothing but this connection ends by it. */
export const serveSpdy = Effect.fnUntraced(function*(
  transport: Duplex
): Effect.fn.Return<SpdyConnection, never, Scope.Scope> {
  yield* Effect.addFinalizer(() => Effect.sync(() => transport.destroy()))
  transport.on("error", () => transport.destroy())
  const frames = yield* makeFrames(sourceOf(transport))
  const streams = new Map<number, { readonly inbox: Inbox; readonly forget: () => void }>()
  const full = new Set<number>()
  const room = Latch.makeUnsafe(true)
  const opened = yield* Queue.bounded<SpdyStream | undefined>(unacceptedLimit)
  const closed = Deferred.makeUnsafe<void>()
  transport.once("close", () => Deferred.doneUnsafe(closed, Effect.void))
  let lastId = 0

  /** Completes at once while little is unsent, else when this frame has left. False when the client is gone. */
  const write = (frame: Buffer): Effect.Effect<boolean> =>
    Effect.callback((resume) => {
      if (transport.destroyed || transport.writableEnded) return resume(Effect.succeed(false))
      const much = transport.writableLength > unsentLimit
      transport.write(frame, (error) => {
        if (much) resume(Effect.succeed(error === null || error === undefined))
      })
      if (!much) resume(Effect.succeed(true))
    })

  const open = Effect.fnUntraced(function*(id: number, headers: Headers, fin: boolean) {
    const inbox = yield* makeInbox(streamLimit, (isFull) => {
      if (isFull) full.add(id)
      else full.delete(id)
      if (full.size > 0) room.closeUnsafe()
      else room.openUnsafe()
    })
    let half = false
    const dropped = Deferred.makeUnsafe<void>()
    const forget = () => {
      half = true
      Deferred.doneUnsafe(dropped, Effect.void)
      inbox.drop()
      streams.delete(id)
    }
    if (fin) inbox.end()
    streams.set(id, { inbox, forget })
    const stream: SpdyStream = {
      headers,
      source: inbox,
      sink: {
        write: (bytes) => half ? Effect.succeed(false) : write(dataFrame(id, bytes, false)),
        end: Effect.suspend(() => {
          if (half) return Effect.void
          half = true
          return Effect.asVoid(write(dataFrame(id, Buffer.alloc(0), true)))
        })
      },
      dropped: Deferred.await(dropped),
      release: Effect.sync(forget)
    }
    return stream
  })

  const knock = Effect.forever(Effect.andThen(Effect.sleep(knockEvery), write(pingFrame(2))))

  const handle = Effect.fnUntraced(function*(frame: Frame) {
    switch (frame._tag) {
      case "Ping":
        // Even numbers are answers to this server's own, by which it only knocks.
        return frame.id % 2 === 1 ? yield* write(pingFrame(frame.id)) : undefined
      case "Reset":
        return streams.get(frame.id)?.forget()
      case "Data": {
        const inbox = streams.get(frame.id)?.inbox
        inbox?.offer(frame.bytes)
        if (frame.fin) inbox?.end()
        // Not waiting for nothing: most frames leave room.
        return full.size > 0 ? yield* Effect.raceFirst(room.await, knock) : undefined
      }
      case "SynStream": {
        const { fin, headers, id } = frame
        if (id % 2 === 0 || id <= lastId) return yield* new SpdyError({ message: "a stream's number out of order" })
        const first = lastId === 0
        lastId = id
        if (streams.size >= streamsLimit) return yield* write(resetFrame(id, refusedStream))
        const stream = yield* open(id, headers, fin)
        yield* write(synReplyFrame(id, first))
        return yield* Queue.offer(opened, stream)
      }
    }
  })

  const serve = Effect.gen(function*() {
    for (let frame = yield* frames.next; frame !== undefined; frame = yield* frames.next) yield* handle(frame)
  }).pipe(
    Effect.catchTag("SpdyError", () => write(goAwayFrame(lastId))),
    Effect.ensuring(Effect.sync(() => {
      for (const { forget } of streams.values()) forget()
      Deferred.doneUnsafe(closed, Effect.void)
    }))
  )
  yield* Effect.forkScoped(serve)
  return {
    accept: Effect.raceFirst(Queue.take(opened), Effect.as(Deferred.await(closed), undefined)),
    closed: Deferred.await(closed),
    finish: Effect.suspend(() => {
      // What still comes must not stop us from seeing the client's end.
      for (const { forget } of streams.values()) forget()
      transport.end()
      return Deferred.await(closed)
    })
  }
})
