/**
 * Keeps the pool filled: carries out what `PoolPlan` says, again after everything that happens.
 */
import { Clock, Effect, Fiber, FiberSet, Queue, Random, Ref, Schedule, type Scope } from "effect"
import * as Metrics from "../Metrics.ts"
import { podReadiness } from "../pod/PodReadiness.ts"
import { randomPodName } from "../pod/PodSource.ts"
import { mayCreateAgain } from "../pod/Retry.ts"
import { Cluster, type ClusterError, isAmbiguous, type PodsEvent } from "../ports/Cluster.ts"
import type { Pod } from "../ports/Pod.ts"
import {
  dropped,
  isOver,
  nextPlan,
  type PoolBook,
  poolFacts,
  type PoolSettings,
  type Trouble,
  withAsked,
  withoutPod,
  withTrouble,
  withView
} from "./PoolBook.ts"
import type { PoolPlan } from "./PoolPlan.ts"
import { freeManifest, freePods, isFree } from "./PoolTemplate.ts"
import { withAll, withPod } from "./PoolView.ts"
import { observePods } from "./PoolWatch.ts"

/** A book that is kept, and who waits for its next entry. */
export interface KeptBook {
  readonly settings: PoolSettings
  readonly book: Ref.Ref<PoolBook>
  /** Holds an element when something is new. */
  readonly news: Queue.Queue<void>
  /** Creations under way: they go on while the replica drains, which waits for them. */
  readonly requests: FiberSet.FiberSet<Pod, ClusterError>
}

/** Notes what has happened, and has the plan made anew. */
export const note = (
  { book, news }: KeptBook,
  entry: (book: PoolBook, now: number) => PoolBook
): Effect.Effect<void> =>
  Clock.currentTimeMillis.pipe(
    Effect.flatMap((now) => Ref.update(book, (before) => entry(before, now))),
    Effect.andThen(Queue.offer(news, undefined)),
    Effect.asVoid
  )

const noteEvent = (kept: KeptBook, event: PodsEvent, asked: number): Effect.Effect<void> =>
  note(kept, (book, now) => {
    switch (event._tag) {
      case "Listed":
        return withView(book, withAll(book.view, event.pods, asked, now))
      case "Put":
        return withView(book, withPod(book.view, event.pod, now))
      case "Removed":
        return withoutPod(book, event.pod.metadata.uid ?? "", now)
    }
  })

interface Failure {
  readonly of: Trouble["of"]
  readonly kind: "passing" | "lasting"
  readonly sentence: string
  readonly atLeast?: number | undefined
}

/** Pauses creations. The log hears of it once, and again when it is something else. */
const noteFailure = Effect.fnUntraced(function*(kept: KeptBook, failure: Failure) {
  const { trouble } = yield* Ref.get(kept.book)
  const spread = 0.75 + (yield* Random.next) / 2
  yield* note(kept, (book, now) => withTrouble(book, { ...failure, atLeast: failure.atLeast ?? 0, spread }, now))
  yield* trouble?.sentence === failure.sentence
    ? Effect.logDebug(failure.sentence)
    : Effect.logWarning(`the pool is not full: ${failure.sentence}`)
})

const noteRecovery = (kept: KeptBook): Effect.Effect<void> =>
  Effect.andThen(
    note(kept, (book) => ({ ...book, trouble: undefined })),
    Effect.logInfo("the pool is being filled again")
  )

const noteRefusal = (kept: KeptBook, name: string, error: ClusterError): Effect.Effect<void> =>
  noteFailure(kept, {
    of: "creation",
    kind: mayCreateAgain(error) ? "passing" : "lasting",
    // Each try has another name: without it the same refusal reads the same.
    sentence: error.message.replaceAll(name, "…"),
    atLeast: error.reason._tag === "TooManyRequests" ? (error.reason.retryAfterSeconds ?? 0) * 1000 : 0
  })

/** What the watch has told of it already is newer than the answer. */
const withCreated = (book: PoolBook, pod: Pod, now: number): PoolBook =>
  book.view.pods.has(pod.metadata.uid ?? "") ? book : withView(book, withPod(book.view, pod, now))

/**
 * Creates one pod. The request is a fiber of its own, written down before its answer can come: when the replica drains,
 * it is known that there may be such a pod.
 */
const create = Effect.fn("PoolKeeper.create")(function*(kept: KeptBook, poolClass: string) {
  const cluster = yield* Cluster
  const { config, replicaId, templates } = kept.settings
  const name = yield* randomPodName(config.pod.namePrefix)
  const template = templates.get(poolClass) ?? ""
  const request = yield* Effect.uninterruptible(
    FiberSet.run(
      kept.requests,
      Effect.interruptible(cluster.createPod(freeManifest(config, { replicaId, poolClass, template, name })))
    ).pipe(
      Effect.tap((request) => note(kept, (book) => withAsked(book, name, { poolClass, request, lostAt: undefined })))
    )
  )
  yield* Fiber.join(request).pipe(Effect.matchEffect({
    onSuccess: (pod) =>
      note(kept, (book, now) => withCreated(withAsked(book, name, undefined), pod, now)).pipe(
        Effect.andThen(Ref.get(kept.book)),
        Effect.flatMap(({ trouble }) => trouble?.of === "creation" ? noteRecovery(kept) : Effect.void)
      ),
    onFailure: (error) =>
      note(
        kept,
        (book, now) => withAsked(book, name, isAmbiguous(error) ? { poolClass, request, lostAt: now } : undefined)
      ).pipe(Effect.andThen(noteRefusal(kept, name, error)))
  }))
})

/** Between two tries to delete a pod that nobody needs: there is no hurry. */
const removalBackoff = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("30 seconds")]).pipe(
  Schedule.jittered
)

/** The pod as it is, or `undefined` where it is free no longer. */
const readFree = (pod: Pod) =>
  Cluster.use((cluster) => cluster.readPod(pod.metadata)).pipe(
    Effect.map((found) => found.metadata.uid === pod.metadata.uid && isFree(found) ? found : undefined),
    Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(undefined))
  )

/**
 * Deletes a free pod in the state that was planned with: one that was claimed meanwhile stays. `undefined` where it is
 * free no longer, and else its present state, to be planned with again.
 */
export const deleteFree = (pod: Pod): Effect.Effect<Pod | undefined, ClusterError, Cluster> => {
  const { resourceVersion, uid } = pod.metadata
  return Cluster.use((cluster) => cluster.deletePod(pod.metadata, { uid, resourceVersion })).pipe(
    Effect.as(true),
    Metrics.podDeletion,
    Effect.as(undefined),
    Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(undefined)),
    Effect.catchIf((error) => error.reason._tag === "Conflict", () => readFree(pod))
  )
}

const remove = Effect.fn("PoolKeeper.remove")(
  function*(kept: KeptBook, { pod: planned, reason }: PoolPlan["remove"][number]) {
    const seen = (yield* Ref.get(kept.book)).view.pods.get(planned.uid)
    const remaining = seen === undefined ? undefined : yield* deleteFree(seen.pod).pipe(
      Effect.tapError((error) => Effect.logDebug(error.message)),
      Effect.retry(removalBackoff)
    )
    yield* note(kept, (book, now) => {
      const after = { ...book, removing: dropped(book.removing, planned.uid) }
      return remaining === undefined
        ? withoutPod(after, planned.uid, now)
        : { ...after, view: withPod(after.view, remaining, now) }
    })
    if (remaining === undefined) yield* Effect.logDebug(`pod ${planned.name} of the pool was deleted: ${reason}`)
  }
)

/** Why a pod failed, as its status says. */
const failureOf = (kept: KeptBook, pod: Pod | undefined): string => {
  const readiness = pod === undefined ? undefined : podReadiness(pod, kept.settings.container)
  if (readiness?._tag === "Failed") {
    return `its pods fail: ${readiness.reason}: ${readiness.detail}`.replaceAll(pod?.metadata.name ?? "", "…")
  }
  return `its pods are not ready in time${readiness?._tag === "Starting" ? ` (${readiness.activity})` : ""}`
}

/** Milliseconds: no timer is finer, and one that is asked for less may end before the time that it was to wait for. */
const shortestWait = 1

/** Says how many ready pods of each class wait. */
const measure = Effect.fnUntraced(function*({ book, settings }: KeptBook, now: number) {
  const { waiting } = poolFacts(yield* Ref.get(book), settings, now)
  for (const poolClass of settings.sizes.keys()) {
    const ready = waiting.filter((pod) => pod.poolClass === poolClass && pod.state === "ready")
    yield* Metrics.poolSize(poolClass, ready.length)
  }
})

/** Looks at the book, does what is to be done, and waits for news or for the time at which that may be something else. */
const turn = Effect.fnUntraced(function*(kept: KeptBook, work: FiberSet.FiberSet<void>) {
  if (isOver(yield* Ref.get(kept.book), kept.settings)) yield* noteRecovery(kept)
  yield* Queue.clear(kept.news)
  const now = yield* Clock.currentTimeMillis
  const plan = yield* Ref.modify(kept.book, (book) => nextPlan(book, kept.settings, now))
  yield* measure(kept, now)
  for (const removal of plan.remove) {
    if (removal.reason === "failed" && removal.pod.replica === kept.settings.replicaId) {
      const seen = (yield* Ref.get(kept.book)).view.pods.get(removal.pod.uid)
      yield* noteFailure(kept, { of: "start", kind: "lasting", sentence: failureOf(kept, seen?.pod) })
    }
    yield* FiberSet.run(work, remove(kept, removal).pipe(Effect.ignore))
  }
  for (const poolClass of plan.create) yield* FiberSet.run(work, create(kept, poolClass))
  const news = Queue.take(kept.news)
  yield* plan.again === undefined ? news : Effect.timeoutOption(news, Math.max(shortestWait, plan.again - now))
})

/** Keeps the pool in the background as long as the scope is open. */
export const keep = Effect.fn("PoolKeeper.keep")(function*(
  kept: KeptBook
): Effect.fn.Return<void, never, Cluster | Scope.Scope> {
  const work = yield* FiberSet.make<void>()
  const told = yield* Ref.make("")
  yield* observePods(freePods(kept.settings.config), {
    turn: Effect.map(Ref.get(kept.book), ({ view }) => view.turn),
    onEvent: (event, asked) => noteEvent(kept, event, asked),
    onFault: (error) =>
      Ref.getAndSet(told, error.message).pipe(
        Effect.flatMap((before) =>
          before === error.message
            ? Effect.logDebug(error.message)
            : Effect.logWarning(`the pool may not be seen as it is: ${error.message}`)
        )
      )
  }).pipe(Effect.forkScoped)
  yield* Effect.forever(turn(kept, work)).pipe(Effect.forkScoped)
})
