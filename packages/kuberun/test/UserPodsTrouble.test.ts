import { assert, describe, it } from "@effect/vitest"
import { Time } from "@kuberun/testkit"
import { Effect, Ref, Semaphore } from "effect"
import { ClusterError, Conflict, type Pod } from "kuberun"
import { holderKeys, podOf, refusalOf, worldOf } from "./UserPodsWorld.ts"

describe("a user's pod", () => {
  it.effect("is made once by many who come at once, though answers are lost and states change under them", () =>
    Effect.gen(function*() {
      const { fake, faults, start } = yield* worldOf({
        creates: ["answerLost", "requestLost", "ok"],
        patches: ["answerLost", "requestLost", "fault"]
      })
      const replicas = [yield* start(), yield* start(), yield* start()]
      const connections = yield* Effect.forEach(
        [...replicas, ...replicas],
        (replica) => replica.connect("alice"),
        { concurrency: "unbounded" }
      )
      yield* Time.pass("20 seconds")
      yield* Effect.forEach(connections, podOf)
      assert.lengthOf(holderKeys((yield* fake.world.pods)[0]), 6)
      assert.deepStrictEqual(faults, [])
    }))

  it.effect("is held by all who come at once, though few calls may be made", () =>
    Effect.gen(function*() {
      const { start } = yield* worldOf()
      const line = yield* Semaphore.make(1)
      const limited = <A, E>(call: Effect.Effect<A, E>) =>
        Effect.andThen(line.withPermits(1)(Effect.sleep("200 millis")), call)
      const one = yield* start(({ createPod, patchPod, readPod }) => ({
        createPod: (manifest) => limited(createPod(manifest)),
        readPod: (ref) => limited(readPod(ref)),
        patchPod: (ref, patch, state) => limited(patchPod(ref, patch, state))
      }))
      const connections = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => one.connect("alice"),
        { concurrency: "unbounded" }
      )
      yield* Time.pass("30 seconds")
      yield* Effect.forEach(connections, podOf)
    }))

  it.effect("is held although another connection's call is never answered", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf()
      const unanswered = yield* Ref.make(true)
      const one = yield* start(({ readPod }) => ({
        readPod: (ref) =>
          Effect.flatMap(Ref.getAndSet(unanswered, false), (first) => first ? Effect.never : readPod(ref))
      }))
      yield* one.connect("alice")
      const second = yield* one.connect("alice")
      yield* Time.pass("15 seconds")
      yield* podOf(second)
      assert.lengthOf(holderKeys((yield* fake.world.pods)[0]), 1)
    }))

  it.effect("is not taken from another user, installation or mode that has the name, and that is said", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf()
      const one = yield* start()
      const first = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      const { name } = (yield* podOf(first)).ref
      const changes: ReadonlyArray<(pod: Pod) => Pod> = [
        (pod) => ({ ...pod, metadata: { ...pod.metadata, annotations: { containerssh_username: "bob" } } }),
        (pod) => ({
          ...pod,
          metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, "app.kubernetes.io/instance": "other" } }
        })
      ]
      for (const change of changes) {
        yield* fake.world.changePod(name, change)
        const refused = yield* one.connect("alice")
        yield* Time.pass("2 seconds")
        assert.match((yield* refusalOf(refused)) ?? "", /there is a pod called kuberun-\S+ that is not this user's/)
        yield* refused.close
        yield* Time.pass("1 minute")
        assert.lengthOf(yield* fake.world.livePods, 1)
      }
    }))

  it.effect("that is being deleted is waited for, and that has ended deleted, and another made", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({}, { linger: "10m" })
      const one = yield* start()
      const first = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      const { name } = (yield* podOf(first)).ref
      const [before] = yield* fake.world.livePods
      yield* first.close
      yield* Time.settle
      yield* fake.world.changePod(name, (pod) => ({
        ...pod,
        metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" }
      }))
      const second = yield* one.connect("alice")
      yield* Time.pass("10 seconds")
      assert.isUndefined(yield* Ref.get(second.opened))
      assert.strictEqual(yield* Effect.map(fake.world.livePods, ([uid]) => uid), before)
      yield* fake.world.removePod
      yield* Time.pass("2 seconds")
      yield* podOf(second)
      const [next] = yield* fake.world.livePods
      yield* second.close
      yield* Time.settle
      yield* fake.world.changePod(name, (pod) => ({ ...pod, status: { phase: "Failed", reason: "Evicted" } }))
      const third = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      yield* podOf(third)
      assert.notStrictEqual(yield* Effect.map(fake.world.livePods, ([uid]) => uid), next)
    }))

  it.effect("that does not get ready does not linger, and the next connection tries with a new one", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({ start: "imagePull", startMillis: 100 }, { linger: "10m" })
      const one = yield* start()
      const first = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      assert.match((yield* refusalOf(first)) ?? "", /manifest unknown/)
      yield* first.close
      yield* Time.pass("1 second")
      assert.deepStrictEqual(yield* fake.world.livePods, [])
      const [second, third] = [yield* one.connect("alice"), yield* one.connect("alice")]
      yield* Time.pass("2 seconds")
      assert.lengthOf(yield* fake.world.livePods, 1)
      assert.lengthOf(yield* fake.world.deletedPods, 1)
      yield* second.close
      yield* Time.pass("1 second")
      assert.lengthOf(yield* fake.world.livePods, 1)
      yield* third.close
      yield* Time.pass("1 second")
      assert.deepStrictEqual(yield* fake.world.livePods, [])
    }))

  it.effect("is refused in the cluster's words where it may not be made or held, and nothing is tried again", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({ creates: ["forbidden"], patches: ["forbidden"] })
      const one = yield* start()
      const first = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      assert.match((yield* refusalOf(first)) ?? "", /exceeded quota/)
      assert.lengthOf(yield* fake.world.manifests, 1)
      const second = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      const third = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      assert.match((yield* refusalOf(third)) ?? "", /cannot change pod/)
      yield* podOf(second)
    }))

  it.effect("is tried again where another creation has written to the same quota", () =>
    Effect.gen(function*() {
      const { start } = yield* worldOf()
      const tries = yield* Ref.make(0)
      const one = yield* start(({ createPod }) => ({
        createPod: (manifest) =>
          Effect.flatMap(Ref.getAndUpdate(tries, (count) => count + 1), (count) =>
            count < 2
              ? Effect.fail(
                new ClusterError({
                  operation: "create pod",
                  reason: new Conflict({ detail: "resourcequotas changed" })
                })
              )
              : createPod(manifest))
      }))
      const connection = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      yield* podOf(connection)
    }))

  it.effect("that could not be deleted in time is deleted when the cluster takes it", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({ deletes: Array.from({ length: 40 }, () => "fault") }, { linger: "1m" })
      const connection = yield* (yield* start()).connect("alice")
      yield* Time.pass("2 seconds")
      yield* connection.close
      yield* Time.pass("150 seconds")
      assert.lengthOf(yield* fake.world.livePods, 1)
      yield* Time.pass("20 minutes")
      assert.deepStrictEqual(yield* fake.world.livePods, [])
    }))

  it.effect("is told what it was doing when its time to start is over, and let go", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({ start: "never" })
      const connection = yield* (yield* start()).connect("alice")
      yield* Time.pass("61 seconds")
      assert.match((yield* refusalOf(connection)) ?? "", /not ready after 60 s/)
      yield* connection.close
      yield* Time.pass("1 second")
      assert.deepStrictEqual(yield* fake.world.livePods, [])
    }))

  it.effect("is let go by a connection whose create is answered only after it has left", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({ createMillis: 8000 }, { linger: "30s" })
      const connection = yield* (yield* start()).connect("alice")
      yield* Time.pass("2 seconds")
      const closing = yield* connection.close
      yield* Time.pass("4 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* Time.pass("4 seconds")
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(holderKeys((yield* fake.world.pods)[0]), [])
      yield* Time.pass("40 seconds")
      assert.deepStrictEqual(yield* fake.world.livePods, [])
    }))

  it.effect("is not made by a lost request after its user and the service have gone", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({ creates: ["late", "ok"] })
      const one = yield* start()
      const connection = yield* one.connect("alice")
      yield* Time.pass("1 second")
      yield* podOf(connection)
      yield* Effect.forkChild(one.stop)
      yield* Time.pass("1 minute")
      assert.deepStrictEqual(yield* fake.world.pods, [])
    }))

  it.effect("is not held again by a connection that is leaving, however long its deletion takes", () =>
    Effect.gen(function*() {
      const { fake, start } = yield* worldOf({ deletes: Array.from({ length: 999 }, () => "forbidden" as const) })
      const connection = yield* (yield* start()).connect("alice")
      yield* Time.pass("2 seconds")
      yield* connection.close
      for (let count = 0; count < 11; count++) {
        yield* Time.pass("5 seconds")
        assert.deepStrictEqual(holderKeys((yield* fake.world.pods)[0]), [])
      }
    }))
})
