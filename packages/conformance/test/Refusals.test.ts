import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type ServiceOptions, start } from "./support/Service.ts"

/** What is wrong, and the one sentence that says so. */
const failures: ReadonlyArray<readonly [string, ServiceOptions, RegExp]> = [
  [
    "an image that does not exist",
    { image: "kuberun.test/missing", timeout: "1h" },
    /^Your pod could not be started: its image cannot be pulled: .*not found.* \(ErrImagePull\)\.$/
  ],
  [
    "an image that is not for everybody",
    { image: "kuberun.test/unauthorized", timeout: "1h" },
    /^Your pod could not be started: its image cannot be pulled: .*401 Unauthorized.*\.$/
  ],
  [
    "a pod that no node takes",
    { image: "kuberun.test/unschedulable", timeout: "1s" },
    /^Your pod was not ready within 1 s: waiting for a node \(0\/1 nodes are available.*\)\.$/
  ],
  [
    "a quota that is used up",
    { image: "kuberun.test/quota", timeout: "1h" },
    /^Your pod could not be started: the cluster does not allow it: .*exceeded quota: .*\.$/
  ],
  [
    "an admission webhook that refuses",
    { image: "kuberun.test/denied", timeout: "1h" },
    /^Your pod could not be started: .*admission webhook .* denied the request.*\.$/
  ],
  [
    "a service that may not create pods",
    { image: "kuberun.test/rbac", timeout: "1h" },
    /^Your pod could not be started: the cluster does not allow it: .*cannot create resource "pods".*\.$/
  ],
  [
    "a container that keeps ending",
    { image: "kuberun.test/crash", timeout: "1h" },
    /^Your pod .*: container shell (keeps ending|is not running): its last run ended with exit code 1 \(\w+\)\.$/
  ]
]

/** A log line for machines. */
const entries = (log: string): ReadonlyArray<Record<string, unknown>> =>
  log.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))

describe("a failure is told in one sentence", () => {
  for (const [what, options, sentence] of failures) {
    it.live(`${what}, with a terminal and without`, () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ ...options, flags: ["--log-format", "json"] })
        const plain = yield* service.run("$SSH true")
        assert.match(plain.err, /^kuberun: [^\n]*\n$/)
        assert.match(plain.err.slice("kuberun: ".length, -1), sentence)
        assert.deepStrictEqual({ code: plain.code, out: plain.out }, { code: 255, out: "" })

        const terminal = yield* service.run("$SSH -tt true < /dev/null")
        assert.match(
          terminal.err.replaceAll(/\r\u001b\[K[^\r]*?(?=\r|kuberun: )/g, "").replaceAll("\r\u001b[K", ""),
          /^kuberun: [^\n]*\r\n$/
        )
        assert.match(/kuberun: ([^\r]*)\r\n$/.exec(terminal.err)?.[1] ?? "", sentence)
        assert.strictEqual(terminal.code, 255)

        yield* service.podsGone
        const log = yield* service.process.stderr
        assert.notMatch(log, /\n\s+at /)
        const warnings = entries(log).filter((entry) => entry["level"] === "warn")
        assert.isAtLeast(warnings.length, 2)
        for (const warning of warnings) {
          assert.containsAllKeys(warning, ["connectionId", "user", "pod", "namespace"])
        }
      })))
  }

  it.live("a cluster that cannot be reached", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* start()
      const kubeconfig = join(place.folder, "nowhere")
      writeFileSync(
        kubeconfig,
        JSON.stringify({
          apiVersion: "v1",
          kind: "Config",
          clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1" } }],
          users: [{ name: "u", user: { token: "hunter2-secret" } }],
          contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
          "current-context": "x"
        })
      )
      const service = yield* start({ kubeconfig, timeout: "1s" })
      const { code, err } = yield* service.run("$SSH true")
      assert.match(err, /^kuberun: Your pod [^\n]*\.\n$/)
      assert.match(err, /refused|reached/)
      assert.strictEqual(code, 255)
      assert.notInclude(yield* service.process.stderr, "hunter2")
    })))

  it.live("while it may still come good, a person at a terminal sees what the pod is doing", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ image: "kuberun.test/slow-2500ms" })
      const { code, err, out } = yield* service.run("$SSH -tt 'echo prompt' < /dev/null")
      assert.match(err, /^(\r\u001b\[Kpulling image kuberun\.test\/slow-2500ms, [12] s)+\r\u001b\[K$/)
      assert.strictEqual(out, "prompt\r\n")
      assert.strictEqual(code, 0)
      const plain = yield* service.run("$SSH 'echo quiet'")
      assert.deepStrictEqual(plain, { code: 0, out: "quiet\n", err: "" })
    })))
})
