import { assert, describe, it } from "@effect/vitest"
import { make, type Minicluster } from "@kuberun/minicluster"
import { Effect, Exit, Scope } from "effect"
import { spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { makeWith } from "../src/Minicluster.ts"
import {
  at,
  call,
  eventually,
  exec,
  listAt,
  outputOf,
  podBody,
  pods,
  runningPod,
  textAt,
  until
} from "./support/Client.ts"
import { processesWith } from "./support/Machine.ts"

/** A length of sleep that no other process on the machine has: it is the mark to find a process by. */
const markedSleep = () => `sleep ${randomInt(1e8, 1e9)}`

/** Daemons of the worst kind: their own session, a parent that is gone, no signals, no open file of the pod. */
const daemon = (sleep: string) =>
  `setsid sh -c "trap '' HUP TERM INT; ${sleep} & ${sleep} & wait" </dev/null >/dev/null 2>&1 &`

const victim = (mode: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly cluster: Minicluster; readonly kill: () => void }>((resume) => {
      const child = spawn(process.execPath, [
        "--conditions=@kuberun/source",
        fileURLToPath(new URL("support/Victim.ts", import.meta.url)),
        mode
      ], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      let text = ""
      child.stdout.on("data", (piece) => {
        text += String(piece)
        if (text.endsWith("\n")) {
          resume(Effect.succeed({ cluster: JSON.parse(text) as Minicluster, kill: () => child.kill("SIGKILL") }))
        }
      })
    }),
    ({ kill }) => Effect.sync(kill)
  )

for (const [mode, limits] of [["namespaces", {}], ["shared", { withoutNamespaces: true }]] as const) {
  describe(`a node with ${mode}`, () => {
    it.live("nothing of a pod survives its deletion: not its execs, not daemons that left their session", () =>
      Effect.gen(function*() {
        const cluster = yield* makeWith({}, limits)
        const sleep = markedSleep()
        yield* runningPod(
          cluster,
          podBody("daemons", `${daemon(sleep)} trap 'exit 0' TERM; while :; do sleep 0.1; done`)
        )
        yield* outputOf(cluster, "daemons", daemon(sleep))
        const open = yield* exec(cluster, "daemons", sleep.split(" "))
        yield* eventually(() => processesWith(sleep).length >= 5)
        yield* call(cluster, "DELETE", `${pods}/daemons`)
        yield* until(cluster, `${pods}/daemons`, ({ code }) => code === 404)
        assert.deepStrictEqual(processesWith(sleep), [])
        yield* open.end
      }))

    it.live("nothing survives the cluster's scope, nor the cluster's folder", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const cluster = yield* makeWith({}, limits).pipe(Scope.provide(scope))
        const sleep = markedSleep()
        yield* call(cluster, "POST", pods, { body: podBody("left", `${daemon(sleep)} trap '' TERM; pwd; ${sleep}`) })
        yield* eventually(() => processesWith(sleep).length >= 3)
        const log = yield* until(cluster, `${pods}/left/log`, ({ code, text }) => code === 200 && text !== "")
        const folder = log.text.trim()
        assert.isTrue(existsSync(folder))
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(processesWith(sleep), [])
        assert.isFalse(existsSync(folder))
      }))

    it.live("nothing survives kill -9 of the cluster's process", () =>
      Effect.gen(function*() {
        const { cluster, kill } = yield* victim(mode)
        const sleep = markedSleep()
        yield* call(cluster, "POST", pods, { body: podBody("orphan", `${daemon(sleep)} trap '' TERM HUP; ${sleep}`) })
        yield* until(cluster, `${pods}/orphan`, ({ body }) => textAt(body, "status", "phase") === "Running")
        yield* exec(cluster, "orphan", ["sh", "-c", `trap '' HUP; ${sleep}; true`], "stdin=true&stdout=true&tty=true")
        yield* eventually(() => processesWith(sleep).length >= 5)
        kill()
        yield* eventually(() => processesWith(sleep).length === 0)
      }))

    it.live("a pod has its own folder, home, name and environment", () =>
      Effect.gen(function*() {
        const cluster = yield* makeWith({}, limits)
        const env = [{ name: "OWN", value: "a b" }, { name: "EMPTY" }]
        yield* runningPod(cluster, {
          metadata: { name: "own" },
          spec: { containers: [{ name: "main", image: "busybox", env }] }
        })
        yield* runningPod(cluster, podBody("other"))
        const home = (name: string) => outputOf(cluster, name, "pwd; echo $HOME")
        const [own, other] = [yield* home("own"), yield* home("other")]
        assert.strictEqual(own.split("\n")[0], own.split("\n")[1])
        assert.notStrictEqual(own, other)
        assert.strictEqual(
          yield* outputOf(
            cluster,
            "own",
            "echo $HOSTNAME/$OWN/${EMPTY-unset}/$KUBERNETES_SERVICE_HOST; echo x > f; ls"
          ),
          "own/a b//127.0.0.1\nf\n"
        )
        assert.strictEqual(yield* outputOf(cluster, "other", "ls"), "")
        const unix = yield* outputOf(cluster, "own", "uname -n")
        if (mode === "namespaces" && cluster.isolation.length === 0) assert.strictEqual(unix, "own\n")
        else assert.isAbove(cluster.isolation.length, 0)
      }))

    it.live("a pod that obeys SIGTERM goes at once, one that does not after its grace", () =>
      Effect.gen(function*() {
        const cluster = yield* makeWith({}, limits)
        yield* runningPod(
          cluster,
          podBody("obeys", "trap 'echo bye; exit 0' TERM; echo set; while :; do sleep 0.05; done")
        )
        // A process 1 that has no trap yet does not hear the signal.
        yield* until(cluster, `${pods}/obeys/log`, (answer) => JSON.stringify(answer).includes("set"))
        yield* call(cluster, "DELETE", `${pods}/obeys?gracePeriodSeconds=100`)
        yield* until(cluster, `${pods}/obeys`, ({ code }) => code === 404)
        yield* runningPod(cluster, podBody("ignores", "trap '' TERM; while :; do sleep 0.05; done"))
        yield* call(cluster, "DELETE", `${pods}/ignores?gracePeriodSeconds=1`)
        yield* until(cluster, `${pods}/ignores`, ({ code }) => code === 404)
      }))
  })
}

it.live("in namespaces the command is process 1, and its pod's processes see no others", () =>
  Effect.gen(function*() {
    const cluster = yield* make()
    if (cluster.isolation.length > 0) return
    yield* runningPod(
      cluster,
      podBody("pid", "trap 'exit 0' TERM; while :; do read x; done", {
        containers: [{ name: "main", image: "busybox", command: ["sleep", "1000"] }]
      })
    )
    assert.strictEqual(
      yield* outputOf(cluster, "pid", "tr '\\0' ' ' < /proc/1/cmdline; ls -d /proc/[0-9]* | wc -l"),
      "sleep 1000 4\n"
    )
  }))

it.live("each container of a pod has its processes; the pod is ready when all are", () =>
  Effect.gen(function*() {
    const cluster = yield* make()
    const containers = ["a", "b"].map((name) => ({
      name,
      image: "busybox",
      command: ["sh", "-c", `echo ${name}; exec sleep 1000`]
    }))
    const pod = yield* runningPod(cluster, podBody("two", "", { containers }))
    assert.strictEqual(listAt(pod.body, "status", "containerStatuses").length, 2)
    for (const name of ["a", "b"]) {
      yield* until(cluster, `${pods}/two/log?container=${name}`, ({ text }) => text === `${name}\n`)
      const session = yield* exec(cluster, "two", ["sh", "-c", "echo $HOSTNAME"], `stdout=true&container=${name}`)
      yield* session.end
      assert.strictEqual(session.output(1), "two\n")
    }
  }))

it.live("a container with stdin and a terminal of its own stays up with both open", () =>
  Effect.gen(function*() {
    const cluster = yield* make()
    const containers = [{
      name: "main",
      image: "busybox",
      command: ["sh", "-c", "tty; read line; echo never"],
      stdin: true,
      tty: true
    }]
    yield* runningPod(cluster, podBody("interactive", "", { containers }))
    const log = yield* until(cluster, `${pods}/interactive/log`, ({ text }) => text !== "")
    assert.match(log.text, /^\/dev\/pts\/\d+\r\n$/)
  }))

it.live("no terminal is inherited by a process that is started while it is open", () =>
  Effect.gen(function*() {
    const cluster = yield* make()
    yield* runningPod(cluster, podBody("inherits"))
    const terminal = yield* exec(
      cluster,
      "inherits",
      ["sh", "-c", "echo up; read x"],
      "stdin=true&stdout=true&tty=true"
    )
    yield* eventually(() => terminal.output(1).includes("up"))
    const open = yield* outputOf(cluster, "inherits", "ls -l /proc/self/fd")
    assert.notMatch(open, /pts|ptmx/)
  }))

it.live("an exit is followed by a restart or by the end of the pod, as the restart policy says", () =>
  Effect.gen(function*() {
    const cluster = yield* make()
    const phase = (name: string, wanted: string) =>
      until(cluster, `${pods}/${name}`, ({ body }) => textAt(body, "status", "phase") === wanted)
    for (
      const [name, script, restartPolicy, ends] of [
        ["never-0", "exit 0", "Never", "Succeeded"],
        ["never-3", "exit 3", "Never", "Failed"],
        ["failure-0", "exit 0", "OnFailure", "Succeeded"]
      ] as const
    ) {
      yield* call(cluster, "POST", pods, { body: podBody(name, script, { restartPolicy }) })
      const { body } = yield* phase(name, ends)
      const terminated = at(body, "status", "containerStatuses", 0, "state", "terminated")
      assert.deepStrictEqual(
        [textAt(terminated, "exitCode"), textAt(terminated, "reason")],
        name === "never-3" ? ["3", "Error"] : ["0", "Completed"]
      )
    }
    yield* call(cluster, "POST", pods, {
      body: podBody("again", "[ -e there ] && exec sleep 1000; touch there; exit 1")
    })
    const again = yield* until(
      cluster,
      `${pods}/again`,
      ({ body }) =>
        textAt(body, "status", "containerStatuses", 0, "restartCount") === "1" &&
        at(body, "status", "containerStatuses", 0, "state", "running") !== undefined
    )
    assert.strictEqual(textAt(again.body, "status", "containerStatuses", 0, "lastState", "terminated", "exitCode"), "1")
  }))

it.live("a command that is not there is a StartError in runc's words", () =>
  Effect.gen(function*() {
    const cluster = yield* make()
    const containers = [{ name: "main", image: "busybox", command: ["nosuch"] }]
    yield* call(cluster, "POST", pods, { body: podBody("nosuch", "", { containers, restartPolicy: "Never" }) })
    const { body } = yield* until(cluster, `${pods}/nosuch`, ({ body }) => textAt(body, "status", "phase") === "Failed")
    const terminated = at(body, "status", "containerStatuses", 0, "state", "terminated")
    assert.deepStrictEqual([textAt(terminated, "reason"), textAt(terminated, "exitCode")], ["StartError", "128"])
    assert.include(textAt(terminated, "message"), `exec: "nosuch": executable file not found in $PATH`)
  }))
