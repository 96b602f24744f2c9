import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, FakeSsh } from "@kuberun/testkit"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Config, decodeConfig, defaultConfig, type NetworkConnectionHandler } from "kuberun"
import * as Handler from "../src/Handler.ts"

const client = { address: "192.0.2.7", port: 40_000 }
const connectionId = "0123456789abcdef0123456789abcdef"

/** A handler over a fake cluster. */
const accept = Effect.fnUntraced(function*(
  plan: Partial<FakeCluster.FakeClusterPlan> = {},
  config: Config = defaultConfig
) {
  const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, ...plan })
  const handler: NetworkConnectionHandler = yield* Handler.make(client, connectionId, config).pipe(
    Effect.provide(layer)
  )
  return { handler, world }
})

/** A step of the clock for each hand-over between fibers that follows on the one before. */
const settled = Effect.replicateEffect(TestClock.adjust("10 millis"), 10, { discard: true })

const run = (effect: Effect.Effect<void>) => Effect.forkChild(effect, { startImmediately: true })

describe("a network connection's handler", () => {
  it.effect("authenticates nobody, and says so in the words of kuberun v0.9.3", () =>
    Effect.gen(function*() {
      const { handler } = yield* accept()
      const answer = {
        _tag: "Unavailable",
        detail: "the backend handler does not support authentication"
      } as const
      assert.deepStrictEqual(yield* handler.onAuthPassword("demo", new Uint8Array([1])), answer)
      assert.deepStrictEqual(yield* handler.onAuthPubKey("demo", "ssh-ed25519 AAAA"), answer)
      assert.deepStrictEqual(yield* handler.onAuthKeyboardInteractive("demo"), answer)
    }))

  it.effect("creates nothing before the handshake, and nothing when it fails", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept()
      yield* handler.onAuthPassword("demo", new Uint8Array())
      yield* handler.onHandshakeFailed("no common algorithm")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* world.manifests, [])
      assert.strictEqual(yield* world.openStreams, 0)
    }))

  it.effect("asks for the user's pod at the handshake, and does not wait for it", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept({ start: "never" })
      yield* handler.onHandshakeSuccess("alice")
      yield* settled
      const [manifest] = yield* world.manifests
      assert.deepStrictEqual(manifest?.metadata.annotations, {
        containerssh_connection_id: connectionId,
        containerssh_ip: client.address,
        containerssh_username: "alice"
      })
      assert.lengthOf(yield* world.livePods, 1)
    }))

  it.effect("refuses a second handshake, which makes no second pod", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept()
      yield* handler.onHandshakeSuccess("demo")
      const refused = yield* Effect.flip(handler.onHandshakeSuccess("demo"))
      assert.strictEqual(refused._tag, "HandshakeRefused")
      assert.strictEqual(refused.message, "handshake already complete")
      yield* settled
      assert.lengthOf(yield* world.manifests, 1)
      yield* handler.onDisconnect
      assert.deepStrictEqual(yield* world.livePods, [], "the refused handshake took the first one's pod out of reach")
    }))

  it.effect("refuses a handshake after the end, whether there was one before or not", () =>
    Effect.gen(function*() {
      for (const before of [0, 1]) {
        const { handler, world } = yield* accept()
        if (before === 1) yield* handler.onHandshakeSuccess("demo")
        yield* settled
        yield* handler.onDisconnect
        const refused = yield* Effect.flip(handler.onHandshakeSuccess("demo"))
        assert.strictEqual(refused.message, "the connection has ended")
        yield* settled
        assert.lengthOf(yield* world.manifests, before)
        assert.deepStrictEqual(yield* world.livePods, [])
      }
    }))

  it.effect("has nothing to do at a disconnect before the handshake", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept()
      yield* handler.onDisconnect
      yield* handler.onDisconnect
      assert.deepStrictEqual(yield* world.deletedPods, [])
    }))

  it.effect("runs any number of sessions side by side in one pod", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept({ startMillis: 2000 })
      const { onSessionChannel } = yield* handler.onHandshakeSuccess("demo")
      const clients = yield* Effect.forEach([1, 2, 3], (id) => FakeSsh.makeClient(Effect.void, id))
      const fibers = yield* Effect.forEach(clients, ({ channel }) => run(onSessionChannel(channel)))
      yield* Effect.forEach(clients, (each) => each.request({ _tag: "Exec", command: "cat" }))
      assert.lengthOf(yield* world.execs, 0)
      yield* TestClock.adjust("3 seconds")
      assert.lengthOf(yield* world.execs, 3)
      for (const [place, each] of clients.entries()) {
        yield* each.send(new TextEncoder().encode(`to ${place}`))
        yield* each.eof
      }
      yield* settled
      for (const [place, each] of clients.entries()) {
        assert.deepStrictEqual(yield* each.texts, { stdout: `to ${place}`, stderr: "" })
      }
      yield* Effect.forEach(fibers, Fiber.join)
      assert.lengthOf(yield* world.manifests, 1)
      assert.lengthOf(yield* world.livePods, 1)
    }))

  it.effect("ends the program of a channel whose serving is interrupted, and no other's", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept()
      const { onSessionChannel } = yield* handler.onHandshakeSuccess("demo")
      const clients = yield* Effect.forEach([1, 2], (id) => FakeSsh.makeClient(Effect.void, id))
      const fibers = yield* Effect.forEach(clients, ({ channel }) => run(onSessionChannel(channel)))
      yield* Effect.forEach(clients, (each) => each.request({ _tag: "Exec", command: "cat" }))
      yield* settled
      assert.strictEqual(yield* world.openStreams, 3, "two programs and the pod's watch")
      yield* Effect.forEach(fibers.slice(0, 1), Fiber.interrupt)
      yield* settled
      assert.strictEqual(yield* world.openStreams, 2)
    }))

  it.effect("ends its programs and deletes its pod at a disconnect, which completes after that, and once", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept({ deletes: ["fault"] })
      const { onSessionChannel } = yield* handler.onHandshakeSuccess("demo")
      const { channel, request } = yield* FakeSsh.makeClient()
      const serving = yield* run(onSessionChannel(channel))
      yield* request({ _tag: "Exec", command: "cat" })
      yield* settled
      const [pod] = yield* world.livePods
      const ending = yield* run(handler.onDisconnect)
      yield* handler.onDisconnect
      assert.isUndefined(ending.pollUnsafe(), "completed although its one delete failed")
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(ending)
      yield* handler.onDisconnect
      assert.isDefined(pod)
      assert.deepStrictEqual<ReadonlyArray<string | undefined>>(yield* world.deletedPods, [pod])
      assert.deepStrictEqual(yield* world.livePods, [])
      assert.strictEqual(yield* world.openStreams, 0)
      assert.isDefined(serving.pollUnsafe(), "the session is still served")
    }))

  it.effect("deletes a pod that is still starting", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept({ start: "never" })
      yield* handler.onHandshakeSuccess("demo")
      yield* settled
      assert.lengthOf(yield* world.livePods, 1)
      yield* handler.onDisconnect
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("asks for no pod once its deletion has begun, though the first request's answer was lost", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept({ creates: ["answerLost"], deletes: ["fault", "fault", "fault"] })
      yield* handler.onHandshakeSuccess("demo")
      yield* settled
      const ending = yield* run(handler.onDisconnect)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(ending)
      assert.lengthOf(yield* world.manifests, 1)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("keeps the limits in time that are configured", () =>
    Effect.gen(function*() {
      const config = yield* Effect.orDie(decodeConfig({ pod: { idleTimeout: "1m", warning: "10s" } }))
      const { handler, world } = yield* accept({}, config)
      const { onSessionChannel } = yield* handler.onHandshakeSuccess("demo")
      const { channel, exits, request, texts } = yield* FakeSsh.makeClient()
      const serving = yield* run(onSessionChannel(channel))
      yield* request({ _tag: "Exec", command: "cat" })
      yield* settled
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(serving.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      yield* settled
      yield* Fiber.join(serving)
      assert.match((yield* texts).stderr, /^kuberun: Nothing has happened here for 1m, so this session ends\.\n$/)
      assert.deepStrictEqual((yield* exits).map(({ status }) => status), [{ _tag: "Exited", code: 255 }])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("serves no channel after the end", () =>
    Effect.gen(function*() {
      const { handler, world } = yield* accept()
      const { onSessionChannel } = yield* handler.onHandshakeSuccess("demo")
      yield* settled
      yield* handler.onDisconnect
      const { channel } = yield* FakeSsh.makeClient()
      const serving = yield* run(onSessionChannel(channel))
      yield* settled
      assert.isDefined(serving.pollUnsafe(), "the session hangs")
      assert.lengthOf(yield* world.execs, 0)
    }))
})
