/** What a container's first process has printed, kept in memory and bounded. */
import { Effect, PubSub, Stream } from "effect"
import { Buffer } from "node:buffer"

/** The kubelet rotates at 10 MiB; a memory of many pods holds less. */
const limit = 1024 * 1024

export interface ContainerLog {
  readonly append: (bytes: Uint8Array) => Effect.Effect<void>
  /** No more will come. */
  readonly close: Effect.Effect<void>
  /** All that is kept; with `follow` also what comes, until `close`. */
  readonly read: (follow: boolean) => Stream.Stream<Uint8Array>
}

export const makeContainerLog: Effect.Effect<ContainerLog> = Effect.gen(function*() {
  let pieces: Array<{ readonly end: number; readonly bytes: Uint8Array }> = []
  let end = 0
  let closed = false
  const grown = yield* PubSub.sliding<void>(1)
  const drop = () => {
    const first = pieces.findIndex((piece) => piece.end > end - limit)
    if (first > 0) pieces = pieces.slice(first)
  }
  const since = (position: number) =>
    Buffer.concat(pieces.filter((piece) => piece.end > position).map(({ bytes }) => bytes))
  return {
    append: (bytes) =>
      Effect.suspend(() => {
        end += bytes.length
        pieces.push({ end, bytes })
        drop()
        return PubSub.publish(grown, undefined)
      }),
    close: Effect.suspend(() => {
      closed = true
      return PubSub.publish(grown, undefined)
    }),
    read: (follow) =>
      Stream.unwrap(Effect.map(PubSub.subscribe(grown), (changes) => {
        let position = 0
        const next: Effect.Effect<Uint8Array | undefined> = Effect.suspend(() => {
          if (end > position) {
            const bytes = since(position)
            position = end
            return Effect.succeed(bytes)
          }
          return closed || !follow ? Effect.succeed(undefined) : Effect.andThen(PubSub.take(changes), next)
        })
        return Stream.fromEffectRepeat(next).pipe(Stream.takeWhile((bytes) => bytes !== undefined))
      }))
  }
})
