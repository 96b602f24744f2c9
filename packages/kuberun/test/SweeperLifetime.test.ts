import { assert, describe, it } from "@effect/vitest"
import { Time } from "@kuberun/testkit"
import { Clock, Effect, Exit, Ref } from "effect"
import type { Cluster, Pod } from "kuberun"
import { releaseKey } from "../src/modes/Holders.ts"
import { names, putUp, worldOf } from "./SweeperWorld.ts"

/** What is created carries the time of a server whose clock is 17 hours ahead. */
const ahead = 17 * 3600 * 1000
const stamped = (lease: Cluster["Service"]["createLease"]): Cluster["Service"]["createLease"] => (manifest) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.map(lease(manifest), (created) => ({
      ...created,
      metadata: { ...created.metadata, creationTimestamp: new Date(now + ahead).toISOString() }
    })))

const createdAgo = (minutes: number) => (pod: Pod): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, creationTimestamp: new Date(ahead - minutes * 60_000).toISOString() }
})

describe("a pod's greatest lifetime", () => {
  it.effect("ends it although it is held, not before, and its sessions are told", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m" })
      const one = yield* world.start()
      yield* Time.pass("6 seconds")
      const connection = yield* one.connect("alice")
      yield* Time.pass("5 seconds")
      const exit = yield* Ref.get(connection.opened)
      const ended = yield* Effect.forkChild(
        exit !== undefined && Exit.isSuccess(exit) ? Effect.exit(exit.value.ended) : Effect.never
      )
      yield* Time.pass("590 seconds")
      assert.lengthOf(world.deletions, 0)
      yield* Time.pass("40 seconds")
      assert.lengthOf(world.deletions, 1)
      yield* Time.pass("2 seconds")
      assert.isDefined(ended.pollUnsafe())
    }))

  it.effect("counts from its creation by the server's clock, whatever that says, for a replica that came later", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m", linger: "24h" })
      yield* putUp(world, "old", { annotations: { [releaseKey]: "r" } })
      yield* Time.settle
      yield* world.fake.world.changePod("old", createdAgo(8))
      yield* world.start(({ createLease }) => ({ createLease: stamped(createLease) }))
      yield* Time.pass("121 seconds")
      assert.deepStrictEqual(yield* names(world), ["old"])
      yield* Time.pass("3 seconds")
      assert.deepStrictEqual(yield* names(world), [])
    }))

  it.effect("counts from the same time for connections to it, and whoever comes after it gets another pod", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m", linger: "24h" })
      const one = yield* world.start(({ createLease, createPod }) => ({
        createLease: stamped(createLease),
        createPod: (manifest) =>
          Effect.gen(function*() {
            yield* createPod(manifest)
            const now = yield* Clock.currentTimeMillis
            const creationTimestamp = new Date(now + ahead).toISOString()
            yield* world.fake.world.changePod(
              manifest.metadata.name,
              (pod) => ({ ...pod, metadata: { ...pod.metadata, creationTimestamp } })
            )
            return yield* world.store.readPod(manifest.metadata)
          })
      }))
      yield* Time.pass("6 seconds")
      const made = yield* Clock.currentTimeMillis
      const first = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      const opened = yield* Ref.get(first.opened)
      assert.strictEqual(opened !== undefined && Exit.isSuccess(opened) ? opened.value.created : undefined, made + 1000)
      yield* first.close
      const before = yield* world.fake.world.livePods
      yield* Time.pass(made + 601_000 - (yield* Clock.currentTimeMillis) - 1)
      yield* one.connect("alice")
      assert.deepStrictEqual(yield* world.fake.world.livePods, before)
      yield* Time.pass("1 second")
      const late = yield* one.connect("alice")
      yield* Time.pass("10 seconds")
      assert.isTrue(Exit.isSuccess((yield* Ref.get(late.opened)) ?? Exit.die("it did not open")))
      const after = yield* world.fake.world.livePods
      assert.lengthOf(after, 1)
      assert.notDeepEqual(after, before)
    }))

  it.effect("counts from when it was seen first where nothing is known of the server's clock", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m", linger: "24h" })
      yield* putUp(world, "old", {})
      yield* Time.settle
      yield* world.fake.world.changePod("old", createdAgo(100_000))
      yield* world.start()
      // In small steps: what is seen in a long one is seen at its end.
      yield* Effect.replicateEffect(Time.pass("59900 millis"), 10, { discard: true })
      assert.deepStrictEqual(yield* names(world), ["old"])
      // The first look comes up to six seconds after the start, and a sweep two after the end.
      yield* Time.pass("12 seconds")
      assert.deepStrictEqual(yield* names(world), [])
    }))
})
