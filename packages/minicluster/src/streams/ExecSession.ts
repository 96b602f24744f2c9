/** One exec or attach, whatever carries it: bytes both ways, the terminal's size, and a status at the end. */
import { Effect, Queue, type Scope } from "effect"
import { type ByteSource } from "../runtime/Bytes.ts"
import { type ProcessStreams } from "../runtime/Process.ts"
import { type TerminalSize } from "../runtime/Pty.ts"

/** Which streams the client asks for. With a terminal there is no stderr. */
export interface ExecStreams {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

/** What the runtime says instead of running the program. */
export interface ExecRefusal {
  readonly message: string
}

export interface ExecSession {
  readonly streams: ExecStreams
  readonly start: (size: TerminalSize | undefined) => Effect.Effect<ProcessStreams, ExecRefusal, Scope.Scope>
  /** The status of the program's end. */
  readonly status: (code: number) => object
}

export type Output = "stdout" | "stderr"

/** A client at the other end of a WebSocket or of a SPDY connection. */
export interface ExecLink {
  readonly stdin: ByteSource
  readonly resizes: Queue.Queue<TerminalSize>
  /** False when the client is gone. */
  readonly write: (output: Output, bytes: Uint8Array) => Effect.Effect<boolean>
  readonly status: (status: object) => Effect.Effect<void>
  /** Ends in order, and completes when the client has read all that was sent. */
  readonly finish: Effect.Effect<void>
  /** Breaks off behind all that was sent. */
  readonly cut: Effect.Effect<void>
  /** The client has gone. */
  readonly closed: Effect.Effect<void>
}

/** A resize is a few dozen bytes: a longer piece without a whole one in it is no resize. */
const resizeLimit = 4096

/** The status of the program's end, as `ServeExec` of the kubelet's streaming server writes it. */
export const exitStatus = (code: number): object =>
  code === 0 ? successStatus : {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: command terminated with exit code ${code}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(code) }] }
  }

/** `ServeAttach` writes it whatever the container's exit code was. */
export const successStatus = { metadata: {}, status: "Success" }

/** The status of anything else that went wrong. */
export const failureStatus = (message: string): object => ({
  metadata: {},
  status: "Failure",
  message: `Internal error occurred: ${message}`,
  reason: "InternalError",
  details: { causes: [{ message }] },
  code: 500
})

/** Takes whole JSON objects from the front of `text`; field names count without their case, as Go reads them. */
const parseResizes = (text: string): { readonly sizes: ReadonlyArray<TerminalSize>; readonly rest: string } => {
  const sizes: Array<TerminalSize> = []
  const whole = /\{[^{}]*\}/g
  let end = 0
  for (let found = whole.exec(text); found !== null; found = whole.exec(text)) {
    end = whole.lastIndex
    const width = /"width"\s*:\s*(\d{1,5})\b/i.exec(found[0])?.[1]
    const height = /"height"\s*:\s*(\d{1,5})\b/i.exec(found[0])?.[1]
    if (width !== undefined && height !== undefined) sizes.push({ width: Number(width), height: Number(height) })
  }
  return { sizes, rest: text.slice(end).slice(-resizeLimit) }
}

/** The sizes in a stream of JSON that is handed to `hear` in pieces. */
export const makeResizes = Effect.gen(function*() {
  // Only the newest size matters.
  const resizes = yield* Queue.sliding<TerminalSize>(1)
  let text = ""
  const hear = (bytes: Uint8Array) => {
    const { rest, sizes } = parseResizes(text + new TextDecoder().decode(bytes))
    text = rest
    for (const size of sizes) Queue.offerUnsafe(resizes, size)
  }
  return { resizes, hear }
})

const feed = Effect.fnUntraced(function*(process: ProcessStreams, stdin: ByteSource) {
  for (let bytes = yield* stdin.read; bytes !== undefined; bytes = yield* stdin.read) {
    // A program that has closed its stdin loses the rest, and a client is not stalled by it.
    yield* process.stdin?.write(bytes) ?? Effect.succeed(false)
  }
  yield* process.stdin?.end ?? Effect.void
})

/** Output that was not asked for is read all the same: a container is not stalled by whoever attaches for its stdin. */
const pump = Effect.fnUntraced(function*(write: (bytes: Uint8Array) => Effect.Effect<boolean>, source: ByteSource) {
  for (let bytes = yield* source.read; bytes !== undefined; bytes = yield* source.read) {
    if (!(yield* write(bytes))) return
  }
})

/** Runs the program to its end and answers the status; its output has been accepted by the link by then. */
const run = Effect.fnUntraced(function*(link: ExecLink, session: ExecSession) {
  const size = yield* Queue.poll(link.resizes)
  const process = yield* session.start(size._tag === "Some" ? size.value : undefined)
  yield* Effect.forkScoped(feed(process, link.stdin))
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(link.resizes), process.resize)))
  yield* Effect.forEach(["stdout", "stderr"] as const, (output) => {
    const source = process[output]
    const write = (bytes: Uint8Array) => session.streams[output] ? link.write(output, bytes) : Effect.succeed(true)
    return source === undefined ? Effect.void : pump(write, source)
  }, { concurrency: "unbounded", discard: true })
  return session.status(yield* process.exitCode)
})

/**
 * Serves one exec or attach. Completes when the client has gone. A client that leaves takes the program's pipes or
 * terminal away, and is no reason to kill it.
 */
export const serveExec = Effect.fnUntraced(function*(link: ExecLink, session: ExecSession) {
  const program = Effect.scoped(run(link, session)).pipe(
    Effect.catch(({ message }) => Effect.succeed(failureStatus(message)))
  )
  const status = yield* Effect.raceFirst(program, Effect.as(link.closed, undefined))
  if (status === undefined) return
  yield* link.status(status)
  yield* link.finish
})
