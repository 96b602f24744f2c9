import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Fiber, Layer, Logger, Ref, References, Schema } from "effect"
import { Cluster, ClusterError, type Config, decodeConfig, Kuberun, Unreachable } from "kuberun"

const upTo = (max: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max }))
const some = <const A extends ReadonlyArray<string>>(values: A) =>
  Schema.Array(Schema.Literals(values)).check(Schema.isMaxLength(4))

const faults = {
  creates: some(["ok", "answerLost", "late", "requestLost", "fault", "conflict", "forbidden", "hangs"]),
  deletes: some(["ok", "answerLost", "requestLost", "fault", "forbidden"]),
  watches: some(["ok", "breaks", "silent"]),
  start: Schema.Literals(["ready", "imagePull", "never"]),
  startMillis: upTo(70_000),
  createMillis: upTo(8_000),
  replaced: Schema.Boolean,
  replacedAfterMillis: upTo(90_000),
  hangUpMillis: upTo(100_000),
  inGoodOrder: Schema.Boolean,
  openChannel: Schema.Boolean
}

const replays = { arbitrary: { runs: 400 } }

const config = (timeout = "60s"): Effect.Effect<Config> => Effect.orDie(decodeConfig({ timeout }))

/** Serves one connection of `connection`'s client over `cluster`. */
const handling = (layer: FakeCluster.FakeClusterLayer, connection: FakeSsh.FakeConnection) =>
  Effect.gen(function*() {
    const settings = yield* config()
    return yield* Kuberun.use((kuberun) => kuberun.handle(connection.connection)).pipe(
      Effect.provide(Kuberun.layer(settings)),
      Effect.provide(layer),
      Effect.forkChild({ startImmediately: true })
    )
  })

/** The cluster with another `createPod`. */
const withCreate = (
  layer: FakeCluster.FakeClusterLayer,
  create: (createPod: Cluster["Service"]["createPod"]) => Cluster["Service"]["createPod"]
): FakeCluster.FakeClusterLayer =>
  Layer.effect(Cluster, Effect.map(Cluster, (cluster) => ({ ...cluster, createPod: create(cluster.createPod) }))).pipe(
    Layer.provide(layer)
  )

describe("a pod's lifetime", () => {
  it.effect.prop(
    "whatever fails and whenever the client leaves, no pod outlives its connection and no other pod is touched",
    faults,
    (plan) =>
      Effect.gen(function*() {
        const { layer, world } = yield* FakeCluster.make({
          ...plan,
          replacedAfterMillis: plan.replaced ? plan.replacedAfterMillis : undefined
        })
        const connection = yield* FakeSsh.makeConnection()
        const client = yield* FakeSsh.makeClient()
        const fiber = yield* handling(layer, connection)
        if (plan.openChannel) {
          yield* connection.open(client.channel)
          yield* Effect.forkChild(client.request({ _tag: "Shell" }))
        }
        yield* Time.pass(plan.hangUpMillis)
        yield* plan.inGoodOrder ? connection.end : Effect.asVoid(Effect.forkChild(Fiber.interrupt(fiber)))
        yield* Time.pass("5 minutes")

        assert.isDefined(fiber.pollUnsafe(), "the connection's fiber has ended")
        assert.deepStrictEqual(yield* world.livePods, [], "a pod was left behind")
        assert.strictEqual(yield* world.openStreams, 0, "a watch or an exec was left open")
        const deleted = yield* world.deletedPods
        assert.strictEqual(new Set(deleted).size, deleted.length, "an identity was deleted twice")
        const foreign = yield* world.foreignPods
        assert.deepStrictEqual(deleted.filter((uid) => foreign.includes(uid)), [])
        if (plan.openChannel && !plan.inGoodOrder) yield* client.close
      }),
    replays
  )

  it.effect("a foreign pod that took the name is left alone", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, replacedAfterMillis: 5000 })
      const connection = yield* FakeSsh.makeConnection()
      const fiber = yield* handling(layer, connection)
      yield* Time.pass("6 seconds")
      yield* Fiber.interrupt(fiber)
      assert.lengthOf(yield* world.foreignPods, 1)
      assert.deepStrictEqual(yield* world.deletedPods, [])
    }))

  it.effect("a create that lost its answer is found, used and deleted", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, creates: ["answerLost"] })
      const connection = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient()
      const fiber = yield* handling(layer, connection)
      yield* connection.open(client.channel)
      assert.isTrue(yield* client.request({ _tag: "Exec", command: "true" }))
      yield* client.eof
      yield* Time.pass("10 seconds")
      assert.deepStrictEqual((yield* client.exits).map(({ status }) => status), [{ _tag: "Exited", code: 0 }])
      yield* connection.end
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("a refusal that will not change is not tried again", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, creates: ["forbidden"] })
      const connection = yield* FakeSsh.makeConnection()
      const fiber = yield* handling(layer, connection)
      yield* Time.pass("30 seconds")
      assert.lengthOf(yield* world.manifests, 1)
      assert.isDefined(fiber.pollUnsafe(), "a connection without a pod is closed after its farewell")
    }))

  it.effect("a create is sent again where another one has written to the same quota", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, creates: ["conflict", "conflict"] })
      const connection = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient()
      const fiber = yield* handling(layer, connection)
      yield* connection.open(client.channel)
      yield* client.request({ _tag: "Exec", command: "true" })
      yield* Time.pass("5 seconds")
      assert.lengthOf(yield* world.execs, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("a create that fails while it is waited for counts as lost from then on, not from the client's leaving", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const late = withCreate(layer, (createPod) => (manifest) =>
        Effect.sleep("4 seconds").pipe(
          Effect.andThen(Effect.forkDetach(Effect.delay(createPod(manifest), "4 seconds"))),
          Effect.andThen(
            Effect.fail(
              new ClusterError({ operation: "create pod", reason: new Unreachable({ detail: "connection reset" }) })
            )
          )
        ))
      const connection = yield* FakeSsh.makeConnection()
      const fiber = yield* handling(late, connection)
      yield* Time.pass("1500 millis")
      const leaving = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Time.pass("20 seconds")
      assert.isDefined(leaving.pollUnsafe())
      assert.lengthOf(yield* world.deletedPods, 1)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("what the log says of a pod from its creation on has the pod's name among its fields", () =>
    Effect.gen(function*() {
      for (
        const settings of [
          { pod: { mode: "connection" } },
          { pod: { mode: "user" } },
          { pod: { mode: "persistent", name: "desk", createMissingPods: true } },
          { pod: { mode: "connection" }, pool: { size: 1 } }
        ]
      ) {
        const told: Array<readonly [message: string, pod: unknown]> = []
        const logger = Logger.make(({ fiber, message }) => {
          told.push([String(message), fiber.getRef(References.CurrentLogAnnotations)["pod"]])
        })
        const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
        const config = yield* decodeConfig(settings)
        const connection = yield* FakeSsh.makeConnection()
        yield* Effect.gen(function*() {
          yield* Time.pass("5 seconds")
          const fiber = yield* Kuberun.use((kuberun) => kuberun.handle(connection.connection)).pipe(
            Effect.forkChild({ startImmediately: true })
          )
          yield* Time.pass("5 seconds")
          const names = (yield* world.pods).map(({ metadata }) => metadata.name)
          const about = told.filter(([message]) => /^pod (created|ready|claimed)/.test(message))
          assert.lengthOf(about, 2, settings.pod.mode)
          for (const [message, pod] of about) assert.include(names, pod, `${settings.pod.mode}: ${message}`)
          yield* Fiber.interrupt(fiber)
        }).pipe(Effect.provide(Kuberun.layer(config)), Effect.provide(layer), Effect.provide(Logger.layer([logger])))
      }
    }))

  it.effect("a pod that runs for long costs the API server next to nothing, so that few calls a second serve many", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const reads = yield* Ref.make(0)
      const counted = Layer.effect(
        Cluster,
        Effect.map(Cluster, (cluster) => ({
          ...cluster,
          readPod: (pod) => Effect.andThen(Ref.update(reads, (count) => count + 1), cluster.readPod(pod))
        }))
      ).pipe(Layer.provide(layer))
      const connection = yield* FakeSsh.makeConnection()
      const fiber = yield* handling(counted, connection)
      yield* Time.pass("10 minutes")
      yield* Ref.set(reads, 0)
      yield* Time.pass("1 hour")
      assert.isAtMost(yield* Ref.get(reads), 15)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("a pod that somebody else made under the name of a create that was lost is neither used nor deleted", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const tries = yield* Ref.make(0)
      const contested = withCreate(
        layer,
        (createPod) => (manifest) =>
          Effect.flatMap(
            Ref.getAndUpdate(tries, (count) => count + 1),
            (count) =>
              count > 0 ? createPod(manifest) : createPod({
                ...manifest,
                metadata: { namespace: manifest.metadata.namespace, name: manifest.metadata.name }
              }).pipe(Effect.andThen(
                Effect.fail(
                  new ClusterError({ operation: "create pod", reason: new Unreachable({ detail: "connection reset" }) })
                )
              ))
          )
      )
      const connection = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient()
      const fiber = yield* handling(contested, connection)
      yield* connection.open(client.channel)
      yield* client.request({ _tag: "Exec", command: "true" })
      yield* Time.pass("10 seconds")
      assert.match((yield* client.texts).stderr, /already exists/)
      assert.deepStrictEqual(yield* world.execs, [])
      yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Time.pass("20 seconds")
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(yield* world.deletedPods, [])
      assert.lengthOf(yield* world.pods, 1)
    }))

  it.effect("a create that is never answered is let go when the time for the pod's deletion is over", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const letGo = yield* Ref.make(false)
      const silent = withCreate(layer, () => () => Effect.onInterrupt(Effect.never, () => Ref.set(letGo, true)))
      const connection = yield* FakeSsh.makeConnection()
      const fiber = yield* handling(silent, connection)
      yield* Time.pass("1 second")
      const leaving = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Time.pass("50 seconds")
      assert.isFalse(yield* Ref.get(letGo))
      yield* Time.pass("20 seconds")
      assert.isDefined(leaving.pollUnsafe())
      assert.isTrue(yield* Ref.get(letGo))
    }))

  it.effect("a watch that says nothing is made up for by polling", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({
        ...FakeCluster.calmPlan,
        watches: ["silent", "silent"],
        startMillis: 10_000
      })
      const connection = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient()
      const fiber = yield* handling(layer, connection)
      yield* connection.open(client.channel)
      yield* client.request({ _tag: "Exec", command: "true" })
      yield* Time.pass("20 seconds")
      assert.lengthOf(yield* world.execs, 1)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("the pod is deleted when the start times out, and the user told what it was doing", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, start: "never" })
      const connection = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient()
      const fiber = yield* handling(layer, connection)
      yield* connection.open(client.channel)
      yield* client.request({ _tag: "Exec", command: "true" })
      yield* Time.pass("59 seconds")
      assert.deepStrictEqual(yield* client.exits, [])
      yield* Time.pass("1 second")
      assert.deepStrictEqual((yield* client.exits).map(({ status }) => status), [{ _tag: "Exited", code: 255 }])
      assert.match((yield* client.texts).stderr, /^kuberun: Your pod was not ready within 60 s: .*\n$/)
      yield* Time.pass("20 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("a pod that could not be deleted stays in the status, so that a service can say what is left", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make({
        ...FakeCluster.calmPlan,
        deletes: Array.from({ length: 999 }, () => "forbidden" as const)
      })
      const connection = yield* FakeSsh.makeConnection()
      const settings = yield* config()
      yield* Effect.gen(function*() {
        const kuberun = yield* Kuberun
        const fiber = yield* Effect.forkChild(kuberun.handle(connection.connection), { startImmediately: true })
        yield* Time.pass("1 second")
        const during = yield* kuberun.status
        assert.strictEqual(during.connections, 1)
        yield* connection.end
        yield* Time.pass("2 minutes")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* kuberun.status, { connections: 0, pods: during.pods })
        assert.lengthOf(during.pods, 1)
      }).pipe(Effect.provide(Kuberun.layer(settings)), Effect.provide(layer))
    }))

  it.effect("a pod that failed goes although its client keeps a channel open and asks for nothing", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, start: "imagePull" })
      const connection = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient()
      const fiber = yield* handling(layer, connection)
      yield* connection.open(client.channel)
      yield* Time.pass("30 seconds")
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("a create that takes longer than its client stays is waited for, and its pod deleted", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make({
        ...FakeCluster.calmPlan,
        createMillis: 20_000,
        creates: ["fault", "fault", "ok"]
      })
      const connection = yield* FakeSsh.makeConnection()
      const fiber = yield* handling(layer, connection)
      yield* Time.pass("50 seconds")
      yield* connection.end
      yield* Time.pass("1 minute")
      assert.isDefined(fiber.pollUnsafe())
      assert.lengthOf(yield* world.manifests, 3)
      assert.lengthOf(yield* world.deletedPods, 1)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))
})
