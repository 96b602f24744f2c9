/**
 * What a replica does for users' pods that nobody else looks after: of replicas that died, of earlier lives of this one,
 * and of requests whose late work nobody saw. And it ends those that have lived for as long as they may.
 *
 * Every replica sweeps; what two of them do to one pod at once, its version decides.
 */
import { Clock, Duration, Effect, Queue, Random, Ref, type Scope, Stream, SubscriptionRef } from "effect"
import { Cluster, type ClusterError } from "../ports/Cluster.ts"
import type { Pod } from "../ports/Pod.ts"
import { installationLabels } from "../template/Labels.ts"
import { holdersOf, holdPatch, releasePatch } from "./Holders.ts"
import { moved, stateOf } from "./Linger.ts"
import type { Hold, Holds } from "./PodHolds.ts"
import { deserted, lives, nextDeath, noReplicas, type ReplicaView, withLeases } from "./ReplicaView.ts"
import { deadHolders, expiryOf, type FirstSeen, otherReplicas, type SweepFacts, withSeen } from "./SweepPlan.ts"
import { hasEnded, userPodLabels } from "./UserPod.ts"

/** Leases are looked at so often, spread by a fifth, so that a replica's death is seen soon after it is certain. */
const lookEvery = Duration.seconds(5)

/** Pods are listed at every so many looks, and whenever there is reason to. */
const looksPerSweep = 6

/** The first look comes within this time after the start, so that replicas started together do not look together. */
const startSpread = Duration.seconds(5)

/** Nothing that is due is looked at more often. */
const shortestPause = Duration.millis(200)

/** Changes of pods that are under way at once. */
const concurrency = 4

interface Memory {
  readonly view: ReplicaView
  /** False where Leases cannot be read: nobody counts as dead then. */
  readonly leases: boolean
  readonly firstSeen: FirstSeen
  /** The replicas that held something at the last sweep. */
  readonly holders: ReadonlySet<string>
  /** When something that was seen at the last sweep falls due (milliseconds). */
  readonly due: number | undefined
  /** Looks since the last sweep. */
  readonly looks: number
  /** Failures of which the log was told already. */
  readonly told: ReadonlySet<string>
}

const nothingKnown: Memory = {
  view: noReplicas,
  leases: false,
  firstSeen: new Map(),
  holders: new Set(),
  due: undefined,
  looks: looksPerSweep,
  told: new Set()
}

const earliest = (...times: ReadonlyArray<number | undefined>): number =>
  Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY))

/** Sweeps until it is interrupted. */
export const run = Effect.fn("Sweeper.run")(function*(
  holds: Holds
): Effect.fn.Return<never, never, Cluster | Scope.Scope> {
  const cluster = yield* Cluster
  const { config, linger, replica } = holds
  const { namespace } = config.pod
  const memory = yield* Ref.make(nothingKnown)
  const remember = (part: Partial<Memory>) => Ref.update(memory, (before) => ({ ...before, ...part }))

  /** A failure that will be met again: told once, until it succeeds. */
  const telling = <A>(call: Effect.Effect<A, ClusterError>, lost: string): Effect.Effect<A, ClusterError> =>
    call.pipe(
      Effect.tap(() =>
        Ref.update(
          memory,
          (before) => ({ ...before, told: new Set([...before.told].filter((other) => other !== lost)) })
        )
      ),
      Effect.tapError(Effect.fnUntraced(function*(error) {
        const { told } = yield* Ref.get(memory)
        if (error.reason._tag !== "Forbidden" || told.has(lost)) return yield* Effect.logDebug(error.message)
        yield* remember({ told: new Set([...told, lost]) })
        yield* Effect.logWarning(`${error.message}; ${lost}`)
      }))
    )

  const lookAtLeases = Effect.fnUntraced(function*() {
    const asked = yield* Clock.currentTimeMillis
    const { holders, view } = yield* Ref.get(memory)
    const listed = yield* telling(
      cluster.listLeases({ namespace, labels: installationLabels(config) }),
      "pods held by a replica that died are not cleaned up"
    ).pipe(Effect.option)
    if (listed._tag === "None") return yield* Effect.as(remember({ leases: false }), undefined)
    const now = yield* Clock.currentTimeMillis
    yield* remember({ view: withLeases(view, listed.value, [...holders], now), leases: true })
    return asked
  })

  /** The pod with this replica's hold on it, where that was taken away or is not as it should be. */
  const heldAgain = Effect.fnUntraced(function*(pod: Pod, hold: Hold) {
    const state = yield* Ref.get(hold.state)
    const value = yield* holds.value
    if (state._tag !== "Held" || state.uid !== pod.metadata.uid) return pod
    if (pod.metadata.annotations?.[hold.key] === value) return pod
    const held = yield* cluster.patchPod(hold.ref, holdPatch(hold.key, value), stateOf(pod))
    // Only now: the hold may have been taken since the pods were listed, and the state they had then is not the pod's.
    yield* Effect.logWarning("this replica's hold on the pod was not as it should be: it has taken hold again")
    return held
  }, (held, _pod, hold) => hold.lock.withPermits(1)(held))

  const tend = Effect.fnUntraced(function*(listed: Pod, facts: SweepFacts, expired: boolean) {
    if (listed.metadata.deletionTimestamp !== undefined) return
    if (expired) {
      yield* cluster.deletePod(listed.metadata, { uid: listed.metadata.uid })
      return yield* Effect.logInfo("pod deleted: it has lived for as long as it may")
    }
    let pod = listed
    for (const hold of (yield* Ref.get(holds.open)).values()) {
      if (hold.ref.name === pod.metadata.name && !hasEnded(pod)) pod = yield* heldAgain(pod, hold)
    }
    const dead = deadHolders(pod, facts)
    if (dead.length > 0) {
      pod = yield* cluster.patchPod(pod.metadata, releasePatch(dead, yield* holds.newRelease), stateOf(pod))
      yield* Effect.logInfo(`${dead.length} of the pod's connections were gone with their replica`)
    }
    if (holdersOf(pod).length === 0) yield* linger.watch(pod)
  })

  const deleteDesertedLeases = Effect.fnUntraced(function*(asked: number) {
    const { holders, view } = yield* Ref.get(memory)
    const unused = deserted(view, asked).filter(({ spec }) => {
      const id = spec?.holderIdentity ?? ""
      return id !== replica.id && !holders.has(id)
    })
    yield* Effect.forEach(
      unused,
      ({ metadata }) =>
        Effect.ignore(cluster.deleteLease(metadata, { uid: metadata.uid, resourceVersion: metadata.resourceVersion })),
      { discard: true }
    )
  })

  const sweep = Effect.fnUntraced(function*() {
    const pods = yield* telling(
      cluster.listPods({ namespace, labels: userPodLabels(config) }),
      "users' pods that were left are not found"
    )
    const now = yield* Clock.currentTimeMillis
    const firstSeen = withSeen((yield* Ref.get(memory)).firstSeen, pods, now)
    const holders = otherReplicas(pods, replica.id)
    yield* remember({ firstSeen, holders, looks: 0, due: undefined })
    // After the pods, so that their holders are known when it is decided: one that was seen is or was among the open.
    const open = new Set((yield* Ref.get(holds.open)).keys())
    const asked = yield* lookAtLeases()
    const { view } = yield* Ref.get(memory)
    const facts: SweepFacts = { replica: replica.id, open, view, asked }
    const clockLead = yield* replica.clockLead
    const expiries = pods.map((pod) => expiryOf(config, pod, firstSeen, clockLead))
    yield* Effect.forEach(
      pods,
      (pod, place) =>
        tend(pod, facts, (expiries[place] ?? Number.POSITIVE_INFINITY) <= now).pipe(
          Effect.catchIf(moved, () => Effect.void),
          Effect.catch((error) => Effect.logWarning(error.message)),
          Effect.annotateLogs({ pod: pod.metadata.name })
        ),
      { concurrency, discard: true }
    )
    if (asked !== undefined) yield* deleteDesertedLeases(asked)
    const coming = expiries.filter((time) => time !== undefined && time > now)
    yield* remember({ due: coming.length === 0 ? undefined : earliest(...coming) })
  })

  const look = Effect.fnUntraced(function*(atOnce: boolean) {
    const { due, looks } = yield* Ref.get(memory)
    yield* remember({ looks: looks + 1 })
    const isDue = due !== undefined && due <= (yield* Clock.currentTimeMillis)
    if (atOnce || isDue || looks + 1 >= looksPerSweep) return yield* sweep()
    const asked = yield* lookAtLeases()
    const { holders, view } = yield* Ref.get(memory)
    if (asked !== undefined && [...holders].some((id) => !lives(view, id, asked))) yield* sweep()
  })

  /** Until the next look: sooner where somebody's death or a pod's end would be certain before. */
  const pause = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const { due, holders, leases, view } = yield* Ref.get(memory)
    const spread = yield* Random.nextBetween(0.8, 1.2)
    const next = earliest(
      now + spread * Duration.toMillis(lookEvery),
      due,
      leases ? nextDeath(view, holders, now) : undefined
    )
    return Duration.millis(Math.max(next - now, Duration.toMillis(shortestPause)))
  })

  const wakeUps = yield* Queue.sliding<void>(1)
  yield* SubscriptionRef.changes(replica.rechecks).pipe(
    Stream.drop(1),
    Stream.runForEach(() => Queue.offer(wakeUps, undefined)),
    Effect.forkScoped
  )
  yield* Effect.sleep(Duration.millis((yield* Random.nextBetween(0, 1)) * Duration.toMillis(startSpread)))
  const careful = (atOnce: boolean) =>
    look(atOnce).pipe(
      Effect.catchCause((cause) => Effect.logDebug("the sweep did not come through; it is made again", cause))
    )
  yield* careful(true)
  return yield* Effect.flatMap(pause, (time) => Effect.timeoutOption(Queue.take(wakeUps), time)).pipe(
    Effect.flatMap((woken) => careful(woken._tag === "Some")),
    Effect.forever
  )
})
