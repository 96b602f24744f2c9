import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Kubernetes from "@kuberun/kubernetes"
import { make } from "@kuberun/minicluster"
import { OpenSsh, Process } from "@kuberun/testkit"
import { Effect, FileSystem, Redacted, Schedule } from "effect"
import { Cluster } from "kuberun"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../..", import.meta.url))

const temporaryFolder = Effect.flatMap(
  FileSystem.FileSystem,
  (fs) => fs.makeTempDirectoryScoped({ prefix: "kuberun-example-" })
)

/** An example as a process, and a login to it. */
const start = Effect.fn(function*(name: string, folder: string, env: Readonly<Record<string, string>>) {
  const example = yield* Process.start(
    `${root}node_modules/.bin/node`,
    ["--conditions=@kuberun/source", `${root}packages/service/examples/${name}.ts`],
    { cwd: folder, env }
  )
  const [, port = ""] = yield* example.stdoutMatch(/ssh -p (\d+)/)
  const login: OpenSsh.Login = { port: Number(port), folder }
  return { example, login }
})

/** The same, with a cluster of its own. */
const startWithCluster = Effect.fn(function*(name: string, env: Readonly<Record<string, string>> = {}) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* temporaryFolder
  const cluster = yield* make()
  const kubeconfig = `${folder}/kubeconfig`
  yield* fs.writeFileString(kubeconfig, cluster.kubeconfig)
  const source = { _tag: "Kubeconfig", text: Redacted.make(cluster.kubeconfig) } as const
  const pods = Cluster.use((port) =>
    port.listPods({ namespace: "default", labels: { "app.kubernetes.io/managed-by": "kuberun" } })
  ).pipe(Effect.provide(Kubernetes.layer(source)))
  return { ...yield* start(name, folder, { KUBECONFIG: kubeconfig, ...env }), pods }
})

/** Asks again until it holds, for twenty seconds at most. */
const eventually = <A, E, R>(ask: Effect.Effect<A, E, R>, holds: (answer: A) => boolean) =>
  Effect.repeat(ask, { schedule: Schedule.spaced("100 millis"), times: 200, until: holds })

describe("the examples", () => {
  it.live("own-authentication: the application's users get pods, and its page says who is there", () =>
    Effect.gen(function*() {
      const { example, login, pods } = yield* startWithCluster("own-authentication")
      const [, url = ""] = yield* example.stdoutMatch(/who is there: (http:\S+)/)
      const page = Effect.promise(async () => (await fetch(url)).text())
      assert.strictEqual(yield* page, "")
      const alice = { ...login, user: "alice", password: "wonderland" }
      const wrong = yield* OpenSsh.run({ ...login, user: "bob", password: "wonderland" }, "true")
      assert.strictEqual(wrong.code, 255)
      const client = yield* OpenSsh.start(alice, "echo team $TEAM; cat", "open")
      yield* client.stdoutMatch(/^team blue$/m)
      assert.strictEqual(yield* page, "alice (blue)")
      assert.deepStrictEqual((yield* pods).map(({ metadata }) => metadata.labels?.["example.com/team"]), ["blue"])
      yield* client.endInput
      assert.strictEqual(yield* client.exit, 0)
      assert.strictEqual(yield* eventually(page, (text) => text === ""), "")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live("custom-policy: guests have commands and no shell, and the log has the commands", () =>
    Effect.gen(function*() {
      const { example, login } = yield* startWithCluster("custom-policy")
      const guest = { ...login, user: "guest-1" }
      const command = yield* OpenSsh.run(guest, "echo $((6 * 7))")
      assert.deepStrictEqual(command, { code: 0, stdout: "42\n", stderr: "" })
      yield* example.stdoutMatch(/guest-1 runs: echo \$\(\(6 \* 7\)\)/)
      const shell = yield* OpenSsh.run(guest, undefined, "echo inside\n")
      assert.deepStrictEqual(shell, {
        code: 255,
        stdout: "",
        stderr: "kuberun: Guests have no shell here: say a command, such as ssh … uptime.\n"
      })
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live("local-processes: a session in a folder of this machine, which goes with the connection", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* temporaryFolder
      const { login } = yield* start("local-processes", folder, { PASSWORD: "open sesame", TMPDIR: folder })
      const me = { ...login, password: "open sesame" }
      const ran = yield* OpenSsh.run(me, "pwd; tr a-z A-Z; echo trouble >&2; exit 3", "hello\n")
      assert.strictEqual(ran.code, 3)
      assert.strictEqual(ran.stderr, "trouble\n")
      const [home = "", ...rest] = ran.stdout.split("\n")
      assert.match(home, /\/kuberun-[a-z0-9]+-\w{6}$/)
      assert.deepStrictEqual(rest, ["HELLO", ""])
      const gone = eventually(fs.exists(home), (exists) => !exists)
      assert.isFalse(yield* gone)
      const shell = yield* OpenSsh.run(me, undefined, "echo from a shell\n")
      assert.strictEqual(shell.stdout, "from a shell\n")
      const screen = yield* OpenSsh.run({ ...me, options: ["-tt"] }, "true")
      assert.strictEqual(
        screen.stderr,
        "kuberun: Your program could not be started: the cluster answered: " +
          "local processes cannot give you a terminal: run ssh with a command.\r\n"
      )
      assert.strictEqual(screen.code, 255)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live("local-processes: programs end with the connection, however it does", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const { login } = yield* start("local-processes", folder, { PASSWORD: "open sesame", TMPDIR: folder })
      const client = yield* OpenSsh.start({ ...login, password: "open sesame" }, "echo $$; sleep 1000")
      const [, pid = ""] = yield* client.stdoutMatch(/^(\d+)$/m)
      const alive = Effect.sync(() => {
        try {
          return process.kill(Number(pid), 0)
        } catch {
          return false
        }
      })
      assert.isTrue(yield* alive)
      yield* client.signal("SIGKILL")
      assert.isFalse(yield* eventually(alive, (lives) => !lives))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live("classroom: whoever logs in gets a pod that waited, and another takes its place", () =>
    Effect.gen(function*() {
      const { login, pods } = yield* startWithCluster("classroom", { SEATS: "2" })
      const names = Effect.map(pods, (all) => all.map(({ metadata }) => metadata.name).toSorted())
      const waiting = yield* eventually(names, (all) => all.length === 4)
      assert.lengthOf(waiting, 4)
      const ready = yield* eventually(pods, (all) => all.every(({ status }) => status?.phase === "Running"))
      assert.lengthOf(ready, 4)
      for (const user of ["pupil-1", "teacher-1"]) {
        const { stderr, stdout } = yield* OpenSsh.run({ ...login, user }, "hostname")
        assert.strictEqual(stderr, "")
        assert.include(waiting, stdout.trim())
      }
      assert.lengthOf(yield* eventually(names, (all) => all.length === 4), 4)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
