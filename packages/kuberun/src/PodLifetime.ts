/**
 * A pod whose lifetime is the surrounding scope.
 *
 * Its deletion is registered before its creation is sent: a create that was interrupted, timed out or lost its answer
 * may have made the pod all the same.
 */
import { Clock, Deferred, Duration, Effect, Fiber, Ref, Schedule, type Scope, Stream, SubscriptionRef } from "effect"
import { Cluster, type ClusterError, isTransient, type PodEvent, type PodNotice } from "./Cluster.ts"
import type { Pod, PodManifest, PodRef } from "./Pod.ts"
import { notRunning, type PodReadiness, podReadiness } from "./PodReadiness.ts"
import { answered, type Creation, notSent, remove, unanswered } from "./PodRemoval.ts"
import { NotReadyInTime, PodDeleted, PodEnded, PodFailed, PodStartError, Refused } from "./PodStartError.ts"
import { isFrom } from "./PodTemplate.ts"
import { observe } from "./PodWatch.ts"
import { clusterSentence } from "./Sentences.ts"

/** A pod that is ready for programs. */
export interface RunningPod {
  readonly ref: PodRef
  /** The container that programs run in. */
  readonly container: string
  /** Fails when the pod is no more, though its scope is still open: deleted from outside, evicted, ended. */
  readonly ended: Effect.Effect<never, PodEnded>
  /**
   * Asks the API server now whether the pod, or the container in it, has ended, and fails if so. Anything else, also no
   * answer, succeeds.
   */
  readonly check: Effect.Effect<void, PodEnded>
}

/** What to start, and how long that may take. */
export interface PodOptions {
  readonly manifest: PodManifest
  readonly container: string
  /** Bounds the start, and then again the deletion. */
  readonly timeout: Duration.Duration
  /** Run when the scope has closed and the pod could not be deleted, or may still appear. */
  readonly onLeftBehind: Effect.Effect<void>
  /** Told what the pod is doing while it starts. */
  readonly activity: SubscriptionRef.SubscriptionRef<string>
}

/** Quarter of a second, doubled up to five, spread. */
const createBackoff = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

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
  return yield* attempt.pipe(Effect.retry({ schedule: createBackoff, while: isTransient }))
})

/** The name is taken, and an earlier request of ours was never answered: it is ours if it carries our connection. */
const adoptLost = (manifest: PodManifest, taken: ClusterError) =>
  Cluster.use((cluster) => cluster.readPod(manifest.metadata)).pipe(
    Effect.flatMap((pod: Pod) => isFrom(manifest, pod) ? Effect.succeed(pod) : Effect.fail(taken))
  )

const endOf = (readiness: PodReadiness): PodFailed | PodDeleted | undefined => {
  switch (readiness._tag) {
    case "Leaving":
      return new PodDeleted()
    case "Failed":
      return new PodFailed({ reason: readiness.reason, detail: readiness.detail })
    default:
      return undefined
  }
}

/** A pod that ran has ended only when its phase says so or it goes away: a container that restarts may come back. */
const endOfRunning = (pod: Pod, container: string): PodFailed | PodDeleted | undefined =>
  pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded"
    ? endOf(podReadiness(pod, container))
    : undefined

/**
 * Creates the pod and waits until it is ready. When the scope closes the pod is deleted, unless it is known never to
 * have existed or to be another's.
 */
export const acquire = Effect.fn("PodLifetime.acquire")(function*(
  options: PodOptions
): Effect.fn.Return<RunningPod, PodStartError, Cluster | Scope.Scope> {
  const { activity, container, manifest, timeout } = options
  const ref: PodRef = { namespace: manifest.metadata.namespace, name: manifest.metadata.name }
  const cluster = yield* Cluster
  const creation = yield* Ref.make(notSent)
  const startFailed = (reason: PodStartError["reason"]) => new PodStartError({ pod: ref.name, reason })

  yield* Effect.addFinalizer(() =>
    Ref.get(creation).pipe(
      Effect.flatMap((known) => remove(manifest, known, timeout)),
      Effect.flatMap((gone) => gone ? Effect.void : options.onLeftBehind)
    )
  )

  const start = Effect.gen(function*() {
    const created = yield* create(manifest, creation, activity).pipe(
      Effect.mapError((error) => startFailed(new Refused({ error })))
    )
    yield* Effect.logInfo("pod created")
    const ready = yield* Deferred.make<void, PodStartError>()
    const pulling = yield* Ref.make<string | undefined>(undefined)
    const ended = yield* Deferred.make<never, PodEnded>()
    const end = (reason: PodFailed | PodDeleted) =>
      Deferred.fail(ready, startFailed(reason)).pipe(
        Effect.andThen(Deferred.fail(ended, new PodEnded({ pod: ref.name, reason })))
      )
    const isOurs = (pod: Pod) => pod.metadata.uid === created.metadata.uid

    const onEvent = Effect.fnUntraced(function*(event: PodEvent) {
      if (event._tag === "Absent" || !isOurs(event.pod)) return yield* end(new PodDeleted())
      if (yield* Deferred.isDone(ready)) {
        const reason = endOfRunning(event.pod, container)
        return reason === undefined ? undefined : yield* end(reason)
      }
      const readiness = podReadiness(event.pod, container)
      if (readiness._tag === "Ready") return yield* Deferred.succeed(ready, undefined)
      if (readiness._tag === "Starting") {
        return yield* SubscriptionRef.set(activity, (yield* Ref.get(pulling)) ?? readiness.activity)
      }
      const reason = endOf(readiness)
      return reason === undefined ? undefined : yield* end(reason)
    })
    yield* Effect.forkScoped(Stream.runForEach(observe(ref), onEvent))
    yield* Effect.forkScoped(pullNotices(created, activity, pulling, ready))
    yield* Deferred.await(ready)

    const check = Effect.gen(function*() {
      const event = yield* cluster.readPod(ref).pipe(
        Effect.map((pod): PodEvent => ({ _tag: "Present", pod })),
        Effect.catch((error) =>
          Effect.succeed<PodEvent | undefined>(error.reason._tag === "NotFound" ? { _tag: "Absent" } : undefined)
        )
      )
      if (event === undefined) return
      yield* onEvent(event)
      if (yield* Deferred.isDone(ended)) return yield* Deferred.await(ended)
      const fault = event._tag === "Present" ? notRunning(event.pod, container) : undefined
      if (fault !== undefined) return yield* new PodEnded({ pod: ref.name, reason: new PodFailed(fault) })
    })
    return { ref, container, ended: Deferred.await(ended), check } satisfies RunningPod
  })

  return yield* start.pipe(
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () =>
        SubscriptionRef.get(activity).pipe(
          Effect.flatMap((doing) =>
            Effect.fail(startFailed(new NotReadyInTime({ seconds: Duration.toSeconds(timeout), activity: doing })))
          )
        )
    })
  )
})

/** What an Event of the kubelet's says about the pull of an image; `undefined` where it says nothing about one. */
const pullActivity = ({ message, reason }: PodNotice): { readonly pulling: string | undefined } | undefined => {
  const image = /image "([^"]+)"/.exec(message)?.[1]
  if (reason === "Pulling" && image !== undefined) return { pulling: `pulling image ${image}` }
  return reason === "Pulled" || reason === "Failed" || reason === "BackOff" ? { pulling: undefined } : undefined
}

/**
 * The kubelet says in an Event, and nowhere else, that it is pulling an image: until it has, that goes before what the
 * pod's status says. Without the right to see Events nothing is lost.
 */
const pullNotices = (
  pod: Pod,
  activity: SubscriptionRef.SubscriptionRef<string>,
  pulling: Ref.Ref<string | undefined>,
  ready: Deferred.Deferred<void, PodStartError>
) =>
  Cluster.use((cluster) =>
    cluster.podNotices({ ...pod.metadata, uid: pod.metadata.uid ?? "" }).pipe(
      Stream.runForEach(Effect.fnUntraced(function*(notice) {
        const said = pullActivity(notice)
        if (said === undefined) return
        yield* Ref.set(pulling, said.pulling)
        if (said.pulling !== undefined) yield* SubscriptionRef.set(activity, said.pulling)
      })),
      Effect.catch((error) => Effect.logDebug(error.message)),
      Effect.raceFirst(Effect.exit(Deferred.await(ready)))
    )
  )
