import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Process } from "@kuberun/testkit"
import { Effect, FileSystem } from "effect"
import { spawnSync } from "node:child_process"

const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) => Effect.provide(effect, NodeServices.layer)

/** Its name is one that a shell would take apart. */
const workingFolder = Effect.gen(function*() {
  return yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "my kuberun-" })
})

/** `kuberun minicluster`, whose temporary files are in the working folder too. */
const minicluster = Effect.fn(function*(cwd: string, words: ReadonlyArray<string> = []) {
  const cluster = yield* Process.kuberun(["minicluster", ...words], { cwd, env: { TMPDIR: cwd } })
  const [line] = yield* cluster.stdoutMatch(/^export KUBECONFIG=.*\n/)
  return { cluster, line }
})

/** Runs a script behind the pasted line, in another folder. */
const pasted = Effect.fn(function*(line: string, script: string) {
  const shell = yield* Process.start("/bin/sh", ["-c", `${line}${script}`], { cwd: yield* workingFolder })
  return { status: yield* shell.exit, stdout: yield* shell.stdout, stderr: yield* shell.stderr }
})

const write = Effect.fn(function*(path: string, text: string) {
  yield* (yield* FileSystem.FileSystem).writeFileString(path, text)
})

describe("kuberun minicluster", () => {
  it.live("leaves a cluster that runs its kubeconfig", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const cwd = yield* workingFolder
      const file = `${cwd}/.kuberun/minicluster.kubeconfig`
      const { cluster } = yield* minicluster(cwd)
      const before = yield* fileSystem.readFileString(file)
      const second = yield* Process.kuberun(["minicluster"], { cwd, env: { TMPDIR: cwd } })
      assert.notStrictEqual(yield* second.exit, 0)
      assert.match(
        yield* second.stderr,
        /is the kubeconfig of a cluster that runs, at https:\S+\. Stop that one, or say another file with --kubeconfig-out\.\n/
      )
      assert.strictEqual(yield* fileSystem.readFileString(file), before)
      const third = yield* minicluster(cwd, ["--kubeconfig-out", "other"])
      for (const { signal } of [cluster, third.cluster]) yield* signal("SIGTERM")
      assert.deepStrictEqual([yield* cluster.exit, yield* third.cluster.exit], [0, 0])
      // One that has ended is no reason.
      const again = yield* minicluster(cwd)
      yield* again.cluster.signal("SIGTERM")
      assert.strictEqual(yield* again.cluster.exit, 0)
    }).pipe(Effect.scoped, run))

  it.live("writes a kubeconfig for its owner only, and ends with status 0, with nothing left, at a signal", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      for (
        const [signal, words, file] of [
          ["SIGTERM", [], ".kuberun/minicluster.kubeconfig"],
          ["SIGINT", ["--kubeconfig-out", "my config"], "my config"]
        ] as const
      ) {
        const cwd = yield* workingFolder
        const { cluster, line } = yield* minicluster(cwd, words)
        assert.strictEqual(line, `export KUBECONFIG='${cwd}/${file}'\n`)
        const { mode } = yield* fileSystem.stat(`${cwd}/${file}`)
        assert.strictEqual(mode & 0o777, 0o600)
        const folders = Effect.map(
          fileSystem.readDirectory(cwd),
          (names) => names.filter((name) => name.startsWith("minicluster-"))
        )
        assert.strictEqual((yield* folders).length, 1)
        yield* cluster.signal(signal)
        assert.strictEqual(yield* cluster.exit.pipe(Effect.timeout("10 seconds")), 0, yield* cluster.stderr)
        assert.match(
          yield* cluster.stderr,
          new RegExp(`${signal}: ending the cluster with its pods[^]*the cluster has ended, and its pods with it\n$`)
        )
        assert.strictEqual(yield* cluster.stdout, line)
        assert.deepStrictEqual(yield* folders, [])
      }
    }).pipe(Effect.scoped, run))

  it.live("refuses a plan of faults that cannot be used, and a folder that is not there", () =>
    Effect.gen(function*() {
      const cwd = yield* workingFolder
      yield* write(`${cwd}/plan`, "rules: [{ share: 2, error: { code: 503 } }]\n")
      yield* write(`${cwd}/list`, "- 1\n")
      for (
        const [words, said] of [
          [["--faults", "plan"], "The plan of faults cannot be used:\n  rules[0].share: 2 is not allowed"],
          [["--faults", "list"], "expected a map with the keys seed, rules, nodeLost and evict"],
          [["--faults", "nowhere"], "there is no such file"],
          [["--host-path", "nowhere"], "nowhere"]
        ] as const
      ) {
        const refused = yield* Process.kuberun(["minicluster", ...words], { cwd, env: { TMPDIR: cwd } })
        assert.strictEqual(yield* refused.exit, 1)
        assert.include(yield* refused.stderr, said)
        assert.notMatch(yield* refused.stderr, /^\s+at /m)
        assert.notInclude(yield* refused.stdout, "export")
      }
    }).pipe(Effect.scoped, run))
})

const withoutKubectl = spawnSync("kubectl", ["version", "--client"]).status !== 0

describe.skipIf(withoutKubectl)("kuberun minicluster behind the pasted line", () => {
  it.live("serves kubectl, with the host's folder and the faults that were asked for", () =>
    Effect.gen(function*() {
      const cwd = yield* workingFolder
      yield* (yield* FileSystem.FileSystem).makeDirectory(`${cwd}/host/data`, { recursive: true })
      yield* write(`${cwd}/host/data/file`, "of the host\n")
      yield* write(
        `${cwd}/plan`,
        "rules: [{ verbs: [list], resources: [secrets], error: { code: 403, message: by plan } }]"
      )
      const { cluster, line } = yield* minicluster(cwd, ["--host-path", "host", "--faults", "plan"])
      const pod = JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "a" },
        spec: {
          restartPolicy: "Never",
          containers: [{
            name: "main",
            image: "busybox",
            command: ["cat", "/mnt/file"],
            volumeMounts: [{ name: "data", mountPath: "/mnt" }]
          }],
          volumes: [{ name: "data", hostPath: { path: "/data" } }]
        }
      })
      const done = yield* pasted(
        line,
        `echo '${pod}' | kubectl create -f - &&
        kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/a --timeout=30s && kubectl logs a`
      )
      assert.deepStrictEqual([done.status, done.stdout.split("\n").at(-2)], [0, "of the host"], done.stderr)
      const refused = yield* pasted(line, "kubectl get secrets")
      assert.strictEqual(refused.status, 1)
      assert.strictEqual(refused.stderr, "Error from server (Forbidden): by plan\n")
      yield* cluster.signal("SIGTERM")
      assert.strictEqual(yield* cluster.exit, 0)
    }).pipe(Effect.scoped, run))
})
