import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually, start } from "./support/Service.ts"

describe("a pod lives as long as its connection", () => {
  it.live("twenty connections at once have a pod each, and none is left", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start()
      const clients = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => service.script("exec $SSH 'echo in; cat'", "open"),
        { concurrency: "unbounded" }
      )
      yield* Effect.forEach(clients, (client) => client.stdoutMatch(/^in$/m))
      const pods = yield* service.pods
      assert.strictEqual(new Set(pods.map(({ name }) => name)).size, 20)
      assert.strictEqual(new Set(pods.map(({ connection }) => connection)).size, 20)
      assert.isTrue(pods.every(({ user }) => user === "demo"))
      yield* Effect.forEach(clients, (client) => client.signal("SIGKILL"))
      yield* service.podsGone
    })), 60_000)

  it.live("a client that is killed while its pod starts leaves none", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ image: "kuberun.test/slow-10m", timeout: "1h" })
      const client = yield* service.script("exec $SSH true")
      assert.lengthOf(yield* eventually(service.pods, (pods) => pods.length === 1), 1)
      yield* client.signal("SIGKILL")
      yield* service.podsGone
    })), 60_000)

  it.live("a connection without a session has a pod too", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start()
      const idle = yield* service.script("exec $SSH -N")
      assert.lengthOf(yield* eventually(service.pods, (pods) => pods[0]?.phase === "Running"), 1)
      yield* idle.signal("SIGKILL")
      yield* service.podsGone
    })), 60_000)

  it.live(
    "a pod deleted from outside ends its connection, and the user is told",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start()
        const client = yield* service.script("exec $SSH 'echo in; cat'", "open")
        yield* client.stdoutMatch(/^in$/m)
        const [pod] = yield* service.pods
        yield* service.run(`kubectl delete pod ${pod?.name} --wait=false`)
        assert.strictEqual(yield* client.exit, 255)
        assert.strictEqual(yield* client.stderr, `kuberun: Your pod ${pod?.name} was deleted, so this session ends.\n`)
        yield* service.podsGone
      })),
    60_000
  )
})
