/**
 * What a replica does with the pool when it ends: it deletes the free pods that it made. The other replicas fill up what
 * is missing then.
 */
import { Clock, type Duration, Effect, Exit, Ref, Schedule } from "effect"
import { stopTimeout } from "../config/Config.ts"
import { Cluster } from "../ports/Cluster.ts"
import type { Pod } from "../ports/Pod.ts"
import { replicaKey } from "../template/Labels.ts"
import { type Asked, emptyBook, type PoolBook } from "./PoolBook.ts"
import { deleteFree, type KeptBook } from "./PoolKeeper.ts"
import { freePods } from "./PoolTemplate.ts"

/** How long a creation whose answer was lost may take to appear (see `PodRemoval.ts`). */
const settlingTime = 5000

/** How many deletions are under way at a time. */
const mostDeletions = 4

const lookSchedule = Schedule.spaced("500 millis")

/** The free pods of this replica's that the API server knows. */
const ownFreePods = ({ settings }: KeptBook) =>
  Cluster.use((cluster) => cluster.listPods(freePods(settings.config))).pipe(
    Effect.map((pods) =>
      pods.filter(({ metadata }) =>
        metadata.annotations?.[replicaKey] === settings.replicaId && metadata.deletionTimestamp === undefined
      )
    )
  )

/** The creations of which it is not known whether there is a pod. */
const undecided = (book: PoolBook): ReadonlyArray<readonly [string, Asked]> =>
  [...book.asked].filter(([, { request }]) => {
    const exit = request.pollUnsafe()
    return exit === undefined || Exit.isFailure(exit)
  })

const deleteAll = (pods: ReadonlyArray<Pod>) =>
  Effect.forEach(
    pods,
    (pod) =>
      deleteFree(pod).pipe(
        Effect.map((remaining) => remaining === undefined),
        Effect.catch((error) => Effect.as(Effect.logDebug(error.message), false))
      ),
    { concurrency: mostDeletions }
  )

/**
 * Lists and deletes until nothing is left and nothing can appear any more: every creation under way was answered, or its
 * pod was found, and those that were lost have had their time.
 */
const emptied = Effect.fnUntraced(function*(kept: KeptBook) {
  const open = undecided(yield* Ref.get(kept.book))
  const quietSince = yield* Ref.make(open.length === 0 ? 0 : yield* Clock.currentTimeMillis)
  const found = yield* Ref.make<ReadonlySet<string>>(new Set())
  const look = Effect.gen(function*() {
    const seen = yield* Ref.get(found)
    const underWay = open.some(([name, { request }]) => request.pollUnsafe() === undefined && !seen.has(name))
    const pods = yield* ownFreePods(kept)
    const now = yield* Clock.currentTimeMillis
    yield* Ref.set(found, new Set([...seen, ...pods.map(({ metadata }) => metadata.name)]))
    const deleted = yield* deleteAll(pods)
    if (underWay) yield* Ref.set(quietSince, now)
    return !underWay && deleted.every((done) => done) && now - (yield* Ref.get(quietSince)) >= settlingTime
  }).pipe(
    Effect.tapError((error) => Effect.logDebug(error.message)),
    Effect.catch(() => Effect.succeed(false))
  )
  yield* look.pipe(Effect.repeat({ schedule: lookSchedule, until: (settled) => settled }))
})

/** Ends within the time limit of a pod's deletion and never fails; what may be left behind is logged. */
export const drain = (kept: KeptBook): Effect.Effect<void, never, Cluster> => {
  const timeout: Duration.Duration = stopTimeout(kept.settings.config)
  const left = Effect.logError(
    `free pods of the pool may be left behind; see: kubectl get pods -n ${kept.settings.config.pod.namespace} -l ${
      Object.entries(freePods(kept.settings.config).labels).map(([key, value]) => `${key}=${value}`).join(",")
    }`
  )
  return Ref.get(kept.book).pipe(
    // Who has never seen the pool has put nothing into it.
    Effect.flatMap(({ view }) => view.complete ? emptied(kept) : Effect.void),
    Effect.andThen(Ref.set(kept.book, emptyBook)),
    Effect.timeoutOrElse({ duration: timeout, orElse: () => left }),
    Effect.catchCause((cause) => Effect.andThen(Effect.logDebug(cause), left))
  )
}
