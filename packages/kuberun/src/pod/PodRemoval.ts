/**
 * Deleting a pod, whatever is known of its creation. It is what stands at the end of every pod's scope: it ends within
 * its time limit and never fails.
 */
import { Clock, Duration, Effect, Fiber, Ref, Schedule } from "effect"
import * as Metrics from "../Metrics.ts"
import { Cluster, type ClusterError, isAmbiguous } from "../ports/Cluster.ts"
import type { Pod, PodManifest } from "../ports/Pod.ts"
import { isFrom } from "../template/PodTemplate.ts"
import { deletionBackoff } from "./Retry.ts"

/** What is known of a pod's creation. */
export interface Creation {
  /** A request that is under way. */
  readonly request: Fiber.Fiber<Pod, ClusterError> | undefined
  /** The identity that was answered. */
  readonly uid: string | undefined
  /**
   * When (milliseconds) it was heard that the last answer was lost. Such a request may have made the pod, or may make
   * one later: even after another was answered, and that pod deleted.
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

/** How long an answer that is still to come is waited for before its pod is looked for beside it. */
const answerPatience = Duration.seconds(3)

/**
 * How long a pod whose create was never answered is looked for. A request that was lost on its way back is carried
 * out at once; one that sits in a queue of the API server's is as late as that queue is long.
 */
const settlingTime = Duration.seconds(5)

/**
 * Every fault is worth another try here, also one that would end a start at once: credentials are renewed, a policy's
 * webhook comes back, and a pod left behind costs more than a few calls.
 */
const insist = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(call, { schedule: deletionBackoff })

const readOwn = (manifest: PodManifest) =>
  Cluster.use((cluster) => cluster.readPod(manifest.metadata)).pipe(
    Effect.map((pod) => isFrom(manifest, pod) ? pod.metadata.uid : undefined),
    Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(undefined)),
    insist
  )

/** Deletes the pod with this identity, trying again until it is gone or going. */
const deleteIdentity = (manifest: PodManifest, uid: string) =>
  Cluster.use((cluster) => cluster.deletePod(manifest.metadata, { uid })).pipe(
    Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.void),
    // Under this name there is another pod by now, which is not ours to delete; or a webhook said no with this status.
    Effect.catchIf(
      (error) => error.reason._tag === "Conflict",
      (error) => Effect.flatMap(readOwn(manifest), (found) => found === uid ? Effect.fail(error) : Effect.void)
    ),
    Effect.tapError((error) => Effect.logWarning(error.message)),
    insist
  )

/**
 * Looks for pods that an unanswered request made or makes, and deletes what it finds, until none can appear any more:
 * the request under way was answered, or its pod was found, and those before it have had their time.
 */
const deleteWhatAppears = Effect.fnUntraced(function*(manifest: PodManifest, { request, unansweredAt }: Creation) {
  // From here on the time is counted: a request that fails only now may be as late as any other.
  const quietSince = yield* Ref.make(unansweredAt ?? 0)
  const found = yield* Ref.make(false)
  const look = Effect.gen(function*() {
    const underWay = request !== undefined && request.pollUnsafe() === undefined && !(yield* Ref.get(found))
    const uid = yield* readOwn(manifest)
    const now = yield* Clock.currentTimeMillis
    if (uid !== undefined) {
      yield* Ref.set(found, true)
      yield* deleteIdentity(manifest, uid)
    }
    if (underWay) yield* Ref.set(quietSince, now)
    return !underWay && now - (yield* Ref.get(quietSince)) >= Duration.toMillis(settlingTime)
  })
  yield* look.pipe(Effect.repeat({ schedule: Schedule.spaced("500 millis"), until: (settled) => settled }))
})

const afterAnswer = Effect.fnUntraced(function*(creation: Creation) {
  if (creation.request === undefined) return creation
  return yield* Fiber.join(creation.request).pipe(
    Effect.map((pod) => answered(creation, pod)),
    Effect.catch((error) => Effect.map(Clock.currentTimeMillis, (now) => unanswered(creation, error, now))),
    Effect.timeoutOrElse({
      duration: answerPatience,
      orElse: () => Effect.map(Clock.currentTimeMillis, (now): Creation => ({ ...creation, unansweredAt: now }))
    })
  )
})

const removeKnown = Effect.fnUntraced(function*(manifest: PodManifest, creation: Creation) {
  const known = yield* afterAnswer(creation)
  if (known.uid !== undefined) yield* deleteIdentity(manifest, known.uid)
  if (known.unansweredAt !== undefined) yield* deleteWhatAppears(manifest, known)
})

/** Deletes what `creation` says there is or may be, within `timeout`. False where a pod may be left behind. */
export const remove = (
  manifest: PodManifest,
  creation: Creation,
  timeout: Duration.Duration
): Effect.Effect<boolean, never, Cluster> => {
  const left = (why: string) =>
    Effect.as(Effect.logError(`pod ${manifest.metadata.name} may be left behind: ${why}`), false)
  const removal = Effect.as(removeKnown(manifest, creation), true).pipe(
    Effect.timeoutOrElse({ duration: timeout, orElse: () => left("it could not be deleted in time") }),
    Effect.catchCause((cause) => Effect.andThen(Effect.logDebug(cause), left("its deletion failed"))),
    Effect.ensuring(creation.request === undefined ? Effect.void : Fiber.interrupt(creation.request))
  )
  const { request, uid, unansweredAt } = creation
  return request === undefined && uid === undefined && unansweredAt === undefined
    ? removal
    : Metrics.podDeletion(removal)
}
