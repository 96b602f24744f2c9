/**
 * One pod, observed for as long as somebody looks: by watch, with polling behind it.
 *
 * The watch tells at once; the poll tells when the watch is broken, silent or forbidden. Neither a broken watch nor a
 * failed poll ends the stream.
 */
import { Cause, Effect, Schedule, Stream } from "effect"
import { Cluster, type ClusterError, type PodEvent } from "../ports/Cluster.ts"
import type { PodRef } from "../ports/Pod.ts"

/**
 * Between two polls: two seconds, growing to five minutes, which are half of the time that has passed. A watch that works
 * makes them superfluous; while a pod starts a silent one costs its user little, and a pod that has run for long costs
 * next to nothing: with `connection.qps` at 5, a poll every half minute of 150 pods would be all the calls there are.
 */
const pollSchedule = Schedule.min([Schedule.exponential("2 seconds", 1.5), Schedule.spaced("5 minutes")])

/** Between the end of a watch and the next one: doubles from the first to the second. */
const rewatch = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("10 seconds")])

const absentWhereNotFound = (error: ClusterError): Effect.Effect<PodEvent, ClusterError> =>
  error.reason._tag === "NotFound" ? Effect.succeed({ _tag: "Absent" }) : Effect.fail(error)

/** The pod's present state and every change, for ever. The same state may come more than once. */
export const observe = (pod: PodRef): Stream.Stream<PodEvent, never, Cluster> =>
  Stream.unwrap(Effect.map(Cluster, (cluster) => {
    const watched = cluster.watchPod(pod).pipe(
      Stream.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Stream.empty
          : Stream.fromEffectDrain(Effect.logDebug("the watch of the pod broke; polling until it is back", cause))
      ),
      Stream.repeat(rewatch)
    )
    const polled = Stream.fromEffectSchedule(
      cluster.readPod(pod).pipe(
        Effect.map((found): PodEvent => ({ _tag: "Present", pod: found })),
        Effect.catch(absentWhereNotFound),
        Effect.map((event) => [event]),
        Effect.catch((error) => Effect.as(Effect.logDebug(error.message), [] as ReadonlyArray<PodEvent>))
      ),
      pollSchedule
    ).pipe(Stream.flattenIterable)
    return Stream.merge(watched, polled)
  }))
