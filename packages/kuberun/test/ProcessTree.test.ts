import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, type Scope } from "effect"
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import type { Leader } from "../src/session/Announcement.ts"
import { endCommand, interruptCommand, schedule, signalCommand } from "../src/session/ProcessTree.ts"

const directory = mkdtempSync(join(tmpdir(), "kuberun-tree-"))
afterAll(() => rmSync(directory, { recursive: true }))

/** The shells of this machine that images have as their /bin/sh. What makes them behave so is their file's name. */
const shells = ["dash", "bash", "busybox"].filter((name) => existsSync(`/bin/${name}`)).map((name) => {
  mkdirSync(join(directory, name))
  const sh = join(directory, name, "sh")
  symlinkSync(`/bin/${name}`, sh)
  return { name, sh }
})

/** The fields of `/proc/PID/stat` from the state on. */
const stat = (pid: number): ReadonlyArray<string> => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /s, "").split(" ")
  } catch {
    return []
  }
}

/** Waits for a condition, for ten seconds at most. */
const until = (what: string, holds: () => boolean) =>
  Effect.repeat(Effect.sync(holds), { schedule: Schedule.spaced("20 millis"), times: 500, until: (held) => held }).pipe(
    Effect.flatMap((held) => held ? Effect.void : Effect.die(new Error(`it never came that ${what}`)))
  )

/** Processes that have these words on their command line. */
const having = (words: string): ReadonlyArray<number> =>
  readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").includes(words) &&
        stat(pid)[0] !== "Z"
    } catch {
      return false
    }
  })

/** A number that no other process has on its command line. */
let marks = 0
const mark = () => `${process.pid}${String(++marks).padStart(3, "0")}`

/** A session leader that runs this script, as container runtimes start one. */
const leader = (script: string): Effect.Effect<Leader, never, Scope.Scope> =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn("/bin/sh", ["-c", script], { detached: true, stdio: "ignore" })),
      (child) =>
        Effect.sync(() => {
          try {
            process.kill(-(child.pid ?? 0), "SIGKILL")
          } catch {
            // All of it has ended.
          }
        })
    )
    const pid = child.pid ?? 0
    return { pid, started: stat(pid)[19] }
  })

/** Runs a helper as an exec does; `lines` is written to its stdin at once. */
const helper = (sh: string, [, ...words]: ReadonlyArray<string>, lines = "") =>
  Effect.callback<number | null>((resume) => {
    const child = spawn(sh, words, { detached: true, stdio: ["pipe", "ignore", "ignore"], env: {} })
    child.stdin.on("error", () => {})
    child.stdin.end(lines)
    child.on("exit", (code) => resume(Effect.succeed(code)))
  })

/** The whole schedule at once: what a pod does whose connection is gone. */
const hurried = schedule.map(([, line]) => `${line}\n`).join("")

for (const { name: shell, sh } of shells) {
  describe(`the processes of a program, by ${shell}`, () => {
    it.live("get a signal as a group, and nobody else does", () =>
      Effect.scoped(Effect.gen(function*() {
        const word = mark()
        const program = yield* leader(`trap : USR1; sleep 1000 ${word} & sleep 1000 ${word}; :`)
        const other = yield* leader(`sleep 1000 ${mark()}; :`)
        yield* until("three sleep", () => having(`sleep 1000 ${word}`).length >= 3)
        assert.strictEqual(yield* helper(sh, signalCommand(program, "TERM")), 0)
        yield* until("they have ended", () => having(`sleep 1000 ${word}`).length === 0)
        assert.isNotEmpty(stat(other.pid))
      })))

    it.live("get it once, also where kill takes -- for a process that there is not, as busybox' does", () =>
      Effect.scoped(Effect.gen(function*() {
        const program = yield* leader(`sleep 1000 ${mark()}; :`)
        const log = join(directory, mark())
        const [file = "", option = "", script = "", ...more] = signalCommand(program, "TERM")
        const kill = `kill() {
[ "$1" = -s ] && shift
name=\${1#-} code=0; shift
for who; do [ "$who" = -- ] && code=1 || { echo "$name $who" >>${log}; command kill "-$name" "$who"; }; done
return $code
}
`
        assert.strictEqual(yield* helper(sh, [file, option, kill + script, ...more]), 0)
        assert.strictEqual(readFileSync(log, "utf8"), `TERM -${program.pid}\n`)
      })))

    it.live("get none meant for another that had the same number, or that has ended", () =>
      Effect.scoped(Effect.gen(function*() {
        const program = yield* leader(`sleep 1000; :`)
        const earlier: Leader = { pid: program.pid, started: "1" }
        assert.strictEqual(yield* helper(sh, signalCommand(earlier, "KILL")), 1)
        assert.strictEqual(yield* helper(sh, interruptCommand(earlier)), 1)
        assert.strictEqual(yield* helper(sh, endCommand(earlier), hurried), 0)
        assert.isNotEmpty(stat(program.pid))
        assert.strictEqual(yield* helper(sh, interruptCommand(program)), 1)
        assert.strictEqual(yield* helper(sh, signalCommand(program, "KILL")), 0)
        yield* until("it has ended", () => stat(program.pid).length === 0)
        assert.strictEqual(yield* helper(sh, signalCommand(program, "KILL")), 1)
      })))

    for (
      const [what, script, count] of [
        ["children and grandchildren", "sleep 1000 WORD & (sleep 1000 WORD & sleep 1000 WORD) & wait", 3],
        ["what ignores HUP and TERM", "trap '' HUP TERM; sleep 1000 WORD & sleep 1000 WORD", 2],
        ["what is stopped", "sleep 1000 WORD & kill -STOP $!; wait", 1],
        ["what has a session of its own and a parent in this one", "setsid sleep 1000 WORD & sleep 1000 WORD", 2],
        ["what its leader left behind", "nohup sleep 1000 WORD > /dev/null 2>&1 & sleep 0.1", 1]
      ] as const
    ) {
      it.live(`are all ended: ${what}`, () =>
        Effect.scoped(Effect.gen(function*() {
          const word = mark()
          const program = yield* leader(script.replaceAll("WORD", word))
          yield* until("they run", () => having(`sleep 1000 ${word}`).length >= count)
          if (what.startsWith("what its leader")) yield* until("it has ended", () => stat(program.pid).length === 0)
          assert.strictEqual(yield* helper(sh, endCommand(program), hurried), 0)
          assert.deepStrictEqual(having(`1000 ${word}`), [])
        })))
    }

    it.live("are ended at once where whoever ends them is cut off", () =>
      Effect.scoped(Effect.gen(function*() {
        const word = mark()
        const program = yield* leader(`trap '' HUP TERM; sleep 1000 ${word}; :`)
        yield* until("it runs", () => having(`sleep 1000 ${word}`).length >= 1)
        assert.strictEqual(yield* helper(sh, endCommand(program), "HUP\n"), 0)
        assert.deepStrictEqual(having(`1000 ${word}`), [])
      })))
  })
}
