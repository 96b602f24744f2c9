/**
 * A terminal with ssh in it: typed into, resized and read as a person does.
 */
import { spawn } from "@lydell/node-pty"
import { Deferred, Effect, type Scope, Stream, SubscriptionRef } from "effect"
import type { RunningService } from "./Service.ts"
import { type SshCommand, words } from "./Ssh.ts"

export interface TerminalOptions {
  readonly term?: string
  readonly columns?: number
  readonly rows?: number
}

export interface Terminal {
  readonly pid: number
  readonly type: (keys: string) => Effect.Effect<void>
  readonly resize: (columns: number, rows: number) => Effect.Effect<void>
  /** All that the terminal was told to show, since its start. */
  readonly screen: Effect.Effect<string>
  /** Waits until the screen matches, from `since` characters on. Dies with the screen when ssh ends before. */
  readonly shows: (pattern: RegExp, since?: number) => Effect.Effect<RegExpExecArray>
  readonly signal: (name: NodeJS.Signals) => Effect.Effect<void>
  /** ssh's exit status. */
  readonly ended: Effect.Effect<number>
}

/** Runs a program in a terminal. */
export const start = Effect.fnUntraced(function*(
  file: string,
  args: ReadonlyArray<string>,
  cwd: string,
  { columns = 80, rows = 24, term = "xterm" }: TerminalOptions = {}
): Effect.fn.Return<Terminal, never, Scope.Scope> {
  const screen = yield* SubscriptionRef.make({ text: "", ended: false })
  const exited = yield* Deferred.make<number>()
  const pty = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const pty = spawn(file, [...args], {
        cols: columns,
        rows,
        name: term,
        cwd,
        env: { PATH: process.env["PATH"], HOME: cwd, TERM: term }
      })
      pty.onData((data) =>
        Effect.runSync(SubscriptionRef.update(screen, (before) => ({ ...before, text: before.text + data })))
      )
      pty.onExit(({ exitCode }) => {
        Effect.runSync(SubscriptionRef.update(screen, (before) => ({ ...before, ended: true })))
        Effect.runSync(Deferred.succeed(exited, exitCode))
      })
      return pty
    }),
    (pty) =>
      Effect.suspend(() => {
        if (Deferred.isDoneUnsafe(exited)) return Effect.void
        pty.kill("SIGKILL")
        return Deferred.await(exited).pipe(Effect.timeoutOption("10 seconds"), Effect.asVoid)
      })
  )
  return {
    pid: pty.pid,
    type: (keys) => Effect.sync(() => pty.write(keys)),
    resize: (columns, rows) => Effect.sync(() => pty.resize(columns, rows)),
    screen: Effect.map(SubscriptionRef.get(screen), ({ text }) => text),
    shows: (pattern, since = 0) =>
      SubscriptionRef.changes(screen).pipe(
        Stream.map(({ ended, text }) => ({ ended, text, found: pattern.exec(text.slice(since)) })),
        Stream.filter(({ ended, found }) => found !== null || ended),
        Stream.take(1),
        Stream.runCollect,
        Effect.flatMap(([last]) =>
          last === undefined || last.found === null
            ? Effect.die(new Error(`ended without showing ${pattern}:\n${last?.text}`))
            : Effect.succeed(last.found)
        )
      ),
    signal: (name) => Effect.sync(() => pty.kill(name)),
    ended: Deferred.await(exited)
  }
})

/** `ssh -tt` in a terminal. */
export const ssh = (service: RunningService, asked: SshCommand = {}, options: TerminalOptions = {}) =>
  start("ssh", words(service, { ...asked, options: ["-tt", ...(asked.options ?? [])] }), service.folder, options)
