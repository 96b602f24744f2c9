/**
 * Deleting a pod, whatever is known of its creation. It is what stands at the end of every pod's scope: it ends within
 * its time limit and never fails.
 */
import { Clock, Duration, Effect, Fiber, Schedule } from "effect"
import { Cluster, type ClusterError, isAmbiguous, isTransient } from "./Cluster.ts"
import type { Pod, PodManifest, PodRef } from "./Pod.ts"
import { isFrom } from "./PodTemplate.ts"

/** What is known of a pod's creation. */
export interface Creation {
  /** A request that is under way. */
  readonly request: Fiber.Fiber<Pod, ClusterError> | undefined
  /** The identity that was answered. */
  readonly uid: string | undefined
  /**
   * When (milliseconds) the last request was sent whose answer was lost. Such a request may have made the pod, or may
   * make one later: even after another was answered, and that pod deleted.
   */
  readonly unansweredAt: number | undefined
}

/** Nothing was sent yet. */
export const notSent: Creation = { request: undefined, uid: undefined, unansweredAt: undefined }

/** What the answer to the request under way says. */
export const answered = (creation: Creation, pod: Pod): Creation => ({
  ...creation,
  request: undefined,
  uid: pod.metadata.uid
})

/** What a failed request says: a refusal that can be relied on, or nothing. */
export const unanswered = (creation: Creation, error: ClusterError, now: number): Creation => ({
  ...creation,
  request: undefined,
  unansweredAt: isAmbiguous(error) ? now : creation.unansweredAt
})

/** How long an answer that is still to come is waited for. */
const answerPatience = Duration.seconds(3)

/**
 * How long a pod whose create was never answered is looked for. A request that was lost on its way back is carried
 * out at once; one that sits in a queue of the API server's is as late as that queue is long.
 */
const settlingTime = Duration.seconds(5)

/** Half a second, doubled up to five; spread so that many pods do not ask at once. */
const backoff = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

/** Deletes the pod with this identity, trying again where that may help. True once it is gone or going. */
const deleteIdentity = (pod: PodRef, uid: string) =>
  Cluster.use((cluster) => cluster.deletePod(pod, { uid })).pipe(
    Effect.catchIf(
      // Conflict: under this name there is another pod by now, which is not ours to delete.
      (error) => error.reason._tag === "NotFound" || error.reason._tag === "Conflict",
      () => Effect.void
    ),
    Effect.retry({ schedule: backoff, while: isTransient })
  )

const readOwn = (manifest: PodManifest) =>
  Cluster.use((cluster) => cluster.readPod(manifest.metadata)).pipe(
    Effect.map((pod) => isFrom(manifest, pod) ? pod.metadata.uid : undefined),
    Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(undefined)),
    Effect.retry({ schedule: backoff, while: isTransient })
  )

/** Looks for pods that a lost request made or makes, until it can no longer be under way, and deletes what it finds. */
const deleteWhatAppears = Effect.fnUntraced(function*(manifest: PodManifest, unansweredAt: number) {
  const look = readOwn(manifest).pipe(
    Effect.flatMap((uid) => uid === undefined ? Effect.void : deleteIdentity(manifest.metadata, uid)),
    Effect.andThen(Clock.currentTimeMillis)
  )
  yield* look.pipe(Effect.repeat({
    schedule: Schedule.spaced("500 millis"),
    until: (now) => now - unansweredAt >= Duration.toMillis(settlingTime)
  }))
})

const afterAnswer = Effect.fnUntraced(function*(creation: Creation) {
  if (creation.request === undefined) return creation
  const now = yield* Clock.currentTimeMillis
  return yield* Fiber.join(creation.request).pipe(
    Effect.map((pod) => answered(creation, pod)),
    Effect.catch((error) => Effect.succeed(unanswered(creation, error, now))),
    Effect.timeoutOrElse({
      duration: answerPatience,
      orElse: () => Effect.succeed<Creation>({ ...creation, unansweredAt: now })
    }),
    Effect.ensuring(Fiber.interrupt(creation.request))
  )
})

const removeKnown = Effect.fnUntraced(function*(manifest: PodManifest, creation: Creation) {
  const { uid, unansweredAt } = yield* afterAnswer(creation)
  if (uid !== undefined) yield* deleteIdentity(manifest.metadata, uid)
  if (unansweredAt !== undefined) yield* deleteWhatAppears(manifest, unansweredAt)
})

/** Deletes what `creation` says there is or may be, within `timeout`. False where a pod may be left behind. */
export const remove = (
  manifest: PodManifest,
  creation: Creation,
  timeout: Duration.Duration
): Effect.Effect<boolean, never, Cluster> => {
  const left = (why: string) =>
    Effect.as(Effect.logError(`pod ${manifest.metadata.name} is left behind: ${why}`), false)
  return Effect.as(removeKnown(manifest, creation), true).pipe(
    Effect.timeoutOrElse({ duration: timeout, orElse: () => left("it could not be deleted in time") }),
    Effect.catch((error: ClusterError) => left(error.message)),
    Effect.catchCause((cause) => Effect.andThen(Effect.logDebug(cause), left("its deletion failed")))
  )
}
