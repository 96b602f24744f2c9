/**
 * Pods that nobody holds any more, and their deletion when nobody has come back for them.
 *
 * A pod is deleted only in a state that was seen to have no holder: the API server compares identity and version, so
 * that whoever takes hold meanwhile keeps it.
 */
import { Duration, Effect, FiberMap, Ref, type Scope } from "effect"
import { type Config, consoleContainer, stopTimeout } from "../config/Config.ts"
import { deletionBackoff } from "../pod/Retry.ts"
import { Cluster, type ClusterError } from "../ports/Cluster.ts"
import type { Pod, PodRef } from "../ports/Pod.ts"
import { holdersOf, releaseOf } from "./Holders.ts"
import { isBroken } from "./UserPod.ts"

export interface Linger {
  /**
   * The pod was seen without a holder. It is deleted `linger` after that, unless somebody holds it by then, or has held
   * it since. Seen again in the state since the same release, its time goes on.
   */
  readonly watch: (pod: Pod) => Effect.Effect<void, never, Cluster>
  /**
   * The same for a pod that was released just now: where there is nothing to wait for, its deletion was accepted when
   * this completes. False where it may be left behind.
   */
  readonly released: (pod: Pod) => Effect.Effect<boolean, never, Cluster>
}

/** Between two tries to change a pod that others change as well. */
export const conflictPause = "100 millis"

/** The pod as it is now; `undefined` where there is none. */
export const readOrAbsent = (ref: PodRef): Effect.Effect<Pod | undefined, ClusterError, Cluster> =>
  Cluster.use((cluster): Effect.Effect<Pod | undefined, ClusterError> => cluster.readPod(ref)).pipe(
    Effect.catchIf(({ reason }) => reason._tag === "NotFound", () => Effect.succeed(undefined))
  )

/** What may follow on a write that is bound to the state it was meant for. */
export const moved = ({ reason }: ClusterError): boolean => reason._tag === "Conflict" || reason._tag === "NotFound"

/** The state to which a write is bound. */
export const stateOf = ({ metadata }: Pod) => ({ uid: metadata.uid, resourceVersion: metadata.resourceVersion })

/** Deletes the pod while it is as nobody has held it since it was released so. Tries again for as long as it may. */
const deleteUnheld = Effect.fnUntraced(function*(pod: Pod) {
  const isSame = (seen: Pod) => seen.metadata.deletionTimestamp === undefined && releaseOf(seen) === releaseOf(pod)
  const read = Effect.retry(readOrAbsent(pod.metadata), { schedule: deletionBackoff })
  let seen: Pod | undefined = pod
  while (seen !== undefined && isSame(seen) && holdersOf(seen).length === 0) {
    const state: Pod = seen
    const deleted = yield* Cluster.use((cluster) => cluster.deletePod(state.metadata, stateOf(state))).pipe(
      Effect.as(true),
      Effect.catchIf(moved, () => Effect.as(Effect.sleep(conflictPause), false)),
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry({ schedule: deletionBackoff })
    )
    if (deleted) return yield* Effect.logInfo("pod deleted: nobody holds it")
    seen = yield* read
  }
})

/** What waits in it ends with the scope; the pods stay, for another replica or the next start to find. */
export const make = Effect.fn("Linger.make")(function*(
  config: Config
): Effect.fn.Return<Linger, never, Scope.Scope> {
  const container = consoleContainer(config.pod).name
  const timers = yield* FiberMap.make<string>()
  const releases = yield* Ref.make<ReadonlyMap<string, string>>(new Map())

  const deleteInTime = (pod: Pod) =>
    Effect.as(deleteUnheld(pod), true).pipe(
      Effect.timeoutOrElse({
        duration: stopTimeout(config),
        orElse: () => Effect.as(Effect.logError(`pod ${pod.metadata.name} could not be deleted in time`), false)
      }),
      Effect.catchCause((cause) => Effect.as(Effect.logError("the pod could not be deleted", cause), false)),
      Effect.annotateLogs({ pod: pod.metadata.name })
    )
  const linger = (pod: Pod) => isBroken(pod, container) ? Duration.zero : config.pod.linger

  const watch = Effect.fnUntraced(function*(pod: Pod) {
    const uid = pod.metadata.uid ?? ""
    const release = releaseOf(pod)
    const known = (yield* Ref.get(releases)).get(uid)
    if (known === release && !isBroken(pod, container)) return
    yield* Ref.update(releases, (before) => new Map(before).set(uid, release))
    // Only if it is still this timer's: the one that replaced it has noted its own.
    const forget = Ref.update(
      releases,
      (before) => before.get(uid) === release ? new Map([...before].filter(([other]) => other !== uid)) : before
    )
    yield* Effect.sleep(linger(pod)).pipe(
      Effect.andThen(deleteInTime(pod)),
      Effect.ensuring(forget),
      FiberMap.run(timers, uid)
    )
  })

  return {
    watch,
    released: (pod) => Duration.isZero(linger(pod)) ? deleteInTime(pod) : Effect.as(watch(pod), true)
  }
})
