import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Exit, Fiber, Ref, Scope, SubscriptionRef } from "effect"
import { Cluster, type Config, decodeConfig, type Identity, Kuberun, type Pod, type PodManifest } from "kuberun"
import * as PersistentPod from "../src/modes/PersistentPod.ts"
import type { PodStartError } from "../src/pod/PodStartError.ts"
import type { RunningPod } from "../src/pod/RunningPod.ts"
import { podSentence } from "../src/session/Sentences.ts"

const identityOf = (username: string): Identity => ({
  connectionId: "c1",
  username,
  remoteAddress: "192.0.2.7",
  remotePort: 1234,
  localAddress: "192.0.2.1",
  localPort: 22,
  metadata: {}
})

const worldOf = Effect.fn(function*(
  plan: Partial<FakeCluster.FakeClusterPlan> = {},
  pod: Readonly<Record<string, unknown>> = {}
) {
  const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, ...plan })
  const config: Config = yield* Effect.orDie(
    decodeConfig({ pod: { mode: "persistent", name: "desk-{{username}}", ...pod } })
  )
  const connect = Effect.fn(function*(username: string) {
    const activity = yield* SubscriptionRef.make("")
    const told = yield* Ref.make(0)
    const scope = yield* Scope.make()
    const tell = () => Ref.update(told, (count) => count + 1)
    const fiber: Fiber.Fiber<RunningPod, PodStartError> = yield* PersistentPod.source(config)({
      identity: identityOf(username),
      activity,
      onPod: tell,
      onLeftBehind: tell
    }).pipe(Effect.provide(layer), Scope.provide(scope), Effect.forkDetach({ startImmediately: true }))
    return { fiber, activity, told, close: Scope.close(scope, Exit.void) }
  })
  const putUp = (name: string, containers: PodManifest["spec"]["containers"] = [{ name: "shell" }]) =>
    Cluster.use((cluster) =>
      cluster.createPod({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, namespace: "default" },
        spec: { containers }
      })
    ).pipe(Effect.provide(layer))
  return { world, connect, putUp }
})

/** What the user reads. */
const refusal = (fiber: Fiber.Fiber<RunningPod, PodStartError>) =>
  Effect.map(Effect.flip(Fiber.join(fiber)), (error) => podSentence(error))

describe("a persistent pod", () => {
  it.effect("is the one that the name says, whoever made it, waited for until it is ready, and left when all is over", () =>
    Effect.gen(function*() {
      const { connect, putUp, world } = yield* worldOf({ startMillis: 5000 })
      yield* putUp("desk-alice")
      const { close, fiber, told } = yield* connect("alice")
      yield* Time.pass("4 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* Time.pass("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).ref.name, "desk-alice")
      yield* close
      yield* Time.pass("10 minutes")
      assert.lengthOf(yield* world.livePods, 1)
      assert.deepStrictEqual(yield* world.deletedPods, [])
      assert.strictEqual(yield* Ref.get(told), 0)
      assert.strictEqual(yield* world.openStreams, 0)
    }))

  it.effect("that is not there is told by its name, with what to do, and not made", () =>
    Effect.gen(function*() {
      const { connect, world } = yield* worldOf()
      const { fiber } = yield* connect("alice")
      yield* Time.pass("1 second")
      assert.strictEqual(
        yield* refusal(fiber),
        "Your pod could not be started: there is no pod called desk-alice in namespace default; " +
          "the administrator has to create it, or to set pod.createMissingPods."
      )
      assert.deepStrictEqual(yield* world.manifests, [])
    }))

  it.effect("that is not there is made where that is allowed, once for all who come at the same time", () =>
    Effect.gen(function*() {
      const { connect, world } = yield* worldOf({ creates: ["answerLost", "fault", "conflict"], createMillis: 50 }, {
        createMissingPods: true
      })
      const connections = [yield* connect("alice"), yield* connect("alice"), yield* connect("bob")]
      yield* Time.pass("10 seconds")
      const running = yield* Effect.forEach(connections, ({ fiber }) => Fiber.join(fiber))
      assert.deepStrictEqual(running.map(({ ref }) => ref.name), ["desk-alice", "desk-alice", "desk-bob"])
      const pods = yield* world.pods
      assert.deepStrictEqual(pods.map(({ metadata }) => metadata.name).toSorted(), ["desk-alice", "desk-bob"])
      assert.strictEqual(pods[0]?.metadata.labels?.["kuberun.dev/mode"], "persistent")
      yield* Effect.forEach(connections, ({ close }) => close)
      yield* Time.pass("10 minutes")
      assert.lengthOf(yield* world.livePods, 2)
    }))

  it.effect("that another connection makes at the same moment is used", () =>
    Effect.gen(function*() {
      const { connect, world } = yield* worldOf({ createMillis: 50 }, { createMissingPods: true })
      const connections = [yield* connect("alice"), yield* connect("alice")]
      yield* Time.pass("2 seconds")
      yield* Effect.forEach(connections, ({ fiber }) => Fiber.join(fiber))
      assert.lengthOf(yield* world.manifests, 2)
      assert.lengthOf(yield* world.livePods, 1)
    }))

  it.effect("that may not be made is refused in the cluster's words", () =>
    Effect.gen(function*() {
      const { connect } = yield* worldOf({ creates: ["forbidden"] }, { createMissingPods: true })
      const { fiber } = yield* connect("alice")
      yield* Time.pass("1 second")
      assert.match(yield* refusal(fiber), /exceeded quota/)
    }))

  it.effect("that has ended, or lacks the container, is told and left", () =>
    Effect.gen(function*() {
      const { connect, putUp, world } = yield* worldOf({}, { createMissingPods: true })
      yield* putUp("desk-alice")
      yield* putUp("desk-bob", [{ name: "other" }])
      yield* Time.settle
      yield* world.changePod("desk-alice", (pod) => ({ ...pod, status: { phase: "Failed", reason: "Evicted" } }))
      const [alice, bob] = [yield* connect("alice"), yield* connect("bob")]
      yield* Time.pass("1 second")
      assert.strictEqual(
        yield* refusal(alice.fiber),
        "Your pod could not be started: it was evicted from its node: container shell has ended; " +
          "pod desk-alice stays until the administrator deletes it (Evicted)."
      )
      assert.match(yield* refusal(bob.fiber), /pod desk-bob has no container called shell; .* pod\.consoleContainer\.$/)
      assert.lengthOf(yield* world.livePods, 2)
    }))

  it.effect("that is being deleted is told, or waited away and made anew where that is allowed", () =>
    Effect.gen(function*() {
      const going = (pod: Pod): Pod => ({
        ...pod,
        metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" }
      })
      const strict = yield* worldOf()
      yield* strict.putUp("desk-alice")
      yield* Time.settle
      yield* strict.world.changePod("desk-alice", going)
      const refused = yield* strict.connect("alice")
      yield* Time.pass("1 second")
      assert.match(yield* refusal(refused.fiber), /pod desk-alice is being deleted; the administrator has to create it/)

      const { connect, putUp, world } = yield* worldOf({}, { createMissingPods: true })
      yield* putUp("desk-alice")
      yield* Time.settle
      yield* world.changePod("desk-alice", going)
      const { activity, fiber } = yield* connect("alice")
      yield* Time.pass("20 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      assert.match(yield* SubscriptionRef.get(activity), /waiting until pod desk-alice/)
      yield* world.removePod
      yield* Time.pass("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).ref.name, "desk-alice")
    }))

  it.effect("that never gets ready is given up in time, and its end under a session is told", () =>
    Effect.gen(function*() {
      const never = yield* worldOf({ start: "never" }, { createMissingPods: true })
      const slow = yield* never.connect("alice")
      yield* Time.pass("61 seconds")
      assert.match(yield* refusal(slow.fiber), /was not ready within 60 s/)
      assert.lengthOf(yield* never.world.livePods, 1)

      const { connect, world } = yield* worldOf({}, { createMissingPods: true })
      const { fiber } = yield* connect("alice")
      yield* Time.pass("1 second")
      const running = yield* Fiber.join(fiber)
      const ended = yield* Effect.forkChild(Effect.flip(running.ended))
      yield* world.removePod
      yield* Time.pass("1 second")
      assert.strictEqual(
        podSentence(yield* Fiber.join(ended)),
        "Your pod desk-alice was deleted, so this session ends."
      )
    }))

  it.effect("may be older than connections may last: nobody takes it down, so they count from their own beginning", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const config = yield* decodeConfig({
        pod: { mode: "persistent", name: "desk", createMissingPods: true, maxLifetime: "1h" }
      })
      const serve = Effect.fn(function*() {
        const { connection } = yield* FakeSsh.makeConnection()
        return yield* Kuberun.use(({ handle }) => handle(connection)).pipe(
          Effect.forkChild({ startImmediately: true })
        )
      })
      yield* Effect.gen(function*() {
        const first = yield* serve()
        yield* Time.pass("61 minutes")
        assert.isDefined(first.pollUnsafe())
        const second = yield* serve()
        yield* Time.pass("59 minutes")
        assert.isUndefined(second.pollUnsafe())
        yield* Time.pass("2 minutes")
        assert.isDefined(second.pollUnsafe())
      }).pipe(Effect.provide(Kuberun.layer(config)), Effect.provide(layer))
    }))
})
