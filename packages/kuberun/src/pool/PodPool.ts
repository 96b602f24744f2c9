/**
 * Started pods that wait for users, so that a prompt does not wait for a pod.
 *
 * All replicas of an installation keep one pool, in the cluster: what a free pod is, its labels say, and of two replicas
 * that claim the same one the API server lets one. Nothing else is agreed on between them.
 */
import { Clock, Effect, Exit, FiberSet, Queue, Random, Ref, Scope } from "effect"
import { type Config, startTimeout } from "../config/Config.ts"
import { podReadiness } from "../pod/PodReadiness.ts"
import type { PodRequest } from "../pod/PodSource.ts"
import type { PodStartError } from "../pod/PodStartError.ts"
import { follow, type RunningPod, withinStartTime } from "../pod/RunningPod.ts"
import type { Cluster, ClusterError } from "../ports/Cluster.ts"
import type { Pod, PodRef } from "../ports/Pod.ts"
import { replicaKey } from "../template/Labels.ts"
import { dropped, emptyBook, poolFacts, poolSettings, withClaim, withoutPod } from "./PoolBook.ts"
import { type Claim, claimPod } from "./PoolClaim.ts"
import { classOf } from "./PoolClasses.ts"
import { drain } from "./PoolDrain.ts"
import { keep, type KeptBook, note } from "./PoolKeeper.ts"
import { pick } from "./PoolPlan.ts"

/** The free pods of the present template, as this replica sees them. */
export interface PoolStatus {
  readonly ready: number
  readonly starting: number
}

export interface PodPool {
  /**
   * Gives the connection a pod of its user's class, as the connection's own: it is deleted with the scope. `undefined`,
   * at once, where none is free, or where the cluster does not take the claim: the caller makes a new one. Fails where the
   * claimed pod was still starting and does not become ready.
   */
  readonly claim: (request: PodRequest) => Effect.Effect<RunningPod | undefined, PodStartError, Cluster | Scope.Scope>
  readonly status: Effect.Effect<PoolStatus>
  /** The free pods that are this replica's to delete when it ends; none after that, unless they could not be deleted. */
  readonly own: Effect.Effect<ReadonlyArray<PodRef>>
}

/**
 * How long a replica looks on while pods are missing that others have claimed, in milliseconds: each has its own
 * patience, so that mostly one of them fills up.
 */
const shortestFillDelay = 500
const longestFillDelay = 2000

/**
 * How many pods a claim tries that others take at the same time. Each costs two calls; a new pod is not much slower then.
 */
const mostCandidates = 5

/** Takes the best free pod of the class out of this replica's own sight, until it is known what became of it. */
const choose = (kept: KeptBook, poolClass: string): Effect.Effect<Pod | undefined> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Ref.modify(kept.book, (book) => {
      const uid = pick(poolFacts(book, kept.settings, now), poolClass)?.uid ?? ""
      const pod = book.view.pods.get(uid)?.pod
      return pod === undefined ? [undefined, book] : [pod, { ...book, claiming: new Set([...book.claiming, uid]) }]
    }))

const putBack = (kept: KeptBook, pod: Pod | undefined): Effect.Effect<void> =>
  pod === undefined
    ? Effect.void
    : note(kept, (book) => ({ ...book, claiming: dropped(book.claiming, pod.metadata.uid ?? "") }))

/** Claims what is free until one is the connection's. A pod that was not got is let go at once. */
const claimAny = Effect.fnUntraced(function*(
  kept: KeptBook,
  request: PodRequest,
  onRefusal: (error: ClusterError) => Effect.Effect<void>
) {
  const { config, container } = kept.settings
  const poolClass = classOf(config.pool, request.identity.username)
  const connectionScope = yield* Effect.scope
  const attempt = Effect.acquireUseRelease(
    choose(kept, poolClass),
    (free) =>
      free === undefined
        ? Effect.succeed(undefined)
        : Effect.tap(claimPod(kept.settings, request, free), (claim) => noteClaim(kept, free, poolClass, claim)),
    (free) => putBack(kept, free)
  )
  for (let tries = 1; tries <= mostCandidates; tries++) {
    const scope = yield* Scope.fork(connectionScope)
    const claim = yield* Scope.provide(attempt, scope)
    if (claim?._tag === "Claimed") {
      const readiness = podReadiness(claim.pod, container)
      if (readiness._tag === "Ready" || readiness._tag === "Starting") return { pod: claim.pod, scope }
    }
    // One that may have been claimed is seen to at the connection's end: nobody waits for that now.
    if (claim?._tag !== "Unavailable" || !claim.mayBeOurs) yield* Scope.close(scope, Exit.void)
    if (claim?._tag === "Unavailable") yield* onRefusal(claim.error)
    if (claim === undefined || claim._tag === "Unavailable") return undefined
  }
  return undefined
})

const noteClaim = (kept: KeptBook, free: Pod, poolClass: string, claim: Claim): Effect.Effect<void> => {
  const uid = free.metadata.uid ?? ""
  switch (claim._tag) {
    case "Claimed":
      return note(kept, (book, now) => withClaim(book, uid, poolClass, now))
    case "Taken":
      return note(kept, (book, now) => withoutPod(book, uid, now))
    case "Unavailable":
      return Effect.void
  }
}

/** Follows the claimed pod, which is ready already or about to be. */
const use = (kept: KeptBook, request: PodRequest, pod: Pod): ReturnType<PodPool["claim"]> => {
  const { config, container } = kept.settings
  const { activity } = request
  const { name } = pod.metadata
  return withinStartTime(follow(pod, container, activity), { pod: name, timeout: startTimeout(config), activity })
}

/**
 * A pool for the configuration, kept in the background and emptied when the scope closes: this replica deletes the free
 * pods that it made, within the time limit of a pod's deletion, and the other replicas fill up what is missing. For mode
 * `connection`, and where `hasPool(config.pool)`.
 */
export const make = Effect.fn("PodPool.make")(function*(
  config: Config,
  replicaId: string
): Effect.fn.Return<PodPool, never, Cluster | Scope.Scope> {
  const fillDelay = yield* Random.nextIntBetween(shortestFillDelay, longestFillDelay)
  const kept: KeptBook = {
    settings: poolSettings(config, replicaId, fillDelay),
    book: yield* Ref.make(emptyBook),
    news: yield* Queue.sliding<void>(1),
    requests: yield* FiberSet.make<Pod, ClusterError>()
  }
  const refusal = yield* Ref.make("")
  const onRefusal = (error: ClusterError) =>
    Ref.getAndSet(refusal, error.reason._tag).pipe(
      Effect.flatMap((before) =>
        before === error.reason._tag ? Effect.logDebug(error.message) : Effect.logWarning(error.message)
      )
    )
  yield* Effect.addFinalizer(() => drain(kept))
  yield* keep(kept)
  return {
    claim: Effect.fn("PodPool.claim")(function*(request: PodRequest) {
      const claimed = yield* claimAny(kept, request, onRefusal)
      if (claimed === undefined) return undefined
      yield* Effect.annotateLogs(Effect.logInfo("pod claimed from the pool"), { pod: claimed.pod.metadata.name })
      return yield* Scope.provide(use(kept, request, claimed.pod), claimed.scope)
    }),
    own: Effect.map(
      Ref.get(kept.book),
      ({ view }) =>
        [...view.pods.values()].map(({ pod }) => pod.metadata).filter(({ annotations }) =>
          annotations?.[replicaKey] === replicaId
        ).map(({ name, namespace }) => ({ name, namespace }))
    ),
    status: Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.map(Ref.get(kept.book), (book) => {
        const { templates, waiting } = poolFacts(book, kept.settings, now)
        const present = waiting.filter(({ poolClass, template }) => template === templates.get(poolClass))
        return {
          ready: present.filter(({ state }) => state === "ready").length,
          starting: present.filter(({ state }) => state === "starting" || state === "held").length
        }
      }))
  }
})
