import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Effect, Fiber, Layer, Ref, Stream } from "effect"
import { Cluster, ClusterError, Forbidden, Unreachable } from "kuberun"
import { deleteFree } from "../src/pool/PoolKeeper.ts"
import { connect, freeOf, logTo, names, poolConfig, startReplica, untilFull } from "./PoolDriver.ts"

const { calmPlan } = FakeCluster

type Service = typeof Cluster.Service

/** The cluster, with calls that behave in another way. */
const altered = (layer: FakeCluster.FakeClusterLayer, change: (cluster: Service) => Partial<Service>) =>
  Layer.effect(Cluster, Effect.map(Cluster, (cluster) => Cluster.of({ ...cluster, ...change(cluster) }))).pipe(
    Layer.provide(layer)
  )

describe("a warm pool over a cluster that fails", () => {
  it.effect("a claim that was carried out and never answered is deleted with its connection", () =>
    Effect.gen(function*() {
      const patches = ["answerLost", "requestLost", "requestLost", "requestLost", "requestLost"] as const
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, patches })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const [claimed] = names(yield* world.pods)
        const claim = yield* connect(pool, "c1")
        yield* Time.pass("10 seconds")
        assert.isUndefined(yield* Fiber.join(claim.fiber))
        assert.include(names(yield* world.pods), claimed)
        const closing = yield* Effect.forkChild(claim.close)
        yield* Time.pass("20 seconds")
        yield* Fiber.join(closing)
        assert.notInclude(names(yield* world.pods), claimed)
        assert.lengthOf(yield* world.pods, 1)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a claim that is never answered is withdrawn when its user leaves, and let go", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 1 })
      const letGo = yield* Ref.make(false)
      const silent = altered(layer, ({ patchPod }) => ({
        patchPod: (pod, patch, state) =>
          patch.labels === undefined
            ? patchPod(pod, patch, state)
            : Effect.onInterrupt(Effect.never, () => Ref.set(letGo, true))
      }))
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const claim = yield* connect(pool, "c1")
        yield* Time.pass("1 second")
        const closing = yield* Effect.forkChild(claim.close)
        yield* Time.pass("1 second")
        yield* Fiber.join(closing)
        assert.isTrue(yield* Ref.get(letGo))
        assert.deepStrictEqual(yield* claim.owed, [])
        assert.lengthOf(freeOf(yield* world.pods), 1)
        yield* drain
      }).pipe(Effect.provide(silent))
    }))

  it.effect("a claim that is carried out after its user has left is deleted", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 1 })
      const slow = altered(layer, ({ patchPod }) => ({
        patchPod: (...call) => Effect.andThen(Effect.sleep("2 seconds"), patchPod(...call))
      }))
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const [claimed] = names(yield* world.pods)
        const claim = yield* connect(pool, "c1")
        yield* Time.pass("1 second")
        yield* Effect.forkChild(claim.close)
        yield* Time.pass("500 millis")
        assert.include(names(freeOf(yield* world.pods)), claimed)
        yield* Time.pass("1 minute")
        assert.notInclude(names(yield* world.pods), claimed)
        assert.deepStrictEqual(yield* claim.owed, [])
        assert.lengthOf(yield* world.pods, 1)
        yield* drain
      }).pipe(Effect.provide(slow))
    }))

  it.effect("a claim that was given up is not carried out later, when nobody would delete its pod", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 1 })
      const late = yield* Effect.scope
      const slow = altered(layer, ({ patchPod }) => ({
        patchPod: (pod, patch, precondition) =>
          patch.labels === undefined
            ? patchPod(pod, patch, precondition)
            : Effect.sleep("20 seconds").pipe(
              Effect.andThen(patchPod(pod, patch, precondition)),
              Effect.ignore,
              Effect.forkIn(late),
              Effect.andThen(
                Effect.fail(new ClusterError({ operation: "patch pod", reason: new Unreachable({ detail: "reset" }) }))
              )
            )
      }))
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const before = names(yield* world.pods)
        const claim = yield* connect(pool, "c1")
        yield* Time.pass("5 seconds")
        assert.isUndefined(yield* Fiber.join(claim.fiber))
        yield* Effect.forkChild(claim.close)
        yield* Time.pass("1 minute")
        assert.deepStrictEqual(names(yield* world.pods), before)
        assert.deepStrictEqual(names(freeOf(yield* world.pods)), before)
        yield* drain
      }).pipe(Effect.provide(slow))
    }))

  it.effect("claims of one replica do not try the same pod", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 3 })
      const calls = yield* Ref.make(0)
      const slow = altered(layer, ({ patchPod }) => ({
        patchPod: (...call) =>
          Ref.update(calls, (count) => count + 1).pipe(
            Effect.andThen(Effect.sleep("1 second")),
            Effect.andThen(patchPod(...call))
          )
      }))
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const claims = yield* Effect.forEach(["c1", "c2", "c3"], (id) => connect(pool, id))
        yield* Time.pass("2 seconds")
        assert.strictEqual(new Set(yield* Effect.forEach(claims, ({ got }) => got)).size, 3)
        assert.strictEqual(yield* Ref.get(calls), 3)
        yield* Effect.forEach(claims, ({ close }) => close)
        yield* drain
      }).pipe(Effect.provide(slow))
    }))

  it.effect("a free pod that was claimed after it was looked at is not deleted", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const [seen] = yield* world.pods
        assert.isDefined(seen)
        yield* world.changePod(seen.metadata.name, (pod) => pod)
        const changed = yield* deleteFree(seen)
        assert.strictEqual(changed?.metadata.uid, seen.metadata.uid, "it changed, and is free still")
        const claim = yield* connect(pool, "c1")
        yield* Time.settle
        assert.isUndefined(yield* deleteFree(changed ?? seen))
        assert.include(names(yield* world.pods), seen.metadata.name)
        yield* claim.close
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a pod that turns out to have failed when it is claimed is nobody's", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, watches: ["silent"] })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* Time.pass("70 seconds")
        assert.strictEqual((yield* pool.status).ready, 1)
        const [failed = ""] = names(yield* world.pods)
        yield* world.changePod(failed, (pod) => ({ ...pod, status: { phase: "Failed" } }))
        const claim = yield* connect(pool, "c1")
        yield* Time.settle
        assert.isUndefined(yield* Fiber.join(claim.fiber))
        assert.notInclude(names(yield* world.pods), failed)
        yield* claim.close
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a creation whose answer was lost is waited for, not made again", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, creates: ["late"] })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain } = yield* startReplica(config, "one")
        yield* untilFull
        assert.lengthOf(yield* world.pods, 1)
        assert.lengthOf(yield* world.manifests, 1)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a watch that breaks is begun again", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, watches: ["breaks"] })
      const config = yield* poolConfig({ size: 2 })
      yield* Effect.gen(function*() {
        const { drain } = yield* startReplica(config, "one")
        yield* Time.pass("10 seconds")
        assert.lengthOf(yield* world.pods, 2)
        yield* world.removePod
        yield* Time.pass("5 seconds")
        assert.lengthOf(yield* world.pods, 2)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a creation that met another in the same quota is soon made again", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make({ ...calmPlan, creates: ["conflict", "conflict"] })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* Time.pass("6 seconds")
        assert.deepStrictEqual(yield* pool.status, { ready: 1, starting: 0 })
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("when pods become ready again the pool is filled", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, start: "never" })
      const config = yield* poolConfig({ size: 3 }, { timeouts: { podStart: "20s" } })
      const told: Array<string> = []
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* Time.pass("1 minute")
        assert.isAtMost((yield* world.pods).length, 1, "one is tried")
        const makeReady = Effect.gen(function*() {
          for (const { metadata, status } of yield* world.pods) {
            if (status?.phase === "Running") continue
            yield* world.changePod(metadata.name, (pod) => ({
              ...pod,
              status: {
                phase: "Running",
                conditions: [{ type: "Ready", status: "True" }],
                containerStatuses: [{ name: "shell", ready: true, state: { running: {} } }]
              }
            }))
          }
        })
        yield* Effect.replicateEffect(Effect.andThen(makeReady, Time.pass("1 second")), 60)
        assert.deepStrictEqual(yield* pool.status, { ready: 3, starting: 0 })
        assert.deepStrictEqual(told, [
          "Warn: the pool is not full: its pods are not ready in time (waiting until it is ready)",
          "Info: the pool is being filled again"
        ])
        yield* drain
      }).pipe(Effect.provide(layer), Effect.provide(logTo(told)))
    }))

  it.effect("pods that may not be listed are told of once, and none is made", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 1 })
      const told: Array<string> = []
      const error = new ClusterError({ operation: "list pods", reason: new Forbidden({ detail: "no" }) })
      const blind = altered(layer, () => ({ listPods: () => Effect.fail(error), watchPods: () => Stream.fail(error) }))
      yield* Effect.gen(function*() {
        const { drain } = yield* startReplica(config, "one")
        yield* Time.pass("5 minutes")
        yield* drain
        assert.deepStrictEqual(told, ["Warn: the pool may not be seen as it is: cannot list pods: no"])
        assert.deepStrictEqual(yield* world.manifests, [])
      }).pipe(Effect.provide(blind), Effect.provide(logTo(told)))
    }))
})
