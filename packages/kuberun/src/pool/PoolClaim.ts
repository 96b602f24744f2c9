/**
 * Making a free pod a connection's own: one patch of its labels and annotations, meant for exactly the state that was
 * seen. Of two that try, the API server answers one with `Conflict`.
 *
 * The pod's deletion is registered before the patch is sent: a patch that was interrupted or lost its answer may have
 * been carried out all the same.
 */
import { Clock, Effect, Fiber, Ref, Schedule, type Scope } from "effect"
import { stopTimeout } from "../config/Config.ts"
import { answered, type Creation, notSent, remove, unanswered } from "../pod/PodRemoval.ts"
import type { PodRequest } from "../pod/PodSource.ts"
import { Cluster, type ClusterError, isAmbiguous, isTransient } from "../ports/Cluster.ts"
import type { MetadataPatch } from "../ports/ClusterObjects.ts"
import type { Identity } from "../ports/Identity.ts"
import type { Pod, PodRef } from "../ports/Pod.ts"
import { isFrom } from "../template/PodTemplate.ts"
import type { PoolSettings } from "./PoolBook.ts"
import { claimedManifest, claimPatch, isFree, withdrawal } from "./PoolTemplate.ts"

/**
 * - `Claimed`: it is the connection's, until its scope closes.
 * - `Taken`: it is another's, or gone.
 * - `Unavailable`: the cluster did not take the claim, or did not say. Where it may have been carried out, the scope's
 *   end looks after that, and deletes the pod if it was.
 */
export type Claim =
  | { readonly _tag: "Claimed"; readonly pod: Pod }
  | { readonly _tag: "Taken" }
  | { readonly _tag: "Unavailable"; readonly error: ClusterError; readonly mayBeOurs: boolean }

/** How many times a claim is sent before the user is better served with a new pod. */
const mostTries = 5

/** The pause after the first try that was not answered, in milliseconds; doubled each time. */
const firstPause = 100

/** Sends the claim once. When this is interrupted the request goes on, and `remove` waits for its answer. */
const send = Effect.fnUntraced(function*(pod: Pod, patch: MetadataPatch, claim: Ref.Ref<Creation>) {
  const cluster = yield* Cluster
  const { resourceVersion, uid } = pod.metadata
  const before = yield* Ref.get(claim)
  const request = yield* Effect.uninterruptible(
    cluster.patchPod(pod.metadata, patch, { uid, resourceVersion }).pipe(
      Effect.interruptible,
      Effect.forkDetach({ startImmediately: true }),
      Effect.tap((request) => Ref.set(claim, { ...before, request }))
    )
  )
  return yield* Fiber.join(request).pipe(
    Effect.tap((claimed) => Ref.set(claim, answered(before, claimed))),
    Effect.tapError((error) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => Ref.set(claim, unanswered(before, error, now)))
    ),
    Effect.result
  )
})

/** What a `Conflict` means: the pod is ours by an earlier try, another's, or free still but in another state. */
const afterConflict = (pod: Pod, isOurs: (pod: Pod) => boolean) =>
  Cluster.use((cluster) => cluster.readPod(pod.metadata)).pipe(
    Effect.map((found): Claim | { readonly _tag: "Free"; readonly pod: Pod } => {
      if (found.metadata.uid !== pod.metadata.uid) return { _tag: "Taken" }
      if (isOurs(found)) return { _tag: "Claimed", pod: found }
      return isFree(found) && found.metadata.deletionTimestamp === undefined
        ? { _tag: "Free", pod: found }
        : { _tag: "Taken" }
    }),
    Effect.catchIf(({ reason }) => reason._tag === "NotFound", () => Effect.succeed<Claim>({ _tag: "Taken" }))
  )

/** For so long it is tried to decide what became of a claim; after that, `remove` looks for a pod that was claimed. */
const settlePatience = "5 seconds"

/** Between two tries to decide it. */
const settleBackoff = Schedule.exponential("100 millis").pipe(Schedule.jittered)

/**
 * Decides what became of a claim that was not answered, so that it cannot be carried out later, when nobody looks any
 * more: another change is sent, meant for the same state of the pod. Only one of the two can be made.
 */
const settle = Effect.fnUntraced(function*(
  pod: Pod,
  identity: Identity,
  isOurs: (pod: Pod) => boolean,
  known: Creation
): Effect.fn.Return<Creation, never, Cluster> {
  if (known.uid !== undefined || (known.request === undefined && known.unansweredAt === undefined)) return known
  const cluster = yield* Cluster
  const { resourceVersion, uid } = pod.metadata
  const settled = yield* cluster.patchPod(pod.metadata, withdrawal(identity), { uid, resourceVersion }).pipe(
    Effect.as(notSent),
    Effect.catchIf(({ reason }) => reason._tag === "NotFound", () => Effect.succeed(notSent)),
    Effect.catchIf(
      ({ reason }) => reason._tag === "Conflict",
      () =>
        Effect.map(
          afterConflict(pod, isOurs),
          (found) => found._tag === "Claimed" ? answered(notSent, found.pod) : notSent
        )
    ),
    Effect.retry(settleBackoff),
    Effect.timeout(settlePatience),
    Effect.option
  )
  if (settled._tag === "None") return known
  if (known.request !== undefined) yield* Fiber.interrupt(known.request)
  return settled.value
})

/**
 * Claims the pod. The same claim sent twice does no harm: if the first was carried out, the second finds the pod in
 * another state, and what stands in it then says whose it is.
 */
export const claimPod = Effect.fn("PoolClaim.claim")(function*(
  settings: PoolSettings,
  request: PodRequest,
  free: Pod
): Effect.fn.Return<Claim, never, Cluster | Scope.Scope> {
  const { config, replicaId } = settings
  const patch = claimPatch(config, request.identity, replicaId)
  const manifest = claimedManifest(free, patch)
  const ref: PodRef = { namespace: manifest.metadata.namespace, name: manifest.metadata.name }
  const claim = yield* Ref.make(notSent)
  yield* request.onPod(ref)
  const isOurs = (other: Pod): boolean => isFrom(manifest, other)
  let pod = free
  yield* Effect.addFinalizer(() =>
    Ref.get(claim).pipe(
      Effect.flatMap((known) => settle(pod, request.identity, isOurs, known)),
      Effect.flatMap((known) => remove(manifest, known, stopTimeout(config))),
      Effect.flatMap((gone) => gone ? Effect.void : request.onLeftBehind(ref))
    )
  )
  let pause = firstPause
  for (let tries = 1;; tries++) {
    const answer = yield* send(pod, patch, claim)
    if (answer._tag === "Success") return { _tag: "Claimed", pod: answer.success }
    const error = answer.failure
    if (error.reason._tag === "NotFound") {
      yield* Ref.set(claim, notSent)
      return { _tag: "Taken" }
    }
    if (error.reason._tag === "Conflict") {
      const found = yield* Effect.result(afterConflict(pod, isOurs))
      if (found._tag === "Success") {
        // It is ours, or it has moved on and no try of ours can be carried out any more.
        yield* found.success._tag === "Claimed"
          ? Ref.set(claim, answered(notSent, found.success.pod))
          : Ref.set(claim, notSent)
        if (found.success._tag !== "Free") return found.success
        pod = found.success.pod
      }
    }
    const again = error.reason._tag === "Conflict" || isTransient(error) || isAmbiguous(error)
    if (!again || tries >= mostTries) {
      return { _tag: "Unavailable", error, mayBeOurs: (yield* Ref.get(claim)).unansweredAt !== undefined }
    }
    if (error.reason._tag !== "Conflict") yield* Effect.sleep(pause)
    pause *= 2
  }
})
