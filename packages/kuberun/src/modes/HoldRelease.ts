/**
 * Giving up a connection's hold, whatever is known of how it was taken. It is what stands at the end of the connection's
 * scope: it ends within its time limit and never fails.
 */
import { Clock, Duration, Effect, Fiber, Ref } from "effect"
import { stopTimeout } from "../config/Config.ts"
import { startBackoff } from "../pod/Retry.ts"
import { Cluster, type ClusterError, isAmbiguous, type Precondition } from "../ports/Cluster.ts"
import type { Pod } from "../ports/Pod.ts"
import { holdersOf, isHeldBy, releasePatch } from "./Holders.ts"
import { conflictPause, moved, readOrAbsent, stateOf } from "./Linger.ts"
import type { Hold, Holds, HoldState } from "./PodHolds.ts"
import { isUserPod } from "./UserPod.ts"

/** What is known of the requests that may have taken hold. */
export interface Sent {
  /** The last one, which may be under way. */
  readonly request: Fiber.Fiber<Pod, ClusterError> | undefined
  /** When (milliseconds) it was heard that the last answer was lost. */
  readonly unansweredAt: number | undefined
}

/** Nothing yet. */
export const nothingSent: Sent = { request: undefined, unansweredAt: undefined }

/**
 * Sends a write that takes hold, as a fiber of its own: when this is interrupted the request goes on, and the release
 * waits for its answer.
 */
export const send = Effect.fnUntraced(function*(sent: Ref.Ref<Sent>, write: Effect.Effect<Pod, ClusterError>) {
  const request = yield* Effect.uninterruptible(
    write.pipe(
      Effect.interruptible,
      Effect.tapError((error) =>
        isAmbiguous(error)
          ? Effect.flatMap(Clock.currentTimeMillis, (now) =>
            Ref.update(sent, (before): Sent => ({ ...before, unansweredAt: now })))
          : Effect.void
      ),
      Effect.forkDetach({ startImmediately: true }),
      Effect.tap((request) => Ref.update(sent, (before): Sent => ({ ...before, request })))
    )
  )
  return yield* Fiber.join(request)
})

/** How long what an unanswered request may have done is looked for (see `PodRemoval.ts`). */
const settlingTime = Duration.seconds(5)

/** Between two looks for it. */
const settlingPause = Duration.millis(500)

/** Gives the hold up, within the stop's time limit. Never fails; false where it, or the pod, may be left behind. */
export const release = (holds: Holds, hold: Hold, sent: Ref.Ref<Sent>): Effect.Effect<boolean, never, Cluster> => {
  const left = (why: string) =>
    Effect.as(Effect.logError(`the hold on pod ${hold.ref.name} may be left: ${why}`), false)
  return Ref.getAndSet(hold.state, { _tag: "Leaving" }).pipe(
    hold.lock.withPermits(1),
    Effect.flatMap((state) => giveUp(holds, hold, sent, state)),
    Effect.timeoutOrElse({
      duration: stopTimeout(holds.config),
      orElse: () => left("the cluster did not take it in time")
    }),
    Effect.catchCause((cause) => Effect.andThen(Effect.logDebug(cause), left("giving it up failed"))),
    Effect.ensuring(
      Effect.flatMap(Ref.get(sent), ({ request }) => request === undefined ? Effect.void : Fiber.interrupt(request))
    )
  )
}

const giveUp = Effect.fnUntraced(function*(holds: Holds, hold: Hold, sent: Ref.Ref<Sent>, state: HoldState) {
  const { request, unansweredAt } = yield* Ref.get(sent)
  // Nothing was sent: there is no hold.
  if (request === undefined) return true
  // Where all is known one call is enough, whatever others have changed meanwhile.
  const known = state._tag === "Held" && unansweredAt === undefined
    ? yield* letGo(holds, hold, { uid: state.uid }).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.catch(() => Effect.succeed("changed" as const))
    )
    : "changed"
  const pod = known === "changed" ? yield* lookForHold(holds, hold, sent, request) : known
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return true
  return holdersOf(pod).length === 0 && isUserPod(holds.config, pod) ? yield* holds.linger.released(pod) : true
})

/**
 * Gives the hold up wherever it may be, until none can appear any more, and answers the pod as it is then. `request` is
 * the last one that was sent, and the only one that can be under way.
 */
const lookForHold = Effect.fnUntraced(function*(
  holds: Holds,
  hold: Hold,
  sent: Ref.Ref<Sent>,
  request: Fiber.Fiber<Pod, ClusterError>
) {
  const isUnderWay = () => request.pollUnsafe() === undefined
  /** `undefined` while the hold may still be there, or appear. */
  const look = Effect.gen(function*() {
    const underWay = isUnderWay()
    const { unansweredAt } = yield* Ref.get(sent)
    const found = yield* readOrAbsent(hold.ref)
    const held = found !== undefined && isHeldBy(found, hold.key, holds.replica.id)
    const pod = held ? yield* letGo(holds, hold, stateOf(found)) : found
    if (pod === "changed") return undefined
    const now = yield* Clock.currentTimeMillis
    const settled = unansweredAt === undefined || now - unansweredAt >= Duration.toMillis(settlingTime)
    // A request whose work was found has done all that it will do.
    if (settled && (held || !underWay)) return { pod }
    yield* isUnderWay() ? Effect.timeoutOption(Fiber.await(request), settlingPause) : Effect.sleep(settlingPause)
    return undefined
  }).pipe(
    Effect.tapError((error) => Effect.logWarning(error.message)),
    // Every fault is worth another try here: credentials are renewed, a policy's webhook comes back.
    Effect.retry({ schedule: startBackoff })
  )
  return (yield* Effect.repeat(look, { until: (answer) => answer !== undefined }))?.pod
})

/** Takes the hold's annotation away, in this state of the pod; `"changed"` where it is in another by now. */
const letGo = Effect.fnUntraced(function*({ newRelease }: Holds, hold: Hold, state: Precondition) {
  const patch = releasePatch([hold.key], yield* newRelease)
  return yield* Cluster.use((cluster): Effect.Effect<Pod | "changed", ClusterError> =>
    cluster.patchPod(hold.ref, patch, state)
  ).pipe(Effect.catchIf(moved, () => Effect.as(Effect.sleep(conflictPause), "changed" as const)))
})
