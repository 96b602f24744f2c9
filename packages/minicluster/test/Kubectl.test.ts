/** The judge: kubectl, unchanged, where the machine has it. */
import { assert, describe, it } from "@effect/vitest"
import { make, type Minicluster } from "@kuberun/minicluster"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openPty } from "../src/Pty.ts"
import { spawnClean } from "../src/Spawn.ts"
import { podBody } from "./support/Client.ts"

const missing = spawnSync("kubectl", ["version", "--client"]).status !== 0

const kubectlFor = (cluster: Minicluster) =>
  Effect.gen(function*() {
    const home = mkdtempSync(join(tmpdir(), "minicluster-kubectl-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(home, { recursive: true, force: true })))
    writeFileSync(join(home, "config"), cluster.kubeconfig)
    const env = { PATH: process.env["PATH"] ?? "", HOME: home, KUBECONFIG: join(home, "config") }
    const run = (args: string, input = "", more: ReadonlyArray<string> = []) =>
      Effect.callback<{ readonly code: number; readonly out: string; readonly err: string }>((resume) => {
        const child = spawn("kubectl", [...args.split(" "), ...more], { env, stdio: "pipe" })
        const text = { out: "", err: "" }
        child.stdout.on("data", (piece) => (text.out += String(piece)))
        child.stderr.on("data", (piece) => (text.err += String(piece)))
        child.once("close", (code) => resume(Effect.succeed({ code: code ?? -1, ...text })))
        child.stdin.on("error", () => {})
        child.stdin.end(input)
        return Effect.sync(() => child.kill())
      })
    /** kubectl in a terminal of 100 columns and 30 rows; `input` is typed once `prompt` has been printed. */
    const inTerminal = Effect.fnUntraced(function*(args: string, prompt: RegExp, input: string) {
      const terminal = yield* openPty({ width: 100, height: 30 })
      const script = `exec 0<>"$0" 1>&0 2>&0; exec kubectl "$@"`
      const command = { file: "/bin/sh", args: ["-c", script, terminal.path, ...args.split(" ")] }
      const child = spawnClean(command, ["ignore", "ignore", "ignore"], env)
      const exited = new Promise<number | null>((resolve) => child.once("exit", resolve))
      const ended = Effect.andThen(Effect.promise(() => exited), terminal.programEnded)
      yield* Effect.forkScoped(ended, { startImmediately: true })
      let text = ""
      let typed = false
      for (let piece = yield* terminal.source.read; piece !== undefined; piece = yield* terminal.source.read) {
        text += Buffer.from(piece).toString()
        if (!typed && prompt.test(text)) {
          typed = true
          yield* terminal.sink.write(Buffer.from(input))
        }
      }
      return { text, code: yield* Effect.promise(() => exited) }
    })
    return Object.assign(run, { inTerminal })
  })

describe.skipIf(missing)("kubectl, where it is in PATH,", () => {
  it.live("creates, waits for, shows, enters, describes and deletes a pod", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const kubectl = yield* kubectlFor(cluster)
      const says = Effect.fnUntraced(function*(args: string, pattern: RegExp, input = "") {
        const { code, err, out } = yield* kubectl(args, input)
        assert.strictEqual(code, 0, `kubectl ${args}: ${err}`)
        assert.match(out, pattern, `kubectl ${args}`)
      })
      yield* says("create -f - --validate=false", /^pod\/a created\n$/, JSON.stringify(podBody("a")))
      yield* says("apply -f - --validate=false", /^pod\/b created\n$/, JSON.stringify(podBody("b")))
      yield* says("run c --image=busybox", /^pod\/c created\n$/)
      yield* says("wait --for=condition=Ready pod/a pod/b pod/c --timeout=30s", /pod\/a condition met\n/)
      yield* says("get pods", /^NAME +READY +STATUS +RESTARTS +AGE\na +1\/1 +Running +0 +\d+s\n/)
      yield* says("get pods -o wide", /IP +NODE/)
      yield* says("get pod a -o jsonpath={.status.phase}", /^Running$/)
      yield* says("get pods -A -l none=none -o name", /^$/)
      yield* says("exec a -- echo hello", /^hello\n$/)
      yield* says("exec -i a -- cat", /^through\n$/, "through\n")
      yield* says("label pod a x=y", /^pod\/a labeled\n$/)
      yield* says("get pods -l x=y -o name", /^pod\/a\n$/)
      yield* says("describe pod a", /Events:[^]*Scheduled[^]*Started/)
      yield* says("get events", /Normal +Scheduled +pod\/a +Successfully assigned default\/a to minicluster/)
      yield* says("get namespaces", /default +Active/)
      yield* says("logs a", /^$/)
      yield* says("delete pod a b c --grace-period=1", /pod "a" deleted/)
      yield* says("get pods -o name", /^$/)
    }), 60_000)

  it.live("exec -it gives a terminal of the user's size, and Ctrl-C reaches the program", () =>
    Effect.gen(function*() {
      const kubectl = yield* kubectlFor(yield* make())
      yield* kubectl("run a --image=busybox")
      yield* kubectl("wait --for=condition=Ready pod/a --timeout=30s")
      const { code, text } = yield* kubectl.inTerminal("exec -it a -- sh -i", /[#$] /, "stty size; tty\rexit 5\r")
      assert.match(text, /30 100\r\n\/dev\/pts\/\d+\r\n/)
      assert.strictEqual(code, 5)
      const broken = yield* kubectl.inTerminal("exec -it a -- cat /etc/hostname -", /\n/, "\u0003")
      assert.strictEqual(broken.code, 130)
    }), 60_000)

  it.live("prints refusals and exit codes well", () =>
    Effect.gen(function*() {
      const kubectl = yield* kubectlFor(yield* make())
      const fails = Effect.fnUntraced(function*(args: string, wanted: number, words: string, input = "") {
        const { code, err } = yield* kubectl(args, input)
        assert.strictEqual(code, wanted, args)
        assert.include(err, words)
      })
      yield* kubectl("run a --image=busybox")
      yield* kubectl("wait --for=condition=Ready pod/a --timeout=30s")
      const seven = yield* kubectl("exec a -- sh -c", "", ["exit 7"])
      assert.deepStrictEqual([seven.code, seven.err], [7, "command terminated with exit code 7\n"])
      yield* fails("exec a -- false", 1, "command terminated with exit code 1")
      yield* fails("exec a -- nosuch", 1, `exec: "nosuch": executable file not found in $PATH`)
      yield* fails("exec none -- true", 1, `pods "none" not found`)
      yield* fails(
        "run no --image=kuberun.test/quota",
        1,
        "Error from server (Forbidden): pods \"no\" is forbidden: exceeded quota"
      )
      yield* fails("run A --image=busybox", 1, "The Pod \"A\" is invalid: \n* metadata.name: Invalid value: \"A\"")
      yield* fails("run a --image=busybox", 1, "Error from server (AlreadyExists): pods \"a\" already exists")
    }), 60_000)

  it.live("get -w shows a pod from its start to its end", () =>
    Effect.gen(function*() {
      const kubectl = yield* kubectlFor(yield* make())
      yield* kubectl("run a --image=busybox")
      const watching = kubectl("get pods -w --request-timeout=3s")
      const [shown] = yield* Effect.all([
        watching,
        Effect.andThen(kubectl("wait --for=condition=Ready pod/a"), kubectl("delete pod a"))
      ], { concurrency: "unbounded" })
      assert.match(shown.out, /a +1\/1 +Running[^]*a +1\/1 +Terminating/)
    }), 60_000)
})
