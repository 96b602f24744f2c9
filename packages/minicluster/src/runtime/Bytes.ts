/** Bytes in and out of a process, one piece at a time: nothing is read before somebody wants it. */
import { Effect } from "effect"
import { type Readable, type Writable } from "node:stream"

/** `read` answers the next piece, or `undefined` at the end and ever after. A failing source ends. */
export interface ByteSource {
  readonly read: Effect.Effect<Uint8Array | undefined>
}

/** `write` completes when the bytes were taken and answers false when nobody will ever read them. */
export interface ByteSink {
  readonly write: (bytes: Uint8Array) => Effect.Effect<boolean>
  readonly end: Effect.Effect<void>
}

/** An event by which an owner says that a source should look again. */
export const lookAgain = "minicluster:look-again"

/**
 * The caller keeps the ownership of `stream` and destroys it.
 *
 * `rest`, when given, is asked while the stream has nothing: bytes from elsewhere, `undefined` for the end, or `null`
 * for "wait".
 */
export const sourceOf = (stream: Readable, rest: () => Uint8Array | null | undefined = () => null): ByteSource => {
  let failed = false
  stream.on("error", () => {
    failed = true
  })
  const next = (): Uint8Array | null | undefined => {
    if (failed || stream.readableEnded || stream.destroyed) return undefined
    const buffered: Uint8Array | null = stream.read()
    if (buffered !== null) return buffered
    // Reading may have met the end or the failure itself.
    return stream.readableEnded || stream.destroyed ? undefined : rest()
  }
  const events = ["readable", "end", "error", "close", lookAgain]
  return {
    read: Effect.callback<Uint8Array | undefined>((resume) => {
      const take = () => {
        const bytes = next()
        if (bytes === null) return
        forget()
        resume(Effect.succeed(bytes))
      }
      const forget = () => {
        for (const event of events) stream.off(event, take)
      }
      for (const event of events) stream.on(event, take)
      take()
      return Effect.sync(forget)
    })
  }
}

/** The caller keeps the ownership of `stream` and destroys it. A broken pipe is not an error here: it answers false. */
export const sinkOf = (stream: Writable): ByteSink => {
  let broken = false
  stream.on("error", () => {
    broken = true
  })
  return {
    write: (bytes) =>
      Effect.callback<boolean>((resume) => {
        if (broken || stream.destroyed || stream.writableEnded) return resume(Effect.succeed(false))
        stream.write(bytes, (error) => resume(Effect.succeed(error === null || error === undefined)))
      }),
    end: Effect.callback<void>((resume) => {
      if (broken || stream.destroyed || stream.writableEnded) return resume(Effect.void)
      stream.end(() => resume(Effect.void))
      stream.once("close", () => resume(Effect.void))
    })
  }
}
