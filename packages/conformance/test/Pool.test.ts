import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, start } from "./support/Service.ts"

describe("a warm pool", () => {
  it.live(
    "hands its pods out one by one, refills, and is emptied at the service's end",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({
          pod: { podSpec: { containers: [{ name: "shell", image: "kuberun.test/slow-1500ms" }] } },
          config: { pool: { size: 2 } }
        })
        const waiting = Effect.map(
          service.run("kubectl get pods -l kuberun.dev/pool=default --no-headers | grep -c Running"),
          ({ out }) => out.trim()
        )
        assert.strictEqual(yield* eventually(waiting, (count) => count === "2"), "2")
        const client = yield* service.script("exec $SSH 'hostname; read line'", "open")
        yield* client.stdoutMatch(/\n/)
        const name = (yield* client.stdout).trim()
        const labels = yield* service.run(`kubectl get pod ${name} -o jsonpath='{.metadata.labels}'`)
        assert.include(labels.out, `"containerssh_username":"demo"`)
        assert.notInclude(labels.out, "kuberun.dev/pool")
        assert.strictEqual(yield* eventually(waiting, (count) => count === "2"), "2")
        yield* client.write("\n")
        assert.strictEqual(yield* client.exit, 0)
        assert.deepStrictEqual(
          yield* eventually(service.pods, (pods) => !pods.some((pod) => pod.name === name)).pipe(
            Effect.map((pods) => pods.filter((pod) => pod.name === name))
          ),
          []
        )
      })),
    60_000
  )

  it.live("is shared by replicas that never give one pod to two", () =>
    Effect.scoped(Effect.gen(function*() {
      const options = { config: { pool: { size: 3 } } }
      const one = yield* start(options)
      const other = yield* start({ ...options, kubeconfig: one.kubeconfig })
      const script = "for n in 1 2 3 4 5 6; do $SSH 'hostname; sleep 1' & done; wait"
      const [here, there] = yield* Effect.all([one.run(script), other.run(script)], { concurrency: 2 })
      const names = `${here.out}${there.out}`.split("\n").filter((name) => name !== "")
      assert.lengthOf(names, 12, here.err + there.err)
      assert.strictEqual(new Set(names).size, 12)
      // The end of one leaves a pool that the other keeps.
      yield* other.process.signal("SIGTERM")
      assert.strictEqual(yield* other.process.exit, 0)
      const left = Effect.map(one.pods, (pods) => pods.length)
      assert.strictEqual(yield* eventually(left, (count) => count === 3), 3)
    })), 60_000)

  it.live("is emptied when the last service ends", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make()
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-pool-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const kubeconfig = join(folder, "kubeconfig")
      writeFileSync(kubeconfig, cluster.kubeconfig)
      const service = yield* start({ kubeconfig, config: { pool: { size: 3 } } })
      const count = Effect.map(service.pods, (pods) => pods.length)
      assert.strictEqual(yield* eventually(count, (pods) => pods === 3), 3)
      yield* service.process.signal("SIGTERM")
      assert.strictEqual(yield* service.process.exit, 0)
      assert.strictEqual(yield* eventually(count, (pods) => pods === 0), 0)
    })), 60_000)
})
