import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Effect, Exit, Logger, Ref, Scope, SubscriptionRef } from "effect"
import { Cluster, ClusterError, type ClusterErrorReason, defaultConfig, Forbidden, ServerFault } from "kuberun"
import * as Replica from "../src/modes/Replica.ts"

type Service = Cluster["Service"]

/** A replica over a cluster whose Lease calls fail for as long as `fault` holds a reason. */
const replicaOver = Effect.fn(function*(fake: Effect.Success<ReturnType<typeof FakeCluster.make>>) {
  const fault = yield* Ref.make<ClusterErrorReason | undefined>(undefined)
  const answers = yield* Ref.make(true)
  const logged: Array<string> = []
  const log = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn" || logLevel === "Error") logged.push(String(message))
  })
  const scope = yield* Scope.make()
  const faulty = <A>(call: Effect.Effect<A, ClusterError>): Effect.Effect<A, ClusterError> =>
    Effect.flatMap(
      Ref.get(fault),
      (reason) => reason === undefined ? call : Effect.fail(new ClusterError({ operation: "write the lease", reason }))
    )
  /** Carries the write out and, where answers are lost, says that it failed. */
  const lossy = <A>(call: Effect.Effect<A, ClusterError>): Effect.Effect<A, ClusterError> =>
    Effect.flatMap(Ref.get(answers), (arrive) =>
      arrive
        ? call
        : Effect.andThen(
          call,
          Effect.fail(
            new ClusterError({ operation: "write the lease", reason: new ServerFault({ status: 503, detail: "x" }) })
          )
        ))
  const around = (cluster: Service): Service => ({
    ...cluster,
    createLease: (lease) => faulty(lossy(cluster.createLease(lease))),
    updateLease: (lease) => faulty(lossy(cluster.updateLease(lease))),
    listLeases: (query) => faulty(cluster.listLeases(query))
  })
  const replica = yield* Effect.flatMap(
    Cluster,
    (cluster) => Replica.make(defaultConfig).pipe(Effect.provideService(Cluster, around(cluster)))
  ).pipe(
    Effect.provide(fake.layer),
    Scope.provide(scope),
    Effect.provide(Logger.layer([log]))
  )
  return { replica, fault, answers, logged, close: Scope.close(scope, Exit.void) }
})

const fakeCluster = FakeCluster.make(FakeCluster.calmPlan)

describe("a replica", () => {
  it.effect("has a Lease with its name before it counts as registered, renews it and deletes it at its end", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const { close, replica } = yield* replicaOver(fake)
      yield* replica.registered
      const [lease] = yield* fake.world.leases
      assert.strictEqual(lease?.metadata.name, `kuberun-${replica.id}`)
      assert.deepInclude(lease?.spec, { holderIdentity: replica.id, leaseDurationSeconds: 30 })
      assert.deepStrictEqual(lease?.metadata.labels, {
        "app.kubernetes.io/managed-by": "kuberun",
        "app.kubernetes.io/instance": "kuberun"
      })
      yield* Time.pass("11 seconds")
      const [renewed] = yield* fake.world.leases
      assert.notStrictEqual(renewed?.metadata.resourceVersion, lease?.metadata.resourceVersion)
      assert.notStrictEqual(renewed?.spec?.renewTime, lease?.spec?.renewTime)
      assert.strictEqual(renewed?.spec?.acquireTime, lease?.spec?.acquireTime)
      assert.isTrue(yield* replica.leased)
      yield* close
      assert.deepStrictEqual(yield* fake.world.leases, [])
    }))

  it.effect("has another name than every other", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const [one, other] = [yield* replicaOver(fake), yield* replicaOver(fake)]
      assert.notStrictEqual(one.replica.id, other.replica.id)
      yield* Time.settle
      assert.lengthOf(yield* fake.world.leases, 2)
    }))

  it.effect("finds the Lease that a lost answer made, and goes on with it", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const { answers, replica } = yield* replicaOver(fake)
      yield* Ref.set(answers, false)
      yield* Time.settle
      assert.isFalse(yield* replica.leased)
      yield* Ref.set(answers, true)
      yield* Time.pass("3 seconds")
      assert.isTrue(yield* replica.leased)
      const [lease] = yield* fake.world.leases
      // A renewal whose answer is lost has changed the version all the same.
      yield* Ref.set(answers, false)
      yield* Time.pass("10 seconds")
      yield* Ref.set(answers, true)
      yield* Time.pass("3 seconds")
      const [renewed] = yield* fake.world.leases
      assert.isAbove(Number(renewed?.metadata.resourceVersion), Number(lease?.metadata.resourceVersion) + 1)
      assert.strictEqual(yield* SubscriptionRef.get(replica.rechecks), 0)
    }))

  it.effect("creates its Lease again when somebody has deleted it", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const { replica } = yield* replicaOver(fake)
      yield* replica.registered
      yield* Cluster.use((cluster) => cluster.deleteLease({ namespace: "default", name: `kuberun-${replica.id}` }))
        .pipe(Effect.provide(fake.layer))
      yield* Time.pass("11 seconds")
      assert.lengthOf(yield* fake.world.leases, 1)
    }))

  it.effect("says once that Leases are forbidden and what is lost, goes on, and has one as soon as it may", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const { fault, logged, replica } = yield* replicaOver(fake)
      yield* Ref.set(fault, new Forbidden({ detail: "leases is forbidden" }))
      yield* replica.registered
      yield* Time.pass("5 minutes")
      assert.isFalse(yield* replica.leased)
      assert.lengthOf(logged, 1)
      assert.match(logged[0] ?? "", /leases is forbidden; .* cleaned up by nobody \(the role needs .* of leases\)$/)
      yield* Ref.set(fault, undefined)
      yield* Time.pass("11 seconds")
      assert.isTrue(yield* replica.leased)
      assert.strictEqual(yield* SubscriptionRef.get(replica.rechecks), 1)
    }))

  it.effect("is registered after a while also where the cluster does not say whether it has the Lease", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const { fault, replica } = yield* replicaOver(fake)
      yield* Ref.set(fault, new ServerFault({ status: 503, detail: "starting" }))
      const waiting = yield* Effect.forkChild(replica.registered)
      yield* Time.pass("9 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* Time.pass("2 seconds")
      assert.isDefined(waiting.pollUnsafe())
    }))

  it.effect("asks for its holds to be checked when its Lease had lapsed, and not sooner", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const { fault, logged, replica } = yield* replicaOver(fake)
      yield* replica.registered
      const out = (time: "20 seconds" | "40 seconds") =>
        Ref.set(fault, new ServerFault({ status: 503, detail: "down" })).pipe(
          Effect.andThen(Time.pass(time)),
          Effect.andThen(Ref.set(fault, undefined)),
          Effect.andThen(Time.pass("11 seconds"))
        )
      yield* out("20 seconds")
      assert.strictEqual(yield* SubscriptionRef.get(replica.rechecks), 0)
      assert.deepStrictEqual(logged, [])
      yield* out("40 seconds")
      assert.strictEqual(yield* SubscriptionRef.get(replica.rechecks), 1)
      assert.lengthOf(logged, 2)
      assert.match(logged[0] ?? "", /may take this one for dead/)
      assert.match(logged[1] ?? "", /had lapsed/)
    }))

  it.effect("ends within seconds although the cluster does not answer", () =>
    Effect.gen(function*() {
      const fake = yield* fakeCluster
      const scope = yield* Scope.make()
      yield* Effect.flatMap(Cluster, (cluster) =>
        Replica.make(defaultConfig).pipe(
          Effect.provideService(Cluster, { ...cluster, deleteLease: () => Effect.never })
        )).pipe(Effect.provide(fake.layer), Scope.provide(scope))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Time.pass("6 seconds")
      assert.isDefined(closing.pollUnsafe())
    }))
})
