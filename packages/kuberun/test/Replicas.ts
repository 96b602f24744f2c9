/**
 * Several replicas over one cluster in memory, and users who connect to them, for tests under TestClock. What the
 * library deletes is checked as it happens.
 */
import type { FakeCluster } from "@kuberun/testkit"
import { Clock, Duration, Effect, Exit, Fiber, Layer, Random, Ref, Scope, SubscriptionRef } from "effect"
import { Cluster, ClusterError, type Config, type Identity, type Pod, type PodRef, Unreachable } from "kuberun"
import { holderKey, holdersOf } from "../src/modes/Holders.ts"
import * as Replica from "../src/modes/Replica.ts"
import * as UserPods from "../src/modes/UserPods.ts"
import type { PodSource } from "../src/pod/PodSource.ts"
import type { PodStartError } from "../src/pod/PodStartError.ts"
import type { RunningPod } from "../src/pod/RunningPod.ts"

export type Fake = Effect.Success<ReturnType<typeof FakeCluster.make>>

export interface Connection {
  readonly username: string
  readonly key: string
  readonly replica: RunningReplica
  readonly opened: Ref.Ref<Exit.Exit<RunningPod, PodStartError> | undefined>
  /** Which pod, by identity, it got; set with `opened`. */
  readonly uid: Ref.Ref<string | undefined>
  /** When it began to close or crashed. */
  readonly endedAt: Ref.Ref<number | undefined>
  /** Whether others might have taken its replica for dead then. */
  readonly endedInDoubt: Ref.Ref<boolean>
  readonly activity: SubscriptionRef.SubscriptionRef<string>
  readonly noted: Ref.Ref<ReadonlyArray<string>>
  /** Closes the scope and does not wait for it. */
  readonly close: Effect.Effect<Fiber.Fiber<void>>
}

export interface RunningReplica {
  readonly replica: Replica.Replica
  /** "cut": calls get no answer until it is "open" again. "dead": nobody hears of it any more. */
  readonly gate: Ref.Ref<"open" | "cut" | "dead">
  readonly cutAt: Ref.Ref<number | undefined>
  /** Until when others may have taken it for dead although it lives (milliseconds). */
  readonly doubtfulUntil: Ref.Ref<number>
  readonly connect: (username: string) => Effect.Effect<Connection>
  readonly crash: Effect.Effect<void>
  /** Closes all connections, then what the replica keeps; completes when that is through. */
  readonly stop: Effect.Effect<void>
  readonly cut: Effect.Effect<void>
  readonly heal: Effect.Effect<void>
}

export interface Deletion {
  readonly pod: Pod
  readonly at: number
}

/** Milliseconds; time is passed in parts of them, whose sum is not exact. */
const grain = 1

/** Longer than a replica may be cut off without any chance that its Lease lapses: it is renewed every ten seconds. */
const safeCut = 12_000

/** By then a replica whose Lease had lapsed has renewed it, and holds again what it held. */
const recovery = 30_000

/** `latencyMillis`: how long a call may be under way, and its answer again. */
export const make = Effect.fn("Replicas.make")(function*(fake: Fake, config: Config, latencyMillis = 0) {
  const connections: Array<Connection> = []
  const deletions: Array<Deletion> = []
  const faults: Array<string> = []
  const expires = config.pod.maxLifetime !== undefined
  const context = yield* Layer.build(fake.layer)
  const store = yield* Effect.provideContext(Cluster, context)

  /** Whether others may take the replica for dead although it is not. */
  const isDoubtful = Effect.fnUntraced(function*(replica: RunningReplica, now: number) {
    const cutAt = yield* Ref.get(replica.cutAt)
    return (cutAt !== undefined && now - cutAt > safeCut) || now < (yield* Ref.get(replica.doubtfulUntil))
  })
  const mayBeTakenForDead = Effect.fnUntraced(function*(replica: RunningReplica, now: number) {
    return (yield* Ref.get(replica.gate)) === "dead" || (yield* isDoubtful(replica, now))
  })

  /** The user's connections that have not begun to end, on a replica that nobody may take for dead. */
  const liveOf = Effect.fnUntraced(function*(select: (connection: Connection) => boolean, now: number) {
    const live: Array<Connection> = []
    for (const connection of connections.filter(select)) {
      if ((yield* Ref.get(connection.endedAt)) === undefined && !(yield* mayBeTakenForDead(connection.replica, now))) {
        live.push(connection)
      }
    }
    return live
  })

  const checkDeletion = Effect.fnUntraced(function*(pod: Pod) {
    const at = yield* Clock.currentTimeMillis
    deletions.push({ pod, at })
    if (expires || pod.status?.phase === "Failed") return
    const keys = new Set(holdersOf(pod).map(({ key }) => key))
    for (const { key } of yield* liveOf(({ key }) => keys.has(key), at)) {
      faults.push(`${pod.metadata.name} was deleted although ${key} held it`)
    }
    for (const connection of connections) {
      const endedAt = yield* Ref.get(connection.endedAt)
      const linger = Duration.toMillis(config.pod.linger)
      // Where it was in doubt, its hold may have been taken away, and the linger begun, before it ended.
      if (endedAt === undefined || (yield* Ref.get(connection.endedInDoubt))) continue
      if ((yield* Ref.get(connection.uid)) === pod.metadata.uid && at - endedAt < linger - grain) {
        faults.push(`${pod.metadata.name} was deleted ${at - endedAt} ms after its last connection`)
      }
    }
  })

  /** A replica; `alter` says what its cluster does otherwise. */
  const start = Effect.fn("Replicas.start")(function*(
    alter: (cluster: Cluster["Service"]) => Partial<Cluster["Service"]> = () => ({})
  ) {
    const gate = yield* Ref.make<"open" | "cut" | "dead">("open")
    const underWay = latencyMillis === 0
      ? Effect.void
      : Effect.flatMap(Random.nextBetween(0, latencyMillis), (millis) => Effect.sleep(millis))
    const gated = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E | ClusterError> =>
      Effect.gen(function*() {
        yield* underWay
        const before = yield* Ref.get(gate)
        if (before === "dead") return yield* Effect.never
        if (before === "cut") {
          yield* Effect.sleep("1 second")
          return yield* new ClusterError({ operation: "call", reason: new Unreachable({ detail: "no route" }) })
        }
        const exit = yield* Effect.exit(call)
        yield* underWay
        return (yield* Ref.get(gate)) === "dead" ? yield* Effect.never : yield* exit
      })
    const gatedStore: Cluster["Service"] = {
      ...store,
      createPod: (manifest) => gated(store.createPod(manifest)),
      readPod: (ref) => gated(store.readPod(ref)),
      patchPod: (ref, patch, precondition) => gated(store.patchPod(ref, patch, precondition)),
      listPods: (query) => gated(store.listPods(query)),
      createClaim: (claim) => gated(store.createClaim(claim)),
      createLease: (lease) => gated(store.createLease(lease)),
      updateLease: (lease) => gated(store.updateLease(lease)),
      listLeases: (query) => gated(store.listLeases(query)),
      deleteLease: (ref, precondition) => gated(store.deleteLease(ref, precondition)),
      deletePod: (ref, options) =>
        gated(Effect.gen(function*() {
          const before = (yield* fake.world.pods).find(({ metadata }) => metadata.name === ref.name)
          const exit = yield* Effect.exit(store.deletePod(ref, options))
          const stays = (yield* fake.world.livePods).includes(before?.metadata.uid ?? "")
          if (before !== undefined && !stays) yield* checkDeletion(before)
          return yield* exit
        }))
    }
    const cluster: Cluster["Service"] = { ...gatedStore, ...alter(gatedStore) }
    const scope = yield* Scope.make()
    const cutAt = yield* Ref.make<number | undefined>(undefined)
    const doubtfulUntil = yield* Ref.make(0)
    const within = <A, E>(effect: Effect.Effect<A, E, Cluster | Scope.Scope>, scope: Scope.Scope) =>
      effect.pipe(Effect.provideService(Cluster, cluster), Scope.provide(scope))
    const replica = yield* within(Replica.make(config), scope)
    const source: PodSource = yield* within(UserPods.make(config, replica), scope)

    const connect = Effect.fnUntraced(function*(username: string) {
      const connectionId = `c${connections.length}`
      const identity: Identity = {
        connectionId,
        username,
        remoteAddress: "192.0.2.7",
        remotePort: 1234,
        localAddress: "192.0.2.1",
        localPort: 22,
        metadata: {}
      }
      const opened = yield* Ref.make<Exit.Exit<RunningPod, PodStartError> | undefined>(undefined)
      const uid = yield* Ref.make<string | undefined>(undefined)
      const endedAt = yield* Ref.make<number | undefined>(undefined)
      const endedInDoubt = yield* Ref.make(false)
      const noted = yield* Ref.make<ReadonlyArray<string>>([])
      const activity = yield* SubscriptionRef.make("")
      const connectionScope = yield* Scope.make()
      const note = (what: string) => ({ name }: PodRef) => Ref.update(noted, (before) => [...before, `${what} ${name}`])
      const request = { identity, activity, onPod: note("duty"), onLeftBehind: note("left") }
      const open = within(source(request), connectionScope).pipe(
        Effect.tap(({ ref }) =>
          Effect.gen(function*() {
            const pod = (yield* fake.world.pods).find(({ metadata }) => metadata.name === ref.name)
            yield* Ref.set(uid, pod?.metadata.uid)
            if (pod?.metadata.annotations?.["containerssh_username"] !== username) {
              faults.push(`${username} got ${ref.name}, which is not theirs`)
            }
          })
        ),
        Effect.exit,
        Effect.tap((exit) => Ref.set(opened, exit))
      )
      const using = Effect.gen(function*() {
        const exit = yield* open
        if (Exit.isFailure(exit)) return
        yield* Effect.exit(exit.value.ended)
        const now = yield* Clock.currentTimeMillis
        const wasDoubtful = (yield* mayBeTakenForDead(self, now)) || (yield* Ref.get(doubtfulUntil)) > 0
        if ((yield* Ref.get(endedAt)) === undefined && !wasDoubtful && !expires) {
          faults.push(`the pod of ${username} ended under ${connectionId}`)
        }
      })
      const fiber = yield* Effect.forkDetach(using, { startImmediately: true })
      const connection: Connection = {
        username,
        key: holderKey(connectionId),
        replica: self,
        opened,
        uid,
        endedAt,
        endedInDoubt,
        activity,
        noted,
        close: Clock.currentTimeMillis.pipe(
          Effect.tap((now) =>
            Effect.flatMap(
              isDoubtful(self, now),
              (doubtful) => Ref.update(endedInDoubt, (before) => before || doubtful)
            )
          ),
          Effect.flatMap((now) => Ref.update(endedAt, (before) => before ?? now)),
          Effect.andThen(Fiber.interrupt(fiber)),
          Effect.andThen(Scope.close(connectionScope, Exit.void)),
          Effect.forkDetach({ startImmediately: true })
        )
      }
      connections.push(connection)
      return connection
    })
    const own = () => connections.filter((connection) => connection.replica === self)
    const self: RunningReplica = {
      replica,
      gate,
      cutAt,
      doubtfulUntil,
      connect,
      crash: Ref.set(gate, "dead").pipe(
        Effect.andThen(Effect.suspend(() => Effect.forEach(own(), ({ close }) => close, { discard: true }))),
        Effect.andThen(Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true }))
      ),
      stop: Effect.suspend(() => Effect.forEach(own(), ({ close }) => close)).pipe(
        Effect.flatMap((closing) => Effect.forEach(closing, (fiber) => Fiber.join(fiber), { discard: true })),
        Effect.andThen(Scope.close(scope, Exit.void))
      ),
      cut: Clock.currentTimeMillis.pipe(
        Effect.flatMap((now) => Ref.set(cutAt, now)),
        Effect.andThen(Ref.set(gate, "cut"))
      ),
      heal: Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const since = yield* Ref.get(cutAt)
        if (since !== undefined && now - since > safeCut) yield* Ref.set(doubtfulUntil, now + recovery)
        yield* Ref.set(cutAt, undefined)
        yield* Ref.set(gate, "open")
      })
    }
    return self
  })

  return { start, connections, deletions, faults, store }
})
