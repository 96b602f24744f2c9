/**
 * Real processes: started in a scope, read as they write, gone with the scope.
 */
import { Deferred, Effect, type Scope, Stream, SubscriptionRef } from "effect"
import { spawn } from "node:child_process"

/** What the process reads: these bytes and then its end, a pipe that stays open, or nothing (`/dev/null`). */
export type Stdin = Uint8Array | "open" | null

export interface ProcessOptions {
  readonly cwd?: string
  /** The whole environment, besides PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>
  /** Left out: nothing. */
  readonly stdin?: Stdin
}

/** How a process ended, after all of its output was read. */
export interface Ended {
  /** The exit status, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface Process {
  readonly pid: number
  /** What it has written so far. */
  readonly stdout: Effect.Effect<Buffer>
  readonly stderr: Effect.Effect<string>
  /** Waits until what it has written matches. Dies, with all that was written, when it ends before. */
  readonly stdoutMatch: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
  readonly stderrMatch: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
  /** Writes to its open stdin; completes when the pipe has taken all of it. */
  readonly write: (bytes: Uint8Array | string) => Effect.Effect<void>
  /** How many bytes of what was written the pipe has taken. */
  readonly taken: Effect.Effect<number>
  /** Ends its open stdin. */
  readonly end: Effect.Effect<void>
  /** With STOP it reads and writes nothing until CONT. */
  readonly signal: (name: NodeJS.Signals) => Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
}

/** One of its two outputs. Text is made of it only when asked: it may be large. */
class Written {
  readonly chunks: Array<Buffer> = []
  readonly changes: SubscriptionRef.SubscriptionRef<boolean>
  constructor(changes: SubscriptionRef.SubscriptionRef<boolean>) {
    this.changes = changes
  }
  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

const makeWritten = Effect.map(SubscriptionRef.make(false), (changes) => new Written(changes))

/** The pieces in which large inputs are written, so that `taken` grows as they are read. */
const pieceLength = 16 * 1024

export const start = Effect.fnUntraced(function*(
  file: string,
  words: ReadonlyArray<string>,
  { cwd, env, stdin = null }: ProcessOptions = {}
): Effect.fn.Return<Process, never, Scope.Scope> {
  const out = yield* makeWritten
  const err = yield* makeWritten
  const exited = yield* Deferred.make<number | NodeJS.Signals | null>()
  let taken = 0

  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(file, [...words], {
        cwd,
        env: { PATH: process.env["PATH"], HOME: cwd, ...env },
        stdio: [stdin === null ? "ignore" : "pipe", "pipe", "pipe"]
      })
      for (const [readable, written] of [[child.stdout, out], [child.stderr, err]] as const) {
        readable?.on("data", (bytes: Buffer) => {
          written.chunks.push(bytes)
          Effect.runSync(SubscriptionRef.set(written.changes, false))
        })
      }
      // A program may end without having read all of its input.
      child.stdin?.on("error", () => {})
      child.on("error", (error) => Effect.runSync(Deferred.die(exited, error)))
      child.on("close", (code, signal) => {
        for (const written of [out, err]) Effect.runSync(SubscriptionRef.set(written.changes, true))
        Effect.runSync(Deferred.succeed(exited, code ?? signal))
      })
      return child
    }),
    (child) =>
      Effect.suspend(() => {
        if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Effect.void
        child.kill("SIGKILL")
        return Effect.exit(Deferred.await(exited)).pipe(Effect.timeoutOption("10 seconds"), Effect.asVoid)
      })
  )

  const write = (input: Uint8Array | string) =>
    Effect.callback<void>((resume) => {
      const bytes = Buffer.from(input)
      const pieces = Math.max(1, Math.ceil(bytes.length / pieceLength))
      for (let piece = 0; piece < pieces; piece++) {
        const part = bytes.subarray(piece * pieceLength, (piece + 1) * pieceLength)
        child.stdin?.write(part, () => {
          taken += part.length
          if (piece === pieces - 1) resume(Effect.void)
        })
      }
    })
  const end = Effect.sync(() => child.stdin?.end())
  if (stdin !== null && stdin !== "open") {
    yield* Effect.forkScoped(Effect.andThen(write(stdin), end), { startImmediately: true })
  }

  const match = (written: Written) => (pattern: RegExp) =>
    SubscriptionRef.changes(written.changes).pipe(
      Stream.map((ended) => ({ found: pattern.exec(written.bytes.toString("utf8")), ended })),
      Stream.filter(({ ended, found }) => found !== null || ended),
      Stream.take(1),
      Stream.runCollect,
      Effect.flatMap(([last]) =>
        last === undefined || last.found === null
          ? Effect.die(new Error(`ended without ${pattern}:\n${out.bytes.toString()}\n${err.bytes.toString()}`))
          : Effect.succeed(last.found)
      )
    )

  return {
    pid: child.pid ?? 0,
    stdout: Effect.sync(() => out.bytes),
    stderr: Effect.sync(() => err.bytes.toString("utf8")),
    stdoutMatch: match(out),
    stderrMatch: match(err),
    write,
    taken: Effect.sync(() => taken),
    end,
    signal: (name) => Effect.sync(() => child.kill(name)),
    ended: Effect.map(Deferred.await(exited), (code) => ({
      code,
      stdout: out.bytes,
      stderr: err.bytes.toString("utf8")
    }))
  }
})

/** Runs a program to its end. */
export const run = (file: string, words: ReadonlyArray<string>, options: ProcessOptions = {}) =>
  Effect.scoped(Effect.flatMap(start(file, words, options), ({ ended }) => ended))
