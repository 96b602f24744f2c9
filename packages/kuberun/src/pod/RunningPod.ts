/**
 * A pod that exists, followed until it is ready and from then on until it ends.
 */
import { Deferred, Duration, Effect, FiberHandle, Option, Ref, type Scope, Stream, SubscriptionRef } from "effect"
import { Cluster, type PodEvent } from "../ports/Cluster.ts"
import type { Pod, PodRef } from "../ports/Pod.ts"
import { notRunning, presentRun, restartSince } from "./ContainerRun.ts"
import { disruption, type PodFault, type PodReadiness, podReadiness } from "./PodReadiness.ts"
import { ContainerRestarted, NotReadyInTime, PodDeleted, PodEnded, PodFailed, PodStartError } from "./PodStartError.ts"
import { observe } from "./PodWatch.ts"
import { pullNotices } from "./PullNotices.ts"

/** A pod that is ready for programs. */
export interface RunningPod {
  readonly ref: PodRef
  /** The container that programs run in. */
  readonly container: string
  /**
   * When the pod was created, in milliseconds since 1970; `undefined` where the API server does not say. By its clock,
   * or by ours where the source knows how far they are apart.
   */
  readonly created: number | undefined
  /** The pod as it was seen last, then every change that is told of it while its scope is open. Run it as often as need be. */
  readonly changes: Stream.Stream<Pod>
  /** Fails when the pod is no more, though its scope is still open: deleted from outside, evicted, ended. */
  readonly ended: Effect.Effect<never, PodEnded>
  /**
   * Asks the API server now whether the pod, or the container in it, has ended, and fails if so. Anything else, also no
   * answer, succeeds.
   */
  readonly check: Effect.Effect<void, PodEnded>
  /**
   * To be run before a program is started: what it gives tells at the program's end whether that was the container's,
   * which may run again by then. Like `check` it asks the API server; where that knows of nothing, it waits for so much
   * longer whether something is told (`newsPatience`; left out: not at all), because a program's end is seen before the
   * kubelet has told its cause.
   */
  readonly programCheck: Effect.Effect<ProgramCheck>
}

export type ProgramCheck = (patience?: Duration.Input) => Effect.Effect<void, PodEnded>

/** The kubelet looks at its containers once a second, and then tells the API server. */
export const newsPatience: Duration.Input = "2 seconds"

/**
 * How long a fault that may heal (`PodReadiness`) is looked at before the pod counts as failed: the kubelet tries again
 * after ten to fifteen seconds.
 */
export const faultPatience: Duration.Input = "20 seconds"

type End = PodFailed | PodDeleted

const deletedBy = (cause: PodFault | undefined): PodDeleted => new PodDeleted(cause ?? {})

const endOf = (readiness: PodReadiness): End | undefined => {
  switch (readiness._tag) {
    case "Leaving":
      return deletedBy(readiness.cause)
    case "Failed":
      return new PodFailed({ reason: readiness.reason, detail: readiness.detail })
    default:
      return undefined
  }
}

/** A pod that ran has ended only when its phase says so or it goes away: a container that restarts may come back. */
const endOfRunning = (pod: Pod, container: string): End | undefined =>
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
  const seen = yield* SubscriptionRef.make(pod)
  const patience = yield* FiberHandle.make()
  const end = (reason: End) =>
    Deferred.fail(ready, new PodStartError({ pod: ref.name, reason })).pipe(
      Effect.andThen(Deferred.fail(ended, new PodEnded({ pod: ref.name, reason })))
    )
  const isSame = (other: Pod) => other.metadata.uid === pod.metadata.uid

  /** The fault as it is told last counts, when it has lasted for long enough. */
  const faultLasts = Effect.sleep(faultPatience).pipe(
    Effect.andThen(SubscriptionRef.get(seen)),
    Effect.flatMap((latest) => {
      const readiness = podReadiness(latest, container)
      return readiness._tag === "Starting" && readiness.fault !== undefined
        ? end(new PodFailed(readiness.fault))
        : Effect.void
    })
  )

  const onStarting = Effect.fnUntraced(function*(readiness: PodReadiness) {
    if (readiness._tag === "Starting") {
      yield* readiness.fault === undefined
        ? FiberHandle.clear(patience)
        : FiberHandle.run(patience, faultLasts, { onlyIfMissing: true })
      return yield* SubscriptionRef.set(activity, (yield* Ref.get(pulling)) ?? readiness.activity)
    }
    yield* FiberHandle.clear(patience)
    if (readiness._tag === "Ready") return yield* Deferred.succeed(ready, undefined)
    const reason = endOf(readiness)
    return reason === undefined ? undefined : yield* end(reason)
  })

  const onEvent = Effect.fnUntraced(function*(event: PodEvent) {
    if (event._tag === "Absent" || !isSame(event.pod)) {
      return yield* end(deletedBy(disruption(yield* SubscriptionRef.get(seen))))
    }
    yield* SubscriptionRef.set(seen, event.pod)
    if (!(yield* Deferred.isDone(ready))) return yield* onStarting(podReadiness(event.pod, container))
    const reason = endOfRunning(event.pod, container)
    return reason === undefined ? undefined : yield* end(reason)
  })
  // What is known already need not be asked for: a pod from the pool is ready.
  if (podReadiness(pod, container)._tag === "Ready") yield* Deferred.succeed(ready, undefined)
  yield* Effect.forkScoped(Stream.runForEach(observe(ref), onEvent))
  yield* Effect.forkScoped(pullNotices(pod, activity, pulling, ready))
  yield* Deferred.await(ready)

  /** Fails if the pod has ended, by what the API server says now. */
  const ask = Effect.gen(function*() {
    const event = yield* cluster.readPod(ref).pipe(
      Effect.map((found): PodEvent => ({ _tag: "Present", pod: found })),
      Effect.catch((error) =>
        Effect.succeed<PodEvent | undefined>(error.reason._tag === "NotFound" ? { _tag: "Absent" } : undefined)
      )
    )
    if (event !== undefined) yield* onEvent(event)
    if (yield* Deferred.isDone(ended)) return yield* Deferred.await(ended)
    return event
  })

  const stopped = (now: Pod): PodEnded | undefined => {
    const fault = notRunning(now, container)
    return fault && new PodEnded({ pod: ref.name, reason: new PodFailed(fault) })
  }

  const check = Effect.gen(function*() {
    const event = yield* ask
    const error = event?._tag === "Present" ? stopped(event.pod) : undefined
    if (error !== undefined) return yield* error
  })

  const programCheck = Effect.map(SubscriptionRef.get(seen), (before): ProgramCheck => {
    const run = presentRun(before, container)
    const endOfRun = (now: Pod): PodEnded | undefined => {
      const restart = run && restartSince(now, container, run)
      return restart === undefined
        ? stopped(now)
        : new PodEnded({ pod: ref.name, reason: new ContainerRestarted({ container, ...restart }) })
    }
    return Effect.fn("RunningPod.programCheck")(function*(longer = Duration.zero) {
      yield* ask
      const news = SubscriptionRef.changes(seen).pipe(
        Stream.map(endOfRun),
        Stream.filter((error) => error !== undefined)
      )
      const already = endOfRun(yield* SubscriptionRef.get(seen))
      const error = already ?? (yield* Stream.runHead(news).pipe(
        Effect.raceFirst(Deferred.await(ended)),
        Effect.timeoutOption(longer),
        Effect.map((found) => Option.getOrUndefined(Option.flatten(found)))
      ))
      if (error !== undefined) return yield* error
    })
  })
  return {
    changes: SubscriptionRef.changes(seen),
    ref,
    container,
    created: createdAt(pod),
    ended: Deferred.await(ended),
    check,
    programCheck
  } satisfies RunningPod
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
