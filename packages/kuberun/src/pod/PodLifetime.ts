/**
 * A pod whose lifetime is the surrounding scope.
 *
 * Its deletion is registered before its creation is sent: a create that was interrupted, timed out or lost its answer
 * may have made the pod all the same.
 */
import { Clock, type Duration, Effect, Fiber, Ref, type Scope, SubscriptionRef } from "effect"
import { Cluster, type ClusterError } from "../ports/Cluster.ts"
import type { Pod, PodManifest } from "../ports/Pod.ts"
import { clusterSentence } from "../session/Sentences.ts"
import { isFrom } from "../template/PodTemplate.ts"
import { answered, type Creation, notSent, remove, unanswered } from "./PodRemoval.ts"
import { PodStartError, Refused } from "./PodStartError.ts"
import { mayCreateAgain, startBackoff } from "./Retry.ts"
import { follow, type RunningPod, withinStartTime } from "./RunningPod.ts"

/** What to start, and how long that may take. */
export interface PodOptions {
  readonly manifest: PodManifest
  readonly container: string
  readonly startTimeout: Duration.Duration
  readonly stopTimeout: Duration.Duration
  /** Run when the scope has closed and the pod could not be deleted, or may still appear. */
  readonly onLeftBehind: Effect.Effect<void>
  /** Told what the pod is doing while it starts. */
  readonly activity: SubscriptionRef.SubscriptionRef<string>
}

/**
 * Sends the create and, where it may help, sends it again. The request in flight is a fiber of its own: when this is
 * interrupted the request goes on, and `remove` waits for its answer.
 */
const create = Effect.fn("PodLifetime.create")(function*(
  manifest: PodManifest,
  creation: Ref.Ref<Creation>,
  activity: SubscriptionRef.SubscriptionRef<string>
): Effect.fn.Return<Pod, ClusterError, Cluster> {
  const cluster = yield* Cluster
  const attempt = Effect.gen(function*() {
    const before = yield* Ref.get(creation)
    const request = yield* Effect.uninterruptible(
      cluster.createPod(manifest).pipe(
        Effect.interruptible,
        Effect.forkDetach({ startImmediately: true }),
        Effect.tap((request) => Ref.set(creation, { ...before, request }))
      )
    )
    const pod = yield* Fiber.join(request).pipe(
      Effect.catch((error: ClusterError) =>
        error.reason._tag === "AlreadyExists" && before.unansweredAt !== undefined
          ? adoptLost(manifest, error)
          : Effect.fail(error)
      ),
      Effect.tapError((error) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => Ref.set(creation, unanswered(before, error, now)))
      ),
      // Where it is tried again, this is what the user waits for.
      Effect.tapError((error) => SubscriptionRef.set(activity, clusterSentence(error)))
    )
    yield* Ref.set(creation, answered(before, pod))
    return pod
  })
  return yield* attempt.pipe(Effect.retry({ schedule: startBackoff, while: mayCreateAgain }))
})

/** The name is taken, and an earlier request of ours was never answered: it is ours if it carries our connection. */
const adoptLost = (manifest: PodManifest, taken: ClusterError) =>
  Cluster.use((cluster) => cluster.readPod(manifest.metadata)).pipe(
    Effect.flatMap((pod: Pod) => isFrom(manifest, pod) ? Effect.succeed(pod) : Effect.fail(taken))
  )

/**
 * Creates the pod and waits until it is ready. When the scope closes the pod is deleted, unless it is known never to
 * have existed or to be another's.
 */
export const acquire = Effect.fn("PodLifetime.acquire")(function*(
  options: PodOptions
): Effect.fn.Return<RunningPod, PodStartError, Cluster | Scope.Scope> {
  const { activity, container, manifest } = options
  const { name } = manifest.metadata
  const creation = yield* Ref.make(notSent)

  yield* Effect.addFinalizer(() =>
    Ref.get(creation).pipe(
      Effect.flatMap((known) => remove(manifest, known, options.stopTimeout)),
      Effect.flatMap((gone) => gone ? Effect.void : options.onLeftBehind),
      Effect.annotateLogs({ pod: name })
    )
  )

  const start = Effect.gen(function*() {
    const created = yield* create(manifest, creation, activity).pipe(
      Effect.mapError((error) => new PodStartError({ pod: name, reason: new Refused({ error }) }))
    )
    yield* Effect.logInfo("pod created")
    return yield* follow(created, container, activity)
  }).pipe(Effect.annotateLogs({ pod: name }))
  return yield* withinStartTime(start, { pod: name, timeout: options.startTimeout, activity })
})
