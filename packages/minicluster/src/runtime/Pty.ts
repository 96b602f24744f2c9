/**
 * A pseudo-terminal that loses nothing.
 *
 * node-pty is used for one call of `openpty` and for the window's size. Its own way of starting a program destroys the
 * master's socket 200 ms after the program's exit, whatever is still unread behind a slow reader.
 */
import { Effect, Schedule, type Scope } from "effect"
import { chownSync, closeSync, readSync, write } from "node:fs"
import { createRequire } from "node:module"
import { type SocketConstructorOpts } from "node:net"
import { type DuplexOptions } from "node:stream"
import { ReadStream } from "node:tty"
import { type ByteSink, type ByteSource, lookAgain, sourceOf } from "./Bytes.ts"
import { ProcessError } from "./Pipe.ts"
import { coverDescriptor, uncoverDescriptor } from "./Spawn.ts"

/** Columns and rows of a terminal. */
export interface TerminalSize {
  readonly width: number
  readonly height: number
}

/** The master's side of an open terminal. */
export interface Pty {
  /** The slave's path: whoever opens it first as a session leader has it as the controlling terminal. */
  readonly path: string
  readonly sink: ByteSink
  readonly source: ByteSource
  readonly resize: (size: TerminalSize) => Effect.Effect<void>
  /**
   * To be called once the program has ended: `source` then ends behind its last byte, although a process that it left
   * in the background may still hold the terminal (the runtime shuts the console down in the same way).
   */
  readonly programEnded: Effect.Effect<void>
  /** Lets go of the slave, which is held so that the master does not see an end before the program has opened it. */
  readonly programStarted: Effect.Effect<void>
}

interface Binding {
  readonly open: (
    columns: number,
    rows: number
  ) => { readonly master: number; readonly slave: number; readonly pty: string }
  readonly resize: (fd: number, columns: number, rows: number) => void
}

const require = createRequire(import.meta.url)
/** The package's face offers no terminal without a program of its own; what it loads does. */
const loadBinding = (): Binding => require("@lydell/node-pty/requireBinary.js").requireBinary("pty.node")

const pieceSize = 65_536
const masterOptions: SocketConstructorOpts & DuplexOptions = { readableHighWaterMark: pieceSize }
/** A full line discipline has no event for "there is room again" on a master: ask again, soon at first. */
const roomAgain = Schedule.min([Schedule.exponential("2 millis"), Schedule.spaced("50 millis")])

const codeOf = (error: unknown): unknown => error instanceof Error && "code" in error ? error.code : undefined

/**
 * Opens a terminal; closing the scope hangs it up, and its foreground processes get SIGHUP. `owner` is the user who may
 * open it by its name, if not we ourselves.
 */
export const openPty = (size: TerminalSize, owner?: number): Effect.Effect<Pty, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    const { binding, opened } = yield* Effect.try({
      try: () => {
        const binding = loadBinding()
        const opened = binding.open(size.width, size.height)
        if (owner !== undefined) chownSync(opened.pty, owner, -1)
        return { binding, opened }
      },
      catch: (cause) => new ProcessError({ message: `a terminal cannot be opened: ${String(cause)}` })
    })
    let slaveOpen = true
    let masterOpen = true
    let ended = false
    // With its own default of no buffer at all, the stream stops for good behind the first piece that is read late.
    coverDescriptor(opened.master)
    coverDescriptor(opened.slave)
    const master = new ReadStream(opened.master, masterOptions)
    const closeSlave = Effect.sync(() => {
      if (!slaveOpen) return
      uncoverDescriptor(opened.slave)
      closeSync(opened.slave)
      slaveOpen = false
    })
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        closeSlave,
        Effect.sync(() => {
          masterOpen = false
          master.once("close", () => uncoverDescriptor(opened.master))
          master.destroy()
        })
      )
    )
    const buffer = new Uint8Array(pieceSize)
    // The stream reads on this same thread, so what is read here comes after everything that the stream holds.
    const readRest = (): Uint8Array | undefined => {
      try {
        const length = masterOpen ? readSync(opened.master, buffer) : 0
        return length > 0 ? buffer.slice(0, length) : undefined
      } catch {
        return undefined
      }
    }
    const writeSome = (bytes: Uint8Array) =>
      Effect.callback<number, "full" | "gone">((resume) => {
        if (!masterOpen) return resume(Effect.fail("gone"))
        write(
          opened.master,
          bytes,
          0,
          bytes.length,
          null,
          (error, length) =>
            resume(error === null ? Effect.succeed(length) : Effect.fail(codeOf(error) === "EAGAIN" ? "full" : "gone"))
        )
      }).pipe(Effect.uninterruptible)
    return {
      path: opened.pty,
      source: sourceOf(master, () => ended ? readRest() : null),
      sink: {
        write: Effect.fnUntraced(function*(bytes: Uint8Array) {
          let rest = bytes
          while (rest.length > 0) {
            const written = yield* writeSome(rest).pipe(
              Effect.retry({ schedule: roomAgain, while: (reason) => reason === "full" }),
              Effect.catch(() => Effect.succeed(0))
            )
            if (written === 0) return false
            rest = rest.subarray(written)
          }
          return true
        }),
        // A terminal has no half: its end of input is a character that the client types.
        end: Effect.void
      },
      resize: ({ height, width }: TerminalSize) =>
        Effect.sync(() => {
          if (masterOpen && width > 0 && height > 0) binding.resize(opened.master, width, height)
        }),
      programStarted: closeSlave,
      programEnded: Effect.sync(() => {
        ended = true
        master.emit(lookAgain)
      })
    }
  }).pipe(Effect.uninterruptible)
