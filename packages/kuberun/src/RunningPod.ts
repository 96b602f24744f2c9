/**
 * A pod that exists, followed until it is ready and from then on until it ends.
 */
import { Deferred, Duration, Effect, Ref, type Scope, Stream, SubscriptionRef } from "effect"
import { Cluster, type PodEvent, type PodNotice } from "./Cluster.ts"
import type { Pod, PodRef } from "./Pod.ts"
import { notRunning, type PodReadiness, podReadiness } from "./PodReadiness.ts"
import { NotReadyInTime, PodDeleted, PodEnded, PodFailed, PodStartError } from "./PodStartError.ts"
import { observe } from "./PodWatch.ts"

/** A pod that is ready for programs. */
export interface RunningPod {
  readonly ref: PodRef
  /** The container that programs run in. */
  readonly container: string
  /** When the pod was created, by the API server's clock in milliseconds since 1970; `undefined` where it does not say. */
  readonly created: number | undefined
  /** Fails when the pod is no more, though its scope is still open: deleted from outside, evicted, ended. */
  readonly ended: Effect.Effect<never, PodEnded>
  /**
   * Asks the API server now whether the pod, or the container in it, has ended, and fails if so. Anything else, also no
   * answer, succeeds.
   */
  readonly check: Effect.Effect<void, PodEnded>
}

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

const createdAt = ({ metadata }: Pod): number | undefined => {
  const time = Date.parse(metadata.creationTimestamp ?? "")
  return Number.isNaN(time) ? undefined : time
}

/**
 * Waits until this pod, with this identity, is ready, and follows it as long as the scope is open. How long that may
 * take is the caller's to say.
 */
export const follow = Effect.fn("RunningPod.follow")(function*(
  pod: Pod,
  container: string,
  activity: SubscriptionRef.SubscriptionRef<string>
): Effect.fn.Return<RunningPod, PodStartError, Cluster | Scope.Scope> {
  const cluster = yield* Cluster
  const ref: PodRef = { namespace: pod.metadata.namespace, name: pod.metadata.name }
  const ready = yield* Deferred.make<void, PodStartError>()
  const pulling = yield* Ref.make<string | undefined>(undefined)
  const ended = yield* Deferred.make<never, PodEnded>()
  const end = (reason: PodFailed | PodDeleted) =>
    Deferred.fail(ready, new PodStartError({ pod: ref.name, reason })).pipe(
      Effect.andThen(Deferred.fail(ended, new PodEnded({ pod: ref.name, reason })))
    )
  const isSame = (seen: Pod) => seen.metadata.uid === pod.metadata.uid

  const onEvent = Effect.fnUntraced(function*(event: PodEvent) {
    if (event._tag === "Absent" || !isSame(event.pod)) return yield* end(new PodDeleted())
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
  // What is known already need not be asked for: a pod from the pool is ready.
  if (podReadiness(pod, container)._tag === "Ready") yield* Deferred.succeed(ready, undefined)
  yield* Effect.forkScoped(Stream.runForEach(observe(ref), onEvent))
  yield* Effect.forkScoped(pullNotices(pod, activity, pulling, ready))
  yield* Deferred.await(ready)

  const check = Effect.gen(function*() {
    const event = yield* cluster.readPod(ref).pipe(
      Effect.map((found): PodEvent => ({ _tag: "Present", pod: found })),
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
  return { ref, container, created: createdAt(pod), ended: Deferred.await(ended), check } satisfies RunningPod
})

/** Bounds a start, and says what the pod was doing when its time was over. */
export const withinStartTime = <A, R>(
  start: Effect.Effect<A, PodStartError, R>,
  options: {
    readonly pod: string
    readonly timeout: Duration.Duration
    readonly activity: SubscriptionRef.SubscriptionRef<string>
  }
): Effect.Effect<A, PodStartError, R> =>
  start.pipe(Effect.timeoutOrElse({
    duration: options.timeout,
    orElse: () =>
      SubscriptionRef.get(options.activity).pipe(
        Effect.flatMap((doing) =>
          Effect.fail(
            new PodStartError({
              pod: options.pod,
              reason: new NotReadyInTime({ seconds: Duration.toSeconds(options.timeout), activity: doing })
            })
          )
        )
      )
  }))

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
