import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Process } from "@kuberun/testkit"
import { Effect, FileSystem } from "effect"

const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) => Effect.provide(effect, NodeServices.layer)

/** Its name is one that a shell would take apart. */
const workingFolder = Effect.gen(function*() {
  return yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "my kuberun-" })
})

/** `kuberun dev` on a free port. */
const dev = Effect.fn(function*(words: ReadonlyArray<string> = [], folder?: string) {
  const cwd = folder ?? (yield* workingFolder)
  const service = yield* Process.kuberun(["dev", "--listen", "127.0.0.1:0", ...words], { cwd })
  const [, line = "", kubectl = ""] = yield* service.stdoutMatch(/^ready: (ssh .*)\nkubectl: (.*)\n/m)
  return { cwd, kubectl, line, service }
})

/** Pastes the ready line into a shell, with a command behind it. */
const pasted = (line: string, command: string, cwd: string) =>
  Process.start("/bin/sh", [
    "-c",
    `exec ${
      line.replace(
        /^ssh /,
        "ssh -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes "
      )
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

  it.live("lets in the authorized keys, and no key whose line has options", () =>
    Effect.gen(function*() {
      const cwd = yield* workingFolder
      const fileSystem = yield* FileSystem.FileSystem
      for (const name of ["plain", "restricted"]) {
        const made = yield* Process.start("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", name], { cwd })
        assert.strictEqual(yield* made.exit, 0)
      }
      const publicKey = (name: string) => fileSystem.readFileString(`${cwd}/${name}.pub`)
      yield* fileSystem.writeFileString(
        `${cwd}/keys`,
        `# mine\n${yield* publicKey("plain")}command="echo only this" ${yield* publicKey("restricted")}`,
        { mode: 0o600 }
      )
      const { line, service } = yield* dev(["--authorized-keys", "keys"], cwd)
      assert.match(line, /^ssh -p \d+ demo@127\.0\.0\.1$/)
      yield* service.stderrMatch(/WARN .*keys:3 lets nobody in: .*command/)

      const plain = yield* pasted(line.replace(/^ssh/, "ssh -i plain"), "echo in", cwd)
      assert.strictEqual(yield* plain.exit, 0, yield* plain.stderr)
      assert.strictEqual(yield* plain.stdout, "in\n")
      const restricted = yield* pasted(line.replace(/^ssh/, "ssh -i restricted"), "echo in", cwd)
      assert.strictEqual(yield* restricted.exit, 255)
      assert.include(yield* restricted.stderr, "Permission denied (publickey)")
      yield* service.signal("SIGTERM")
      assert.strictEqual(yield* service.exit, 0)
    }).pipe(Effect.scoped, run))
})
