import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { kuberun, start } from "./Process.ts"

const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) => Effect.provide(effect, NodeServices.layer)

/** `kuberun dev` as it comes, on a free port, in a working folder whose name a shell would take apart. */
const dev = Effect.fn(function*(words: ReadonlyArray<string> = []) {
  const cwd = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "my kuberun-" })
  const service = yield* kuberun(["dev", "--listen", "127.0.0.1:0", ...words], { cwd })
  const [, line = "", kubectl = ""] = yield* service.stdoutMatch(/^ready: (ssh .*)\nkubectl: (.*)\n/m)
  return { cwd, kubectl, line, service }
})

/** Pastes the ready line into a shell, with a command behind it. */
const pasted = (line: string, command: string, cwd: string) =>
  start("/bin/sh", [
    "-c",
    `exec ${
      line.replace(/^ssh /, "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes ")
    } "$0"`,
    command
  ], { cwd })

describe("kuberun dev with its embedded cluster", () => {
  it.live("runs a command behind the pasted line, and ends with status 0 while a client is inside", () =>
    Effect.gen(function*() {
      const { cwd, line, service } = yield* dev()
      const first = yield* pasted(line, "echo to stdout; echo to stderr >&2; exit 7", cwd)
      assert.strictEqual(yield* first.exit, 7)
      assert.strictEqual(yield* first.stdout, "to stdout\n")
      assert.include(yield* first.stderr, "to stderr\n")

      const inside = yield* pasted(line, "echo inside; sleep 1000", cwd)
      yield* inside.stdoutMatch(/inside/)
      yield* service.signal("SIGTERM")
      assert.strictEqual(yield* service.exit.pipe(Effect.timeout("10 seconds")), 0, yield* service.stderr)
      assert.notStrictEqual(yield* inside.exit, 0)
      assert.match(yield* service.stdout, /^ready: .*\nkubectl: .*\n$/)
    }).pipe(Effect.scoped, run))

  it.live("writes a kubeconfig for its owner only, where it was told to", () =>
    Effect.gen(function*() {
      const { cwd, kubectl, service } = yield* dev(["--kubeconfig-out", "my config"])
      assert.strictEqual(kubectl, "KUBECONFIG='my config' kubectl get pods -w")
      const { mode } = yield* (yield* FileSystem.FileSystem).stat(`${cwd}/my config`)
      assert.strictEqual(mode & 0o777, 0o600)
      yield* service.signal("SIGTERM")
      assert.strictEqual(yield* service.exit, 0)
    }).pipe(Effect.scoped, run))
})
