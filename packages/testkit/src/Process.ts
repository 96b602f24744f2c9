/**
 * Real processes for tests: started in a scope, read as they write, gone with the scope.
 */
import { Deferred, Effect, type Scope, Stream, SubscriptionRef } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

export interface RunningProcess {
  readonly pid: number
  /** What it has written so far. */
  readonly stdout: Effect.Effect<string>
  readonly stderr: Effect.Effect<string>
  /** Waits until what it has written matches. Dies, with all that was written, when it ends before. */
  readonly stdoutMatch: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
  readonly stderrMatch: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
  /** Types into its stdin, which has to be `open`. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Ends its stdin. */
  readonly endInput: Effect.Effect<void>
  readonly signal: (name: NodeJS.Signals) => Effect.Effect<void>
  /**
   * Its exit status, or the signal that ended it, after all of its output was read. Negative where it could not be started:
   * `stderr` says why.
   */
  readonly exit: Effect.Effect<number | NodeJS.Signals | null>
}

interface Written {
  readonly text: string
  readonly ended: boolean
}

export interface StartOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Left out: it has no stdin. */
  readonly stdin?: "open"
}

export const start = (
  file: string,
  words: ReadonlyArray<string>,
  { cwd, env, stdin }: StartOptions
): Effect.Effect<RunningProcess, never, Scope.Scope> =>
  Effect.gen(function*() {
    const exited = yield* Deferred.make<number | NodeJS.Signals | null>()
    const out = yield* SubscriptionRef.make<Written>({ text: "", ended: false })
    const err = yield* SubscriptionRef.make<Written>({ text: "", ended: false })
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(file, [...words], {
          cwd,
          // Nothing of the test runner's own npm script: the command looks at it.
          env: { PATH: process.env["PATH"], HOME: cwd, ...env },
          stdio: [stdin === "open" ? "pipe" : "ignore", "pipe", "pipe"]
        })
        // It may be gone when something is typed.
        child.stdin?.on("error", () => {})
        const note = (written: SubscriptionRef.SubscriptionRef<Written>, text: string) =>
          Effect.runSync(SubscriptionRef.update(written, (before) => ({ ...before, text: before.text + text })))
        for (const [readable, written] of [[child.stdout, out], [child.stderr, err]] as const) {
          readable?.setEncoding("utf8")
          readable?.on("data", (text: string) => note(written, text))
        }
        // There is no such program. "close" follows.
        child.on("error", ({ message }) => note(err, `${message}\n`))
        child.on("close", (code, signal) => {
          for (const written of [out, err]) {
            Effect.runSync(SubscriptionRef.update(written, (before) => ({ ...before, ended: true })))
          }
          Effect.runSync(Deferred.succeed(exited, code ?? signal))
        })
        return child
      }),
      (child) =>
        Effect.suspend(() => {
          if (child.exitCode !== null || child.signalCode !== null) return Effect.void
          child.kill("SIGKILL")
          // A child of its own may hold its pipes open for longer than it lives.
          return Effect.timeoutOption(Deferred.await(exited), "5 seconds")
        })
    )
    const match = (written: SubscriptionRef.SubscriptionRef<Written>) => (pattern: RegExp) =>
      SubscriptionRef.changes(written).pipe(
        Stream.map(({ ended, text }) => ({ found: pattern.exec(text), ended })),
        Stream.filter(({ ended, found }) => found !== null || ended),
        Stream.runHead,
        Effect.andThen(SubscriptionRef.get(written)),
        Effect.map(({ text }) => pattern.exec(text)),
        Effect.flatMap((found) =>
          found === null
            ? Effect.flatMap(all, (text) => Effect.die(new Error(`it ended without ${pattern}:\n${text}`)))
            : Effect.succeed(found)
        )
      )
    const textOf = (written: SubscriptionRef.SubscriptionRef<Written>) =>
      Effect.map(SubscriptionRef.get(written), ({ text }) => text)
    const all = Effect.zipWith(textOf(out), textOf(err), (one, other) => one + other)
    return {
      pid: child.pid ?? 0,
      stdout: textOf(out),
      stderr: textOf(err),
      stdoutMatch: match(out),
      stderrMatch: match(err),
      write: (text: string) => Effect.sync(() => child.stdin?.write(text)),
      endInput: Effect.sync(() => child.stdin?.end()),
      signal: (name: NodeJS.Signals) => Effect.sync(() => child.kill(name)),
      exit: Deferred.await(exited)
    }
  })

const root = fileURLToPath(new URL("../../..", import.meta.url))

/** The command, from source, on the project's own Node. */
export const kuberun = (words: ReadonlyArray<string>, options: StartOptions) =>
  start(
    `${root}node_modules/.bin/node`,
    ["--conditions=@kuberun/source", `${root}packages/service/src/bin.ts`, ...words],
    options
  )
