import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { inFrontOf } from "./support/Serve.ts"
import { eventually } from "./support/Service.ts"

const template = {
  podSpec: { containers: [{ name: "shell", image: "busybox" }], terminationGracePeriodSeconds: 1 },
  shellCommand: ["/bin/sh"]
}

const modes: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  connection: {},
  session: { mode: "session" },
  persistent: { mode: "persistent", name: "desk", createMissingPods: true },
  user: { mode: "user" }
}

describe("a pod under a running session", () => {
  for (const [mode, keys] of Object.entries(modes)) {
    it.live(
      `mode ${mode}: that is evicted ends the session with the kubelet's reason`,
      () =>
        Effect.scoped(Effect.gen(function*() {
          const cluster = yield* make()
          const service = yield* inFrontOf(cluster, { pod: { ...template, ...keys }, timeout: "20s" })
          const client = yield* service.script("exec $SSH 'echo ready; sleep 1000'")
          yield* client.stdoutMatch(/ready/)
          yield* cluster.faults.set({
            evict: [{ labelSelector: "app.kubernetes.io/managed-by=kuberun", message: "The node was low on memory." }]
          })
          assert.strictEqual(yield* client.exit, 255)
          assert.match(
            yield* client.stderr,
            /^kuberun: [^\n]*(evicted from its node|its node is short of resources)[^\n]*The node was low on memory[^\n]*\n$/
          )
        })),
      60_000
    )
  }

  for (const mode of ["connection", "persistent", "user"]) {
    it.live(
      `mode ${mode}: whose container is started again tells that, and the next program runs in it`,
      () =>
        Effect.scoped(Effect.gen(function*() {
          const cluster = yield* make()
          const service = yield* inFrontOf(cluster, { pod: { ...template, ...modes[mode] }, timeout: "20s" })
          yield* service.run("$SSH -M -S shared -fN")
          const client = yield* service.script("exec $SSH -S shared 'echo ready; sleep 1000'")
          yield* client.stdoutMatch(/ready/)
          const pod = "$(kubectl get pods -o name | head -1)"
          yield* service.run(`kubectl exec ${pod} -- sh -c 'kill 1'`)
          yield* client.exit
          assert.match(yield* client.stderr, /^kuberun: [^\n]*container[^\n]*exit code 143[^\n]*\n$/)
          const next = yield* eventually(service.run("$SSH -S shared 'echo here'"), ({ code }) => code === 0)
          assert.deepStrictEqual([next.code, next.out, next.err], [0, "here\n", ""])
          yield* service.run("$SSH -S shared -O exit")
        })),
      60_000
    )
  }
})
