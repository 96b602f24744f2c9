/**
 * The free pods of an installation, observed as long as somebody looks: by watch, with lists behind it.
 */
import { Cause, Clock, Effect, Ref, Schedule, Stream } from "effect"
import { Cluster, type ClusterError, type LabelQuery, type PodsEvent } from "../ports/Cluster.ts"

/**
 * Between two lists: they tell what a watch that is silent does not. Spread, so that replicas that were started together
 * do not ask together.
 */
const listSchedule = Schedule.spaced("30 seconds").pipe(Schedule.jittered)

/** The pause before a watch is begun again: from the first, doubled up to the second (milliseconds). */
const shortestPause = 250
const longestPause = 10_000

/** A watch that has worked for so long ended in good order: the next pause is the shortest again. */
const provenAfter = 30_000

export interface PoolObserver {
  /** Taken down when a question is asked, and told with its answer. */
  readonly turn: Effect.Effect<number>
  readonly onEvent: (event: PodsEvent, asked: number) => Effect.Effect<void>
  /** A list failed; the pool works with what is known. */
  readonly onFault: (error: ClusterError) => Effect.Effect<void>
}

/** Tells `observer` of every free pod and every change. Never ends. */
export const observePods = Effect.fnUntraced(function*(
  query: LabelQuery,
  observer: PoolObserver
): Effect.fn.Return<never, never, Cluster> {
  const cluster = yield* Cluster
  const pause = yield* Ref.make(shortestPause)
  const watchOnce = Effect.gen(function*() {
    const asked = yield* observer.turn
    const begun = yield* Clock.currentTimeMillis
    yield* cluster.watchPods(query).pipe(
      Stream.runForEach((event) => observer.onEvent(event, asked)),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.void
          : Effect.logDebug("the watch of the pool broke; its pods are listed until it is back", cause)
      )
    )
    const proven = (yield* Clock.currentTimeMillis) - begun >= provenAfter
    const wait = yield* Ref.getAndUpdate(
      pause,
      (before) => proven ? shortestPause : Math.min(longestPause, before * 2)
    )
    yield* Effect.sleep(proven ? shortestPause : wait)
  })
  const listOnce = Effect.gen(function*() {
    const asked = yield* observer.turn
    yield* cluster.listPods(query).pipe(
      Effect.flatMap((pods) => observer.onEvent({ _tag: "Listed", pods }, asked)),
      Effect.catch(observer.onFault)
    )
  })
  return yield* Effect.raceFirst(
    Effect.forever(watchOnce),
    listOnce.pipe(Effect.repeat(listSchedule), Effect.andThen(Effect.never))
  )
})
