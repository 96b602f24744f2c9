import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Context, Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually, type Service, start } from "./support/Service.ts"

class Running extends Context.Service<Running, Service>()("test/Running") {
  static readonly layer = Layer.effect(Running, start())
}

/** A client inside whose program runs, and its pod. */
const inside = Effect.fn(function*({ pods, script }: Service, options = "", command = "echo inside; sleep 1000") {
  const client = yield* script(`exec \${SSH/ demo@/ ${options} demo@} '${command}'`)
  yield* client.stdoutMatch(/inside/)
  const [pod] = yield* pods
  return { client, pod }
})

describe("a pod's end, seen from outside", () => {
  it.layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("comes with the client's leaving in good order, and not before", () =>
      Effect.gen(function*() {
        const service = yield* Running
        const client = yield* service.script(`exec $SSH 'read line; echo "$line"'`, "open")
        const pods = yield* eventually(service.pods, (pods) => pods[0]?.phase === "Running")
        assert.deepStrictEqual(pods.map(({ user }) => user), ["demo"])
        assert.match(pods[0]?.connection ?? "", /^[0-9a-f]{32}$/)
        yield* client.write("bye\n")
        assert.strictEqual(yield* client.exit, 0)
        assert.strictEqual(yield* client.stdout, "bye\n")
        yield* service.podsGone
      }))

    it.effect("comes when the client is killed", () =>
      Effect.gen(function*() {
        const service = yield* Running
        const { client, pod } = yield* inside(service)
        assert.strictEqual(pod?.phase, "Running")
        yield* client.signal("SIGKILL")
        yield* service.podsGone
      }))

    it.effect("takes every process with it, also one that left its session and its parent", () =>
      Effect.gen(function*() {
        const service = yield* Running
        const mark = `KUBERUN_DAEMON=${process.pid}-${Date.now()}`
        const daemons = Effect.map(
          service.run(`grep -lzs '^${mark}$' /proc/[0-9]*/environ | wc -l`),
          ({ out }) => out.trim()
        )
        const { client } = yield* inside(
          service,
          "",
          `env ${mark} setsid -f sleep 1000 > /dev/null 2>&1 < /dev/null; echo inside; sleep 1000`
        )
        assert.notStrictEqual(yield* eventually(daemons, (count) => count !== "0"), "0")
        yield* client.signal("SIGKILL")
        yield* service.podsGone
        assert.strictEqual(yield* eventually(daemons, (count) => count === "0"), "0")
      }))

    it.effect("is told to the user where the pod is deleted from under a session", () =>
      Effect.gen(function*() {
        const service = yield* Running
        const { client, pod } = yield* inside(service)
        assert.isDefined(pod)
        yield* service.deletePod(pod)
        assert.strictEqual(yield* client.exit, 255)
        assert.strictEqual(
          yield* client.stderr,
          `kuberun: Your pod ${pod.name} was deleted, so this session ends.\n`
        )
        yield* service.podsGone
      }))

    it.effect("comes for each of twenty connections at once, each with a pod of its own", () =>
      Effect.gen(function*() {
        const service = yield* Running
        const { out } = yield* service.run(
          `for n in $(seq 20); do $SSH 'hostname; sleep 0.2' & done | sort -u | wc -l; wait`
        )
        assert.strictEqual(out.trim(), "20")
        yield* service.podsGone
      }))

    it.effect("comes when the client's network has died in silence", () =>
      Effect.gen(function*() {
        const service = yield* Running
        const { client } = yield* inside(service)
        yield* client.signal("SIGSTOP")
        yield* service.process.stderrMatch(/connection ended/)
        // Three keepalives of fifteen seconds go unanswered first.
        yield* eventually(service.pods, (pods) => pods.length === 0)
        yield* service.podsGone
      }), { timeout: 100_000 })
  })

  it.live("comes though the client leaves while the pod still starts", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ image: "kuberun.test/slow-1m" })
      const client = yield* service.script("exec $SSH true")
      const pods = yield* eventually(service.pods, (pods) => pods.length === 1)
      assert.deepStrictEqual(pods.map(({ phase }) => phase), ["Pending"])
      yield* client.signal("SIGKILL")
      yield* service.podsGone
    })))

  it.live("comes when the pod is not ready in time, and the user is told", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ image: "kuberun.test/slow-1m", timeout: "1500ms" })
      const { code, err } = yield* service.run("$SSH true")
      assert.match(err, /^kuberun: Your pod was not ready within 1\.5 s: pulling image kuberun\.test\/slow-1m\.\n$/)
      assert.strictEqual(code, 255)
      yield* service.podsGone
    })))

  it.live("comes, for all of them, when the service is stopped, which then exits with 0", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make()
      const before = yield* start()
      const kubeconfig = join(before.folder, "other")
      writeFileSync(kubeconfig, cluster.kubeconfig)
      const service = yield* start({ kubeconfig })
      const { client } = yield* inside(service)
      const second = yield* service.script("exec $SSH 'echo inside; sleep 1000'")
      yield* second.stdoutMatch(/inside/)
      assert.lengthOf(yield* service.pods, 2)
      yield* service.process.signal("SIGTERM")
      assert.strictEqual(yield* service.process.exit, 0, yield* service.process.stderr)
      assert.strictEqual(yield* client.exit, 255)
      assert.strictEqual(yield* second.exit, 255)
      assert.deepStrictEqual((yield* service.pods).filter(({ phase }) => phase === "Pending"), [])
      yield* service.podsGone
    })))
})
