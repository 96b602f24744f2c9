import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { signalCommand, waitingCommand } from "../src/modes/WaitingShell.ts"

const program = (command: string) => ({
  command: ["/bin/sh", "-c", command] as const,
  withoutShell: { refusal: "" },
  shell: undefined,
  environment: [],
  terminal: undefined
})

/** A session leader, as a container's first process is; killed with all of its group when its scope closes. */
const leading = ([file = "", ...words]: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(file, words, { detached: true, stdio: "pipe" })),
    ({ pid }) =>
      Effect.sync(() => {
        try {
          process.kill(-(pid ?? 0), "SIGKILL")
        } catch {
          // All of it has ended.
        }
      })
  )

/** What it has written, once that matches. */
const says = (child: ChildProcess, pattern: RegExp) =>
  Effect.callback<RegExpExecArray>((resume) => {
    let text = ""
    child.stdout?.on("data", (bytes: Buffer) => {
      const found = pattern.exec(text += bytes.toString("latin1"))
      if (found !== null) resume(Effect.succeed(found))
    })
  })

const exitCode = (child: ChildProcess) =>
  Effect.callback<number | null>((resume) => {
    const over = () => resume(Effect.succeed(child.exitCode))
    if (child.exitCode !== null || child.signalCode !== null) over()
    else child.on("exit", over)
  })

/** Runs a helper as an exec does: in a session of its own. */
const helper = (command: ReadonlyArray<string>) => Effect.scoped(Effect.flatMap(leading(command), exitCode))

/** A program that has begun and has said so, and the shell above it. */
const begun = Effect.fnUntraced(function*(command: string) {
  const shell = yield* leading(waitingCommand(program(command)))
  const marker = says(shell, /^\u001b\]kuberun;go;(\d+);(\d+)\u0007ready\n/)
  shell.stdin?.write("\n")
  const [, pid, started] = yield* marker
  return { shell, leader: { pid: Number(pid), started } }
})

describe("the shell that waits with a session's program", () => {
  for (const [name, code] of [["TERM", 143], ["HUP", 129], ["USR1", 138], ["KILL", 137]] as const) {
    it.live(`stays for the program's end when ${name} is sent, which nobody else gets`, () =>
      Effect.scoped(Effect.gen(function*() {
        const { leader, shell } = yield* begun("echo ready; sleep 1000; echo not reached")
        const other = yield* begun("echo ready; sleep 1000")
        const exit = exitCode(shell)
        assert.strictEqual(leader.pid, shell.pid)
        assert.strictEqual(yield* helper(signalCommand(leader, name)), 0)
        assert.strictEqual(yield* exit, code)
        assert.isNull(other.shell.exitCode)
        assert.isNull(other.shell.signalCode)
      })))
  }

  it.live("gets the code of a program that handles its signals", () =>
    Effect.scoped(Effect.gen(function*() {
      const { leader, shell } = yield* begun("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
      assert.strictEqual(yield* helper(signalCommand(leader, "TERM")), 0)
      assert.strictEqual(yield* exitCode(shell), 5)
    })))

  it.live("says nothing of its own about a program that was killed", () =>
    Effect.scoped(Effect.gen(function*() {
      const shell = yield* leading(waitingCommand(program("echo mine >&2; kill -KILL $$")))
      const written: Array<Buffer> = []
      const closed = Effect.callback<void>((resume) => {
        shell.stderr.on("data", (bytes: Buffer) => written.push(bytes)).on("close", () => resume(Effect.void))
      })
      shell.stdin.write("\n")
      yield* closed
      assert.strictEqual(Buffer.concat(written).toString(), "mine\n")
      assert.strictEqual(yield* exitCode(shell), 137)
    })))

  it.live("is not taken for another that was given its number", () =>
    Effect.scoped(Effect.gen(function*() {
      const { leader, shell } = yield* begun("echo ready; sleep 1000")
      assert.strictEqual(yield* helper(signalCommand({ ...leader, started: "1" }, "KILL")), 1)
      // A process that leads no session is none of ours: its session is somebody else's.
      const child = yield* Effect.sync(() => spawn("/bin/sleep", ["1000"], { stdio: "ignore" }))
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
      assert.strictEqual(yield* helper(signalCommand({ pid: child.pid ?? 0, started: undefined }, "KILL")), 1)
      assert.isNull(child.signalCode)
      assert.isNull(shell.exitCode)
    })))

  it.live("ends by itself when its streams go before it was let go", () =>
    Effect.scoped(Effect.gen(function*() {
      const shell = yield* leading(waitingCommand(program("echo not reached")))
      const exit = exitCode(shell)
      shell.stdin?.end()
      assert.strictEqual(yield* exit, 0)
    })))
})
