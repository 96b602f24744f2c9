import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Effect, Exit, Ref } from "effect"
import { ClusterError, type Config, Conflict, decodeConfig, type Pod, type Precondition } from "kuberun"
import { holdersOf } from "../src/Holders.ts"
import { type Connection, make } from "./Replicas.ts"

const configOf = (pod: Readonly<Record<string, unknown>> = {}): Effect.Effect<Config> =>
  Effect.orDie(decodeConfig({ pod: { mode: "user", ...pod } }))

const worldOf = Effect.fn(function*(
  plan: Partial<FakeCluster.FakeClusterPlan> = {},
  pod: Readonly<Record<string, unknown>> = {}
) {
  const fake = yield* FakeCluster.make({ ...FakeCluster.calmPlan, ...plan })
  const world = yield* make(fake, yield* configOf(pod))
  return { ...world, fake }
})

const podOf = ({ opened }: Connection) =>
  Effect.flatMap(Ref.get(opened), (exit) => {
    assert.isTrue(exit !== undefined && Exit.isSuccess(exit), "the connection has its pod")
    return exit !== undefined && Exit.isSuccess(exit) ? Effect.succeed(exit.value) : Effect.never
  })

const refusalOf = ({ opened }: Connection) =>
  Effect.map(Ref.get(opened), (exit) => {
    const reason = exit !== undefined && Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
    return reason?._tag === "Fail" ? reason.error.message : undefined
  })

const holderKeys = (pod: Pod | undefined) => pod === undefined ? [] : holdersOf(pod).map(({ key }) => key).toSorted()

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
      assert.strictEqual(new Set(claims.map(({ metadata }) => metadata.name)).size, 1)
      const [manifest] = yield* fake.world.manifests
      assert.include(JSON.stringify(manifest?.spec), JSON.stringify(claims[0]?.metadata.name))
      yield* podOf(first)
      yield* podOf(second)
    }))
})
