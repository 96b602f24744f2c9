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

interface Ends {
  readonly read: number
  readonly write: number
}

/** Makes `amount` named pipes with one call of `mkfifo`, gives their ends to `use` and unlinks them. */
const withPipes = <A>(
  mkfifo: string,
  directory: string,
  amount: number,
  use: (ends: ReadonlyArray<Ends>) => A
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
    const wanted = [options.stdin, options.stdout, options.stderr]
    const sockets: Array<Socket> = []
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
      })
    )
    return yield* withPipes(options.mkfifo, options.directory, wanted.filter(Boolean).length, (all) => {
      const ends = [...all]
      const [stdin, stdout, stderr] = wanted.map((one) => one ? ends.shift() : undefined)
      const ours = (fd: number, readable: boolean) => {
        const socket = new Socket({ fd, readable, writable: !readable })
        sockets.push(socket)
        return socket
      }
      const outlet = ({ read, write }: Ends): Outlet => ({ theirs: write, source: sourceOf(ours(read, true)) })
      return {
        stdin: stdin && { theirs: stdin.read, sink: sinkOf(ours(stdin.write, false)) },
        stdout: stdout && outlet(stdout),
        stderr: stderr && outlet(stderr)
      }
    })
  }).pipe(Effect.uninterruptible)
