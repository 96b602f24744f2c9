import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Process } from "@kuberun/testkit"
import { Effect, FileSystem } from "effect"
import { kubeconfigFor, silentServer } from "./SilentServer.ts"

const stackTrace = /^\s+at /m

/** A working folder of the test's own. */
const folder = Effect.gen(function*() {
  return yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "kuberun-" })
})

const write = Effect.fn(function*(path: string, text: string, mode = 0o600) {
  yield* (yield* FileSystem.FileSystem).writeFileString(path, text, { mode })
})

const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) => Effect.provide(effect, NodeServices.layer)

/** Runs to the end. */
const ended = Effect.fn(
  function*(words: ReadonlyArray<string>, cwd: string, env: Readonly<Record<string, string>> = {}) {
    const command = yield* Process.kuberun(words, { cwd, env })
    const status = yield* command.exit
    return { status, stdout: yield* command.stdout, stderr: yield* command.stderr }
  }
)

/** `kuberun dev` before a cluster that never answers, on a free port. */
const devWithSilentCluster = Effect.fn(function*(words: ReadonlyArray<string> = []) {
  const cwd = yield* folder
  const { port } = yield* silentServer
  yield* write(`${cwd}/config`, kubeconfigFor(port))
  const service = yield* Process.kuberun(["dev", "--listen", "127.0.0.1:0", "--kubeconfig", "config", ...words], {
    cwd
  })
  const [, line = ""] = yield* service.stdoutMatch(/^ready: (ssh .*)\n(?:kubectl: .*)\n/m)
  return { cwd, service, line }
})

/** Pastes the ready line into a shell. */
const pasted = (line: string, cwd: string) =>
  Process.start("/bin/sh", [
    "-c",
    `exec ${
      line.replace(/^ssh /, "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes ")
    } true`
  ], { cwd })

describe("the command line", () => {
  it.live("helps, and tells its version", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      const help = yield* ended(["dev", "--help"], cwd)
      assert.strictEqual(help.status, 0)
      for (
        const flag of [
          "--listen HOST:PORT",
          "--authorized-keys FILE",
          "--password TEXT",
          "--host-key FILE",
          "--kubeconfig-out FILE",
          "--kubeconfig FILE",
          "--context NAME",
          "--config FILE",
          "--log-format",
          "--log-level"
        ]
      ) assert.include(help.stdout, flag)
      assert.match((yield* ended(["--version"], cwd)).stdout, /\d+\.\d+\.\d+/)
    }).pipe(Effect.scoped, run))

  it.live("refuses an unknown flag, a bad address and an empty password", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      for (
        const [words, said] of [
          [["dev", "--port", "1"], "--port"],
          [["dev", "--listen", "localhost"], "HOST:PORT"],
          [["dev", "--password", ""], "must not be empty"],
          [["serve"], "--config"]
        ] as const
      ) {
        const { status, stderr } = yield* ended(words, cwd)
        assert.strictEqual(status, 1, words.join(" "))
        assert.include(stderr, said)
        assert.notMatch(stderr, stackTrace)
      }
    }).pipe(Effect.scoped, run))

  it.live("tells all that is wrong with a configuration, and no secret", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      yield* write(`${cwd}/kuberun.yaml`, "connection: {password: [hunter2]}\npod: {namespace: A B}\ntimeuot: 1s\n")
      const { status, stderr, stdout } = yield* ended(["dev", "--config", "kuberun.yaml"], cwd)
      assert.strictEqual(status, 1)
      assert.strictEqual(stdout, "")
      for (const said of ["kuberun.yaml", "connection.password", "pod.namespace", "timeuot"]) {
        assert.include(stderr, said)
      }
      assert.notInclude(stderr, "hunter2")
      assert.notMatch(stderr, stackTrace)
    }).pipe(Effect.scoped, run))

  it.live("names line and column where the configuration is not YAML", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      yield* write(`${cwd}/kuberun.yaml`, "pod:\n  namespace: [default\ntimeout: 1s\n")
      const { status, stderr } = yield* ended(["dev", "--config", "kuberun.yaml"], cwd)
      assert.strictEqual(status, 1)
      assert.match(stderr, /kuberun\.yaml:3:\d+: /)
      assert.notMatch(stderr, stackTrace)
    }).pipe(Effect.scoped, run))

  it.live("refuses a host key that others can read, and authorized keys that others can write", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      yield* write(`${cwd}/key`, "x", 0o644)
      yield* (yield* FileSystem.FileSystem).chmod(`${cwd}/key`, 0o664)
      yield* write(`${cwd}/ok.yaml`, "{}")
      const hostKey = yield* ended(["serve", "--config", "ok.yaml", "--password", "x", "--host-key", "key"], cwd)
      assert.strictEqual(hostKey.status, 1)
      assert.include(hostKey.stderr, `chmod 600 ${cwd}/key`)
      const keys = yield* ended(["serve", "--config", "ok.yaml", "--authorized-keys", "key"], cwd)
      assert.strictEqual(keys.status, 1)
      assert.include(keys.stderr, `chmod go-w ${cwd}/key`)
    }).pipe(Effect.scoped, run))

  it.live("does not serve when nobody could log in", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      yield* write(`${cwd}/ok.yaml`, "{}")
      const { status, stderr } = yield* ended(["serve", "--config", "ok.yaml"], cwd)
      assert.strictEqual(status, 1)
      assert.include(stderr, "--authorized-keys FILE")
    }).pipe(Effect.scoped, run))
})

describe("the running command", () => {
  it.live("prints the two lines and nothing else to stdout, and ends with status 0 on SIGTERM, SIGINT and SIGHUP", () =>
    Effect.gen(function*() {
      for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
        const { service } = yield* devWithSilentCluster()
        yield* service.signal(name)
        assert.strictEqual(yield* service.exit, 0, name)
        assert.match(
          yield* service.stdout,
          /^ready: ssh -i \.kuberun\/client_key -p \d+ demo@127\.0\.0\.1\nkubectl: KUBECONFIG=config kubectl get pods -w\n$/
        )
        assert.include(yield* service.stderr, "native cipher addon")
      }
    }).pipe(Effect.scoped, run))

  it.live("names the flag for a free port when the port is taken", () =>
    Effect.gen(function*() {
      const { cwd, service } = yield* devWithSilentCluster()
      const [, port = ""] = yield* service.stdoutMatch(/-p (\d+) /)
      const { status, stderr, stdout } = yield* ended(
        ["dev", "--listen", `127.0.0.1:${port}`, "--kubeconfig", "config"],
        cwd
      )
      assert.strictEqual(status, 1)
      assert.strictEqual(stdout, "")
      assert.include(stderr, `127.0.0.1:${port}`)
      assert.include(stderr, "--listen 127.0.0.1:0")
      assert.notMatch(stderr, stackTrace)
    }).pipe(Effect.scoped, run))

  it.live("listens on IPv6, and logs as JSON, each line an entry", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      yield* write(`${cwd}/config`, kubeconfigFor(1))
      const service = yield* Process.kuberun(
        ["dev", "--listen", "[::1]:0", "--kubeconfig", "config", "--log-format", "json"],
        { cwd }
      )
      yield* service.stdoutMatch(/^ready: ssh -i \.kuberun\/client_key -p [1-9]\d* demo@::1$/m)
      yield* service.signal("SIGTERM")
      assert.strictEqual(yield* service.exit, 0)
      for (const line of (yield* service.stderr).trim().split("\n")) {
        assert.isString(JSON.parse(line).message, line)
      }
    }).pipe(Effect.scoped, run))

  it.live("a second signal ends it at once with a sentence about what is left and how to delete it", () =>
    Effect.gen(function*() {
      const { cwd, line, service } = yield* devWithSilentCluster()
      const client = yield* pasted(line, cwd)
      yield* service.stderrMatch(/logged in from 127\.0\.0\.1.* connectionId=[0-9a-f]{32}/)
      yield* service.signal("SIGTERM")
      yield* service.stderrMatch(/SIGTERM: no new connections/)
      yield* service.signal("SIGINT")
      assert.strictEqual(yield* service.exit, 1)
      const said = (yield* service.stderr).trimEnd().split("\n").at(-1) ?? ""
      const [, pod] =
        /^kuberun: SIGINT again, ended at once: 1 connection and 1 pod were left \(default\/(.*)\)\./.exec(said) ?? []
      assert.isDefined(pod, said)
      // By its name: pods of other replicas, which live, carry the same labels.
      assert.include(said, `KUBECONFIG=config kubectl delete pods ${pod}`)
      yield* client.exit
    }).pipe(Effect.scoped, run))

  it.live("an end that the cluster does not let happen is given up within ten seconds, and says so", () =>
    Effect.gen(function*() {
      const { cwd, line, service } = yield* devWithSilentCluster()
      const client = yield* pasted(line, cwd)
      yield* service.stderrMatch(/logged in from 127\.0\.0\.1.* connectionId=[0-9a-f]{32}/)
      yield* service.signal("SIGTERM")
      const status = yield* service.exit.pipe(Effect.timeout("10 seconds"))
      assert.strictEqual(status, 1)
      assert.match(yield* service.stderr, /kuberun: not everything ended in time: \d connections? and 1 pod were left/)
      yield* client.exit
    }).pipe(Effect.scoped, run))

  it.live("shows the password nowhere, and lets no key in beside it", () =>
    Effect.gen(function*() {
      const { cwd, line, service } = yield* devWithSilentCluster(["--password", "hunter2", "--log-level", "all"])
      assert.match(line, /^ssh -p \d+ demo@127\.0\.0\.1$/)
      const client = yield* pasted(line, cwd)
      assert.strictEqual(yield* client.exit, 255)
      assert.include(yield* client.stderr, "Permission denied (password)")
      yield* service.signal("SIGTERM")
      assert.strictEqual(yield* service.exit, 0)
      assert.notInclude((yield* service.stdout) + (yield* service.stderr), "hunter2")
    }).pipe(Effect.scoped, run))

  it.live("takes the password from the environment, where other users do not see it", () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      yield* write(`${cwd}/config`, kubeconfigFor(1))
      const service = yield* Process.kuberun(["dev", "--listen", "127.0.0.1:0", "--kubeconfig", "config"], {
        cwd,
        env: { KUBERUN_PASSWORD: "hunter2" }
      })
      yield* service.stdoutMatch(/^ready: ssh -p \d+ demo@127\.0\.0\.1$/m)
      yield* service.signal("SIGTERM")
      assert.strictEqual(yield* service.exit, 0)
    }).pipe(Effect.scoped, run))

  it.live("warns when the user's known_hosts has another key for the address", () =>
    Effect.gen(function*() {
      const { cwd, service } = yield* devWithSilentCluster()
      const [, port = ""] = yield* service.stdoutMatch(/-p (\d+) /)
      yield* service.signal("SIGTERM")
      yield* service.exit
      yield* (yield* FileSystem.FileSystem).makeDirectory(`${cwd}/.ssh`)
      yield* write(`${cwd}/.ssh/known_hosts`, `[127.0.0.1]:${port} ssh-ed25519 AAAAother\n`)
      const again = yield* Process.kuberun(["dev", "--listen", `127.0.0.1:${port}`, "--kubeconfig", "config"], { cwd })
      yield* again.stderrMatch(/ssh-keygen -R '\[127\.0\.0\.1\]:\d+'/)
      yield* again.signal("SIGTERM")
      assert.strictEqual(yield* again.exit, 0)
    }).pipe(Effect.scoped, run))
})
