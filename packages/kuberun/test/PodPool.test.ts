import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Effect, Fiber } from "effect"
import { Cluster } from "kuberun"
import { ownerKeys, replicaKey, templateKey } from "../src/template/Labels.ts"
import { connect, freeOf, logTo, names, poolConfig, startReplica, untilFull } from "./PoolDriver.ts"

const { calmPlan } = FakeCluster

describe("a warm pool", () => {
  it.effect("a claim gets a pod that is ready, and no time passes", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, startMillis: 8000 })
      const config = yield* poolConfig({ size: 2 })
      yield* Effect.gen(function*() {
        const replica = yield* startReplica(config, "one")
        yield* untilFull
        assert.deepStrictEqual(yield* replica.pool.status, { ready: 2, starting: 0 })
        const before = freeOf(yield* world.pods)
        const claim = yield* connect(replica.pool, "c1", "älice")
        yield* Time.settle
        const name = yield* claim.got
        assert.include(names(before), name)
        const pod = (yield* world.pods).find(({ metadata }) => metadata.name === name)
        assert.strictEqual(pod?.metadata.annotations?.[ownerKeys.username], "älice")
        assert.strictEqual(pod?.metadata.annotations?.[ownerKeys.connectionId], "c1")
        assert.lengthOf(freeOf(yield* world.pods), 2, "it was replaced at once")
        yield* claim.close
        assert.notInclude(names(yield* world.pods), name)
        yield* untilFull
        assert.lengthOf(yield* world.pods, 2)
        yield* replica.drain
        assert.deepStrictEqual(yield* world.pods, [])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("an empty pool says so at once", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        const early = yield* connect(pool, "c1")
        yield* Time.settle
        assert.isUndefined(yield* Fiber.join(early.fiber))
        yield* untilFull
        const first = yield* connect(pool, "c2")
        const second = yield* connect(pool, "c3")
        yield* Time.settle
        assert.isDefined(yield* Fiber.join(first.fiber))
        assert.isUndefined(yield* Fiber.join(second.fiber))
        yield* Effect.forEach([early, first, second], ({ close }) => close)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a pod that is being started is claimed where none is ready, and waited for", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, startMillis: 20_000 })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* Time.pass("5 seconds")
        assert.deepStrictEqual(yield* pool.status, { ready: 0, starting: 1 })
        const [free] = names(yield* world.pods)
        const claim = yield* connect(pool, "c1")
        yield* Time.pass("2 seconds")
        assert.isUndefined(yield* claim.got)
        yield* Time.pass("20 seconds")
        assert.strictEqual(yield* claim.got, free)
        yield* claim.close
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("users get pods of their own class only", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 1, classes: [{ name: "staff", users: ["prof-*"], size: 1 }] })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const [staff] = names(freeOf(yield* world.pods, "staff"))
        const claims = [
          yield* connect(pool, "c1", "max"),
          yield* connect(pool, "c2", "moritz"),
          yield* connect(pool, "c3", "prof-x")
        ]
        yield* Time.settle
        const [max, moritz, prof] = yield* Effect.forEach(claims, ({ got }) => got)
        assert.isDefined(max)
        assert.notStrictEqual(max, staff)
        assert.isUndefined(moritz)
        assert.strictEqual(prof, staff)
        yield* Effect.forEach(claims, ({ close }) => close)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a claim whose answer was lost is found again", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, patches: ["answerLost", "requestLost", "ok"] })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const [free] = names(yield* world.pods)
        const claim = yield* connect(pool, "c1")
        yield* Time.pass("1 second")
        assert.strictEqual(yield* claim.got, free)
        yield* claim.close
        assert.notInclude(names(yield* world.pods), free)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a claim that was not carried out leaves the pod to others", () =>
    Effect.gen(function*() {
      const patches = Array.from({ length: 5 }, () => "requestLost" as const)
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, patches })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const [free] = names(yield* world.pods)
        const failing = yield* connect(pool, "c1")
        yield* Time.pass("10 seconds")
        assert.isUndefined(yield* Fiber.join(failing.fiber))
        const claim = yield* connect(pool, "c2")
        yield* Time.settle
        assert.strictEqual(yield* claim.got, free)
        const closing = yield* Effect.forkChild(failing.close)
        yield* Time.pass("1 minute")
        yield* Fiber.join(closing)
        assert.include(names(yield* world.pods), free)
        yield* claim.close
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a refusal that will not change is told of once, and the pod stays free", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, patches: ["forbidden", "forbidden"] })
      const config = yield* poolConfig({ size: 1 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const before = names(yield* world.pods)
        for (const connection of ["c1", "c2"]) {
          const claim = yield* connect(pool, connection)
          yield* Time.settle
          assert.isUndefined(yield* Fiber.join(claim.fiber))
          assert.deepStrictEqual(yield* claim.owed, [])
          yield* claim.close
        }
        yield* Time.pass("1 minute")
        assert.deepStrictEqual(names(yield* world.pods), before)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("pods of another template are replaced, and nobody gets one", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      yield* Effect.gen(function*() {
        const old = yield* startReplica(yield* poolConfig({ size: 2 }), "old")
        yield* untilFull
        const before = names(yield* world.pods)
        const idle = { pod: { idleCommand: ["/bin/sleep", "inf"] } }
        const fresh = yield* startReplica(yield* poolConfig({ size: 2 }, idle), "new")
        const claim = yield* connect(fresh.pool, "c1")
        yield* Time.settle
        assert.isUndefined(yield* claim.got)
        yield* untilFull
        assert.lengthOf(yield* world.pods, 4, "each template has its pods")
        const later = yield* connect(fresh.pool, "c2")
        yield* Time.settle
        assert.notInclude(before, yield* later.got)
        yield* old.drain
        yield* Time.pass("2 minutes")
        const left = freeOf(yield* world.pods)
        assert.lengthOf(left, 2)
        assert.deepStrictEqual(left.map(({ metadata }) => metadata.annotations?.[replicaKey]), ["new", "new"])
        assert.lengthOf(new Set(left.map(({ metadata }) => metadata.annotations?.[templateKey])), 1)
        yield* Effect.forEach([claim, later], ({ close }) => close)
        yield* fresh.drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("what a replica that was killed has left of an old template is tidied up", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      yield* Effect.gen(function*() {
        const manifests = yield* Effect.gen(function*() {
          const killed = yield* startReplica(yield* poolConfig({ size: 2 }), "killed")
          yield* untilFull
          yield* killed.drain
          return yield* world.manifests
        })
        const { createPod } = yield* Effect.service(Cluster)
        yield* Effect.forEach(manifests, (manifest) => createPod(manifest))
        const fresh = yield* startReplica(yield* poolConfig({ size: 1 }, { pod: { idleCommand: ["x"] } }), "new")
        yield* Time.pass("50 seconds")
        assert.lengthOf(yield* world.pods, 3)
        yield* Time.pass("20 seconds")
        assert.lengthOf(yield* world.pods, 1)
        yield* fresh.drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a pod that has waited for too long is replaced by one that is ready", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, startMillis: 5000 })
      const config = yield* poolConfig({ size: 2, maxAge: "10m" })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const before = names(yield* world.pods)
        yield* Time.pass("9 minutes")
        assert.deepStrictEqual(names(yield* world.pods), before)
        for (let second = 0; second < 90; second++) {
          yield* Time.pass("1 second")
          assert.isAtLeast((yield* pool.status).ready, 2)
        }
        assert.lengthOf((yield* world.pods).filter(({ metadata }) => before.includes(metadata.name)), 0)
        assert.lengthOf(yield* world.pods, 2)
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("what a replica takes away at its end the others fill up", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 3 })
      yield* Effect.gen(function*() {
        const one = yield* startReplica(config, "one")
        yield* untilFull
        const two = yield* startReplica(config, "two")
        yield* untilFull
        assert.lengthOf(yield* world.manifests, 3, "a second replica finds the pool full")
        const claim = yield* connect(two.pool, "c1")
        yield* Time.settle
        const madeBy = Effect.map(world.pods, (pods) =>
          freeOf(pods).map(({ metadata }) => metadata.annotations?.[replicaKey] ?? "").toSorted())
        assert.deepStrictEqual(yield* madeBy, ["one", "one", "two"])
        yield* one.drain
        assert.deepStrictEqual(yield* madeBy, ["two"])
        yield* untilFull
        assert.deepStrictEqual(yield* madeBy, ["two", "two", "two"])
        yield* claim.close
        yield* two.drain
        assert.deepStrictEqual(yield* world.pods, [])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a template that the cluster refuses is tried now and then, one pod at a time, and told of once", () =>
    Effect.gen(function*() {
      const creates = Array.from({ length: 20 }, () => "forbidden" as const)
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, creates })
      const config = yield* poolConfig({ size: 20 })
      const told: Array<string> = []
      yield* Effect.gen(function*() {
        const { drain } = yield* startReplica(config, "one")
        yield* Time.pass("30 minutes")
        assert.isAtMost((yield* world.manifests).length, 15)
        assert.isAtLeast((yield* world.manifests).length, 8)
        assert.deepStrictEqual(told, ["Warn: the pool is not full: cannot create pod: exceeded quota"])
        yield* Time.pass("1 hour")
        assert.lengthOf(yield* world.pods, 20, "it is tried for ever")
        assert.deepStrictEqual(told.slice(1), ["Info: the pool is being filled again"])
        yield* drain
      }).pipe(Effect.provide(layer), Effect.provide(logTo(told)))
    }))

  it.effect("pods that fail are deleted, and not made as fast as they fail", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, start: "imagePull", startMillis: 1000 })
      const config = yield* poolConfig({ size: 20 })
      yield* Effect.gen(function*() {
        const { drain } = yield* startReplica(config, "one")
        yield* Time.pass("30 minutes")
        assert.isAtMost((yield* world.manifests).length, 60)
        assert.isAtMost((yield* world.pods).length, 1)
        yield* drain
        assert.deepStrictEqual(yield* world.pods, [])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a pod that ends while it waits is replaced", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(calmPlan)
      const config = yield* poolConfig({ size: 2 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const [ended = ""] = names(yield* world.pods)
        yield* world.changePod(ended, (pod) => ({ ...pod, status: { phase: "Failed", reason: "Evicted" } }))
        yield* untilFull
        assert.notInclude(names(yield* world.pods), ended)
        assert.deepStrictEqual(yield* pool.status, { ready: 2, starting: 0 })
        yield* world.removePod
        yield* untilFull
        assert.deepStrictEqual(yield* pool.status, { ready: 2, starting: 0 })
        yield* drain
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a drain waits for a creation that is under way, and leaves the claimed pods", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...calmPlan, createMillis: 10_000 })
      const config = yield* poolConfig({ size: 2 })
      yield* Effect.gen(function*() {
        const { drain, pool } = yield* startReplica(config, "one")
        yield* untilFull
        const claim = yield* connect(pool, "c1")
        yield* Time.settle
        const name = yield* claim.got
        yield* Time.pass("1 second")
        const draining = yield* Effect.forkChild(drain)
        yield* Time.pass("30 seconds")
        assert.isDefined(draining.pollUnsafe())
        assert.isDefined(name)
        assert.deepStrictEqual(names(yield* world.pods), [name])
        yield* claim.close
      }).pipe(Effect.provide(layer))
    }))

  it.effect("a drain ends in time where the cluster takes no deletion", () =>
    Effect.gen(function*() {
      const deletes = Array.from({ length: 999 }, () => "forbidden" as const)
      const { layer } = yield* FakeCluster.make({ ...calmPlan, deletes })
      const config = yield* poolConfig({ size: 2 }, { timeouts: { podStop: "20s" } })
      yield* Effect.gen(function*() {
        const { drain } = yield* startReplica(config, "one")
        yield* untilFull
        const draining = yield* Effect.forkChild(drain)
        yield* Time.pass("21 seconds")
        assert.isDefined(draining.pollUnsafe())
      }).pipe(Effect.provide(layer))
    }))
})
