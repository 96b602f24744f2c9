import { assert, describe, it } from "@effect/vitest"
import { Time } from "@kuberun/testkit"
import { Effect, Ref } from "effect"
import type { Precondition } from "kuberun"
import { holderKeys, podOf, worldOf } from "./UserPodsWorld.ts"

describe("a user's pod", () => {
  it.effect("is one for all connections of all replicas, and each holds it by an annotation of its own", () =>
    Effect.gen(function*() {
      const { fake, faults, start } = yield* worldOf()
      const [one, other] = [yield* start(), yield* start()]
      const connections = [
        yield* one.connect("alice"),
        yield* one.connect("alice"),
        yield* other.connect("alice"),
        yield* other.connect("bob")
      ]
      yield* Time.pass("2 seconds")
      const names = yield* Effect.forEach(
        connections,
        (connection) => Effect.map(podOf(connection), ({ ref }) => ref.name)
      )
      assert.strictEqual(new Set(names.slice(0, 3)).size, 1)
      assert.notStrictEqual(names[3], names[0])
      const pods = yield* fake.world.pods
      assert.lengthOf(pods, 2)
      const pod = pods.find(({ metadata }) => metadata.name === names[0])
      assert.deepStrictEqual(holderKeys(pod), ["c0", "c1", "c2"].map((id) => `holder.kuberun.dev/${id}`))
      assert.strictEqual(pod?.metadata.annotations?.["holder.kuberun.dev/c0"], one.replica.id)
      assert.strictEqual(pod?.metadata.annotations?.["holder.kuberun.dev/c2"], other.replica.id)
      assert.strictEqual(pod?.metadata.labels?.["kuberun.dev/mode"], "user")
      assert.deepStrictEqual(faults, [])
    }))

  it.effect("stays until the last connection has gone, and goes with it before that is closed", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf()
      const [one, other] = [yield* start(), yield* start()]
      const [first, last] = [yield* one.connect("alice"), yield* other.connect("alice")]
      yield* Time.pass("2 seconds")
      const leaving = yield* first.close
      yield* Time.settle
      assert.isDefined(leaving.pollUnsafe())
      assert.deepStrictEqual(holderKeys((yield* fake.world.pods)[0]), ["holder.kuberun.dev/c1"])
      yield* Time.pass("5 minutes")
      assert.lengthOf(yield* fake.world.pods, 1)
      const closing = yield* last.close
      yield* Time.settle
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(yield* fake.world.pods, [])
    }))

  it.effect("lingers after the last connection, to the second, and is there for a user who comes back", () =>
    Effect.gen(function*() {
      const { deletions, fake, start } = yield* worldOf({}, { linger: "60s" })
      const [one, other] = [yield* start(), yield* start()]
      const first = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      const made = yield* fake.world.livePods
      assert.lengthOf(made, 1)
      yield* first.close
      yield* Time.pass("59900 millis")
      assert.deepStrictEqual(yield* fake.world.livePods, made)
      const second = yield* other.connect("alice")
      yield* Time.pass("1 minute")
      yield* second.close
      // The first one's time was over long ago; what counts is the last one's.
      yield* Time.pass("59900 millis")
      assert.deepStrictEqual(yield* fake.world.livePods, made)
      yield* Time.pass("200 millis")
      assert.deepStrictEqual(yield* fake.world.livePods, [])
      assert.lengthOf(deletions, 1)
    }))

  it.effect("that lingers is left at the service's end, for the next start to count its time and delete it", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({}, { linger: "60s" })
      const one = yield* start()
      yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      const stopping = yield* Effect.forkChild(one.stop)
      yield* Time.pass("1 second")
      assert.isDefined(stopping.pollUnsafe())
      assert.deepStrictEqual(yield* fake.world.leases, [])
      assert.deepStrictEqual(holderKeys((yield* fake.world.pods)[0]), [])
      yield* Time.pass("10 minutes")
      assert.lengthOf(yield* fake.world.livePods, 1)
      yield* start()
      yield* Time.pass("59 seconds")
      assert.lengthOf(yield* fake.world.livePods, 1)
      yield* Time.pass("7 seconds")
      assert.deepStrictEqual(yield* fake.world.livePods, [])
    }))

  it.effect("is the last connection's duty only where it does not linger, and left behind when that fails", () =>
    Effect.gen(function*() {
      const forbidden = Array.from({ length: 999 }, () => "forbidden" as const)
      const { start } = yield* worldOf({ deletes: forbidden })
      const connection = yield* (yield* start()).connect("alice")
      yield* Time.pass("2 seconds")
      const { name } = (yield* podOf(connection)).ref
      assert.deepStrictEqual(yield* Ref.get(connection.noted), [`duty ${name}`])
      const closing = yield* connection.close
      yield* Time.pass("59 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* Time.pass("2 seconds")
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(yield* Ref.get(connection.noted), [`duty ${name}`, `left ${name}`])
    }))

  it.effect("that lingers is nobody's duty", () =>
    Effect.gen(function*() {
      const { start } = yield* worldOf({}, { linger: "60s" })
      const connection = yield* (yield* start()).connect("alice")
      yield* Time.pass("2 seconds")
      yield* connection.close
      yield* Time.pass("2 minutes")
      assert.deepStrictEqual(yield* Ref.get(connection.noted), [])
    }))

  it.effect("is changed and deleted only in the state in which it was seen", () =>
    Effect.gen(function*() {
      const { start } = yield* worldOf({}, { linger: "10s" })
      const preconditions: Array<Precondition | undefined> = []
      const noting = yield* start(({ deletePod, patchPod }) => ({
        patchPod: (ref, patch, precondition) => {
          preconditions.push(precondition)
          return patchPod(ref, patch, precondition)
        },
        deletePod: (ref, options) => {
          preconditions.push(options)
          return deletePod(ref, options)
        }
      }))
      const dies = yield* start()
      yield* dies.connect("alice")
      yield* Time.pass("50 seconds")
      const connection = yield* noting.connect("alice")
      yield* Time.pass("2 seconds")
      yield* dies.crash
      yield* Time.pass("1 minute")
      yield* connection.close
      yield* Time.pass("1 minute")
      // Its own hold, the dead one's removal, its own release (which nobody else's change can matter to), the deletion.
      const state = ["resourceVersion", "uid"]
      assert.deepStrictEqual(
        preconditions.map((precondition) => Object.keys(precondition ?? {}).toSorted()),
        [state, state, ["uid"], state]
      )
    }))

  it.effect("has the user's claim made before it, once for good", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({}, { claim: { mountPath: "/home/user" } })
      const one = yield* start()
      const [first, second] = [yield* one.connect("alice"), yield* one.connect("alice")]
      yield* Time.pass("2 seconds")
      const claims = yield* fake.world.claims
      assert.lengthOf(claims, 1)
      const [manifest] = yield* fake.world.manifests
      assert.include(JSON.stringify(manifest?.spec), JSON.stringify(claims[0]?.metadata.name))
      yield* podOf(first)
      yield* podOf(second)
      yield* first.close
      yield* second.close
      yield* Time.pass("1 minute")
      assert.deepStrictEqual(yield* fake.world.pods, [])
      const third = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      yield* podOf(third)
      assert.lengthOf(yield* fake.world.claims, 1)
    }))
})
