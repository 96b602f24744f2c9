/**
 * This process among those that serve one installation: a name that no other has, and a Lease by which the others see
 * that it lives.
 *
 * The Lease is created before anything is held in its name, renewed while the scope is open and deleted with it. Nothing
 * that goes wrong with it fails the service.
 */
import { Clock, Deferred, Duration, Effect, Ref, Schedule, type Scope, SubscriptionRef } from "effect"
import type { Config } from "../config/Config.ts"
import { randomPodName } from "../pod/PodSource.ts"
import { CallTimedOut, Cluster, ClusterError, isTransient } from "../ports/Cluster.ts"
import type { Lease, LeaseManifest, LeaseRef } from "../ports/ClusterObjects.ts"
import { installationLabels } from "../template/Labels.ts"
import { leaseSeconds } from "./ReplicaView.ts"

export interface Replica {
  /** Differs for every start of every process. Letters and digits. */
  readonly id: string
  /** Completes when the Lease is there, or it is clear that there will be none before long. */
  readonly registered: Effect.Effect<void>
  /** Whether there is a Lease: without one nobody else can know whether this replica lives. */
  readonly leased: Effect.Effect<boolean>
  /**
   * Counts up when what this replica holds has to be checked: its Lease was not renewed for as long as it lasts, so that
   * others may have taken it for dead and its holders away; or it has a Lease now and had none, or the other way round.
   */
  readonly rechecks: SubscriptionRef.SubscriptionRef<number>
  /**
   * This process's clock minus the API server's, at most (milliseconds): by it the age of what the API server has made
   * can be told without trust in anybody's clock. `undefined` until the Lease was created.
   */
  readonly clockLead: Effect.Effect<number | undefined>
}

const renewEvery = Duration.seconds(10)

/** A Lease that could not be written is tried again so soon: some five times before it lapses. */
const retryAfter = Duration.seconds(2)

/** A request that takes longer is given up, so that there is time for another before the Lease lapses. */
const patience = Duration.seconds(5)

/** Nobody's pod waits longer for the Lease: a replica without one is not taken for dead before it could have come. */
const registrationPatience = Duration.seconds(10)

/** What is known of the Lease. */
interface Upkeep {
  /** As the API server told it last; `undefined` where there is none. */
  readonly lease: Lease | undefined
  /** When the last write that came through was sent (milliseconds). */
  readonly renewedAt: number | undefined
  readonly clockLead: number | undefined
  /** Whether Leases are refused, for other reasons than will pass. */
  readonly refused: boolean
  /** Whether the log has already been told that the Lease cannot be kept. */
  readonly warned: boolean
}

/** RFC 3339 with microseconds, as a Lease's times are written. For people only: nobody here reads them. */
const microTime = (millis: number): string => new Date(millis).toISOString().replace("Z", "000Z")

const leaseManifest = (config: Config, id: string, ref: LeaseRef, now: number): LeaseManifest => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { ...ref, labels: installationLabels(config) },
  spec: {
    holderIdentity: id,
    leaseDurationSeconds: leaseSeconds,
    acquireTime: microTime(now),
    renewTime: microTime(now)
  }
})

/** Whether the Lease may be written another time. */
const passes = (error: ClusterError): boolean =>
  isTransient(error) || error.reason._tag === "Conflict" || error.reason._tag === "NotFound"

/** What is lost while there is no Lease. */
const withoutLease = "until it can, pods that this replica holds when it dies are cleaned up by nobody"

/** Joins the replicas of the installation. Completes at once; the Lease follows. */
export const make = Effect.fn("Replica.make")(function*(
  config: Config
): Effect.fn.Return<Replica, never, Cluster | Scope.Scope> {
  const cluster = yield* Cluster
  const id = yield* randomPodName("")
  const ref: LeaseRef = { namespace: config.pod.namespace, name: `${config.instance}-${id}` }
  const query = { namespace: ref.namespace, labels: installationLabels(config) }
  const registered = yield* Deferred.make<void>()
  const rechecks = yield* SubscriptionRef.make(0)
  const upkeep = yield* Ref.make<Upkeep>({
    lease: undefined,
    renewedAt: undefined,
    clockLead: undefined,
    refused: false,
    warned: false
  })

  /** The Lease as it is now. Asked where a write's answer was lost, or somebody else has changed it. */
  const found = Effect.map(
    cluster.listLeases(query),
    (leases) => leases.find(({ metadata }) => metadata.name === ref.name)
  )
  const create = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => cluster.createLease(leaseManifest(config, id, ref, now))
  ).pipe(
    // The name is this process's alone: an earlier request made it, whose answer was lost.
    Effect.catchIf(
      (error) => error.reason._tag === "AlreadyExists",
      (error) => Effect.flatMap(found, (lease) => lease === undefined ? Effect.fail(error) : Effect.succeed(lease))
    )
  )
  const renew = (lease: Lease): Effect.Effect<Lease, ClusterError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { spec } = leaseManifest(config, id, ref, now)
      const acquireTime = lease.spec?.acquireTime ?? spec.acquireTime
      return cluster.updateLease({ ...lease, spec: { ...lease.spec, ...spec, acquireTime } })
    })
  /** Writes the Lease once, whatever is known of it. */
  const write = Effect.gen(function*() {
    const { lease } = yield* Ref.get(upkeep)
    if (lease === undefined) return yield* create
    return yield* renew(lease).pipe(
      Effect.catchIf(
        ({ reason }) => reason._tag === "Conflict" || reason._tag === "NotFound",
        () => Effect.flatMap(found, (now) => now === undefined ? create : renew(now))
      )
    )
  }).pipe(Effect.timeoutOrElse({
    duration: patience,
    orElse: () =>
      Effect.fail(
        new ClusterError({ operation: `renew lease ${ref.name}`, reason: new CallTimedOut({ detail: "no answer" }) })
      )
  }))

  const recheck = SubscriptionRef.update(rechecks, (count) => count + 1)

  const succeeded = Effect.fnUntraced(function*(lease: Lease, sentAt: number) {
    const now = yield* Clock.currentTimeMillis
    const before = yield* Ref.get(upkeep)
    const created = Date.parse(lease.metadata.creationTimestamp ?? "")
    const lead = before.clockLead ?? (Number.isNaN(created) ? undefined : now - created)
    yield* Ref.set(upkeep, { lease, renewedAt: sentAt, clockLead: lead, refused: false, warned: false })
    yield* Deferred.succeed(registered, undefined)
    if (before.warned) yield* Effect.logInfo(`lease ${ref.name} is kept again`)
    const lapsed = before.renewedAt !== undefined && now - before.renewedAt >= leaseSeconds * 1000
    if (lapsed) yield* Effect.logWarning(`lease ${ref.name} had lapsed: what this replica holds is checked again`)
    if (lapsed || before.refused) yield* recheck
  })

  const failed = Effect.fnUntraced(function*(error: ClusterError) {
    const now = yield* Clock.currentTimeMillis
    const { refused, renewedAt, warned } = yield* Ref.get(upkeep)
    const passing = passes(error)
    if (!passing && !refused) {
      yield* Ref.update(upkeep, (before) => ({ ...before, refused: true }))
      yield* Deferred.succeed(registered, undefined)
      if (renewedAt !== undefined) yield* recheck
    }
    const lapsed = renewedAt !== undefined && now - renewedAt >= leaseSeconds * 1000
    if (warned || (passing && !lapsed)) return yield* Effect.logDebug(error.message)
    yield* Ref.update(upkeep, (before) => ({ ...before, warned: true }))
    yield* Effect.logWarning(
      passing
        ? `${error.message}; other replicas may take this one for dead, and the pods it holds for left`
        : `${error.message}; ${withoutLease} (the role needs create, update, list and delete of leases)`
    )
  })

  const turn = Effect.gen(function*() {
    const sentAt = yield* Clock.currentTimeMillis
    return yield* write.pipe(
      Effect.flatMap((lease) => succeeded(lease, sentAt)),
      Effect.as(renewEvery),
      Effect.catch((error) => Effect.as(failed(error), passes(error) ? retryAfter : renewEvery))
    )
  }).pipe(Effect.flatMap((pause) => Effect.sleep(pause)))

  // Before the first write: one that is never answered may have made the Lease all the same.
  yield* Effect.addFinalizer(() =>
    cluster.deleteLease(ref).pipe(
      Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.void),
      Effect.retry({ schedule: Schedule.spaced("250 millis"), times: 3, while: isTransient }),
      Effect.timeoutOption(patience),
      Effect.catchCause((cause) => Effect.logDebug("the lease stays until another replica finds it unused", cause))
    )
  )
  yield* Effect.forkScoped(Effect.forever(turn))
  yield* Effect.forkScoped(
    Effect.sleep(registrationPatience).pipe(
      Effect.andThen(Deferred.succeed(registered, undefined)),
      Effect.tap((late) =>
        late ? Effect.logWarning(`lease ${ref.name} could not be created yet; going on`) : Effect.void
      )
    )
  )
  return {
    id,
    registered: Deferred.await(registered),
    leased: Effect.map(Ref.get(upkeep), ({ lease, refused }) => lease !== undefined && !refused),
    rechecks,
    clockLead: Effect.map(Ref.get(upkeep), ({ clockLead }) => clockLead)
  }
})
