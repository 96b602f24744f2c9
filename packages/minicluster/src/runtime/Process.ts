/** One local process with its pipes or its terminal. */
import { Deferred, Effect, type Scope } from "effect"
import { type ChildProcess } from "node:child_process"
import { closeSync } from "node:fs"
import { constants } from "node:os"
import { Readable } from "node:stream"
import { type ByteSink, type ByteSource } from "./Bytes.ts"
import { type Command, type Tools } from "./Isolation.ts"
import { makePipes, ProcessError } from "./Pipe.ts"
import { openPty, type TerminalSize } from "./Pty.ts"
import { spawnClean } from "./Spawn.ts"

/** What a client of a process gets hold of. */
export interface ProcessStreams {
  /** The exit code; 128 + N for a process that signal N ended, as runtimes report it. */
  readonly exitCode: Effect.Effect<number>
  readonly stdin: ByteSink | undefined
  readonly stdout: ByteSource | undefined
  readonly stderr: ByteSource | undefined
  readonly resize: (size: TerminalSize) => Effect.Effect<void>
  /** SIGKILL to the process that was started, and so to its program. */
  readonly kill: Effect.Effect<void>
}

export interface Process extends ProcessStreams {
  /** The first line that the process writes to descriptor 3; empty when it ends without. */
  readonly report: Effect.Effect<string>
}

export interface ProcessOptions {
  readonly tools: Tools
  /** Given the path of the terminal's slave, if there is one. */
  readonly command: (terminal: string | undefined) => Command
  /** A folder of ours for the pipes' names. */
  readonly directory: string
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly terminal: TerminalSize | undefined
  /** Who owns the terminal, if not we ourselves. */
  readonly owner?: number | undefined
}

const exitCodeOf = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : constants.signals[signal])

/** What Node refuses before there is a process, in the system's words: too much to hand over, or a text with a NUL in it. */
const refusedAs = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && cause.code === "E2BIG" ? "argument list too long" : "invalid argument"

/** The wrappers that stay as parents hold the descriptor as well, so its end says nothing: a line is complete by itself. */
const firstLine = (stream: Readable): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let text = ""
    const done = () => {
      stream.destroy()
      resume(Effect.succeed(text.trim()))
    }
    stream.setEncoding("utf8")
    stream.on("data", (piece: string) => {
      text += piece
      if (text.includes("\n")) done()
    })
    stream.once("error", done)
    stream.once("end", done)
  })

/**
 * Starts a process. Closing the scope lets go of its pipes or hangs up its terminal, and does not kill it: that is the
 * business of whoever owns its container.
 */
export const startProcess = (options: ProcessOptions): Effect.Effect<Process, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    const terminal = options.terminal === undefined ? undefined : yield* openPty(options.terminal, options.owner)
    const pipes = yield* makePipes({
      mkfifo: options.tools.mkfifo,
      directory: options.directory,
      stdin: terminal === undefined && options.stdin,
      stdout: terminal === undefined && options.stdout,
      stderr: terminal === undefined && options.stderr
    })
    const command = options.command(terminal?.path)
    const exit = Deferred.makeUnsafe<number>()
    // Its stderr waits at 4 until the program itself is there: see `Isolation.ts`.
    const stdio = [
      pipes.stdin?.theirs ?? "ignore" as const,
      pipes.stdout?.theirs ?? "ignore" as const,
      "ignore" as const,
      "pipe" as const,
      pipes.stderr?.theirs ?? "null" as const
    ]
    const closeTheirs = Effect.sync(() => {
      for (const end of [pipes.stdin, pipes.stdout, pipes.stderr]) if (end !== undefined) closeSync(end.theirs)
    })
    const spawned = Effect.try({
      try: () => spawnClean(command, stdio),
      catch: (cause) => new ProcessError({ message: refusedAs(cause) })
    })
    let kill = Effect.void
    const running = (child: ChildProcess) =>
      Effect.callback<Effect.Effect<string>, ProcessError>((resume) => {
        child.once(
          "error",
          (error) => resume(new ProcessError({ message: `cannot start ${command.file}: ${error.message}` }))
        )
        kill = Effect.asVoid(Effect.sync(() => child.kill("SIGKILL")))
        child.once("exit", (code, signal) => Deferred.doneUnsafe(exit, Effect.succeed(exitCodeOf(code, signal))))
        const reported = child.stdio[3]
        const text = reported instanceof Readable ? firstLine(reported) : Effect.succeed("")
        child.once("spawn", () => resume(Effect.succeed(text)))
      })
    const report = yield* Effect.flatMap(spawned, running).pipe(Effect.ensuring(closeTheirs))
    const exitCode = Deferred.await(exit)
    if (terminal !== undefined) {
      // The program opens the slave by its name; ours must go before the end of its output can be seen.
      yield* Effect.forkScoped(
        exitCode.pipe(Effect.andThen(terminal.programStarted), Effect.andThen(terminal.programEnded))
      )
    }
    return {
      exitCode,
      stdin: terminal?.sink ?? pipes.stdin?.sink,
      stdout: terminal?.source ?? pipes.stdout?.source,
      stderr: pipes.stderr?.source,
      resize: terminal?.resize ?? (() => Effect.void),
      kill,
      report
    }
  }).pipe(Effect.uninterruptible)
