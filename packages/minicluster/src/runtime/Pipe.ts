/**
 * Real pipes between us and a process.
 *
 * Node's own `stdio: "pipe"` gives a process socket pairs, and a program that opens `/dev/stdout` or
 * `/proc/self/fd/1` by name fails on a socket. A container runtime gives pipes, so these are named pipes that are
 * opened and unlinked.
 */
import { Data, Effect, type Scope } from "effect"
import { closeSync, constants, openSync, unlinkSync } from "node:fs"
import { Socket } from "node:net"
import { join } from "node:path"
import { type ByteSink, type ByteSource, sinkOf, sourceOf } from "./Bytes.ts"
import { spawnClean } from "./Spawn.ts"

/** The machine would not give a process what it needs to run. */
export class ProcessError extends Data.TaggedError("ProcessError")<{ readonly message: string }> {}

/** `theirs` is the process' end: close it once the process has inherited it. */
export interface Inlet {
  readonly theirs: number
  readonly sink: ByteSink
}

/** `theirs` is the process' end: close it once the process has inherited it. */
export interface Outlet {
  readonly theirs: number
  readonly source: ByteSource
}

let count = 0

/** Makes `names.length` named pipes with one call of `mkfifo`, gives their ends to `use` and unlinks them. */
const withPipes = <A>(
  mkfifo: string,
  directory: string,
  amount: number,
  use: (ends: ReadonlyArray<{ readonly read: number; readonly write: number }>) => A
): Effect.Effect<A, ProcessError> =>
  Effect.callback<A, ProcessError>((resume) => {
    if (amount === 0) return resume(Effect.sync(() => use([])))
    const files = Array.from({ length: amount }, () => join(directory, `pipe-${process.pid}-${count++}`))
    // A program that runs as another user may open its own stdout by name; the folder keeps everybody else out.
    const child = spawnClean({ file: mkfifo, args: ["-m", "666", ...files] }, ["ignore", "ignore", "ignore"])
    child.once("error", (error) => resume(new ProcessError({ message: `mkfifo failed: ${error.message}` })))
    child.once("exit", (code) => {
      if (code !== 0) return resume(new ProcessError({ message: `mkfifo failed in ${directory}` }))
      resume(Effect.try({
        try: () =>
          use(files.map((file) => {
            // A pipe opened for both never waits for its other end; the two that stay are then opened without waiting.
            const both = openSync(file, constants.O_RDWR)
            const read = openSync(file, constants.O_RDONLY)
            const write = openSync(file, constants.O_WRONLY)
            closeSync(both)
            unlinkSync(file)
            return { read, write }
          })),
        catch: (cause) => new ProcessError({ message: `a pipe cannot be opened: ${String(cause)}` })
      }))
    })
  })

/** One pipe into a process where wanted, and one out of it for each of stdout and stderr where wanted. */
export const makePipes = (options: {
  readonly mkfifo: string
  readonly directory: string
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}): Effect.Effect<
  { readonly stdin: Inlet | undefined; readonly stdout: Outlet | undefined; readonly stderr: Outlet | undefined },
  ProcessError,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const wanted = [options.stdin, options.stdout, options.stderr].filter(Boolean).length
    const sockets: Array<Socket> = []
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
      })
    )
    return yield* withPipes(options.mkfifo, options.directory, wanted, (all) => {
      const ends = [...all]
      const inlet = (): Inlet | undefined => {
        const end = ends.shift()
        if (end === undefined) return undefined
        const socket = new Socket({ fd: end.write, readable: false, writable: true })
        sockets.push(socket)
        return { theirs: end.read, sink: sinkOf(socket) }
      }
      const outlet = (): Outlet | undefined => {
        const end = ends.shift()
        if (end === undefined) return undefined
        const socket = new Socket({ fd: end.read, readable: true, writable: false })
        sockets.push(socket)
        return { theirs: end.write, source: sourceOf(socket) }
      }
      return {
        stdin: options.stdin ? inlet() : undefined,
        stdout: options.stdout ? outlet() : undefined,
        stderr: options.stderr ? outlet() : undefined
      }
    })
  }).pipe(Effect.uninterruptible)
