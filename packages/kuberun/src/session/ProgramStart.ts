/**
 * The beginning of a program's output: its announcement is read and taken away, everything else passes as it came.
 */
import { type Cause, Deferred, Effect, Exit, Fiber, Option, type Pull, type Scope, Stream } from "effect"
import type { ClusterError, ExecExit, ExecProcess } from "../ports/Cluster.ts"
import type { Output } from "../ports/Output.ts"
import type { Leader, Reader } from "./Announcement.ts"

/** Where an announcement stands, and how it is read. */
export interface AnnouncementPlace {
  /** All of the program's first output on the other stream passes at once. */
  readonly on: Output["_tag"]
  readonly reader: Reader
}

/** A program's streams behind its announcement. */
export interface StartedProgram {
  readonly process: ExecProcess
  /** Completes when it is known which process the program is, or that it will not be known. */
  readonly leader: Effect.Effect<Leader | undefined>
  /**
   * Reads the output away until that is known. For who lets go of a program whose client took nothing more of it: output
   * on the other stream may stand before the announcement.
   */
  readonly skipToLeader: Effect.Effect<void>
  /** It ended before it had announced itself or written anything: it may never have been started. */
  readonly endedUnseen: boolean
}

/**
 * Whether the runtime started nothing because the image does not have this file: runc's words, and crun's. Both name
 * it; a working folder that is not there has the same ones otherwise.
 */
export const isMissing = (exit: ExecExit, file: string): boolean =>
  exit._tag === "NotStarted" && exit.detail.includes(file) &&
  /executable file.*not found|no such file or directory/i.test(exit.detail)

/** The prologue found none where the runtime would have. */
const missing = (command: string): ExecExit => ({
  _tag: "NotStarted",
  detail: `exec: ${JSON.stringify(command)}: executable file not found`
})

/** How long an accepted exec may show nothing of its program before that is taken as it is; the announcement may follow. */
const patience = "5 seconds"

const join = (one: Uint8Array, other: Uint8Array): Uint8Array => {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}

type Chunk = ReadonlyArray<Output>

interface State {
  /** What may be the beginning of an announcement; `undefined` when it is known whether there is one. */
  held: Uint8Array | undefined
  isMissing: boolean
  end: Exit.Exit<never, ClusterError | Cause.Done> | undefined
}

/**
 * Reads until the program is seen: its announcement, or its first output, or its end; or until patience is over. No
 * more than that is read ahead of whoever takes the output, and no byte is held back that cannot be part of an
 * announcement.
 */
export const read = Effect.fn("ProgramStart.read")(function*(
  process: ExecProcess,
  { on, reader }: AnnouncementPlace,
  command: string
): Effect.fn.Return<StartedProgram, never, Scope.Scope> {
  const pull = yield* Stream.toPull(process.output)
  const leader = yield* Deferred.make<Leader | undefined>()
  const state: State = { held: new Uint8Array(), isMissing: false, end: undefined }

  /** What passes of one piece; while an announcement may be coming, it is held. */
  const passing = Effect.fnUntraced(function*(output: Output) {
    if (state.held === undefined || output._tag !== on) return [output]
    const bytes = state.held.length === 0 ? output.bytes : join(state.held, output.bytes)
    const reading = reader(bytes)
    if (reading._tag === "More") {
      state.held = bytes
      return []
    }
    state.held = undefined
    state.isMissing = reading._tag === "Found" && reading.announcement._tag === "Missing"
    yield* Deferred.succeed(
      leader,
      reading._tag === "Found" && reading.announcement._tag === "Running" ? reading.announcement.leader : undefined
    )
    const rest = reading._tag === "Found" ? reading.rest : bytes
    return rest.length === 0 ? [] : [{ ...output, bytes: rest }]
  })

  /** The next piece or pieces, which may be none when an announcement was all there was. */
  const advance: Effect.Effect<Chunk, ClusterError | Cause.Done> = Effect.gen(function*() {
    if (state.end !== undefined) return yield* state.end
    const pulled = yield* Effect.exit(pull)
    if (Exit.isSuccess(pulled)) {
      if (state.held === undefined) return pulled.value
      return (yield* Effect.forEach(pulled.value, passing)).flat()
    }
    state.end = Exit.failCause(pulled.cause)
    const rest = state.held ?? new Uint8Array()
    state.held = undefined
    yield* Deferred.succeed(leader, undefined)
    return rest.length === 0 ? yield* state.end : [{ _tag: on, bytes: rest }]
  })
  const nonEmpty: Pull.Pull<readonly [Output, ...Array<Output>], ClusterError> = Effect.gen(function*() {
    for (;;) {
      const [first, ...others] = yield* advance
      if (first !== undefined) return [first, ...others] as const
    }
  })

  const beginning = Effect.gen(function*() {
    let first: Chunk = []
    while (state.held !== undefined && first.length === 0 && state.end === undefined) {
      first = yield* Effect.catchCause(advance, () => Effect.succeed<Chunk>([]))
    }
    return first
  })

  // A fiber of its own, so that giving up the wait loses nothing.
  const begun = yield* Effect.forkScoped(beginning, { startImmediately: true })
  const first = yield* Effect.timeoutOption(Fiber.join(begun), patience)
  return {
    process: {
      ...process,
      output: Stream.concat(
        Stream.unwrap(Effect.map(Fiber.join(begun), (outputs) => Stream.fromIterable(outputs))),
        Stream.fromPull(Effect.succeed(nonEmpty))
      ),
      exit: Effect.map(process.exit, (exit) => state.isMissing ? missing(command) : exit)
    },
    leader: Deferred.await(leader),
    skipToLeader: Effect.gen(function*() {
      yield* Fiber.join(begun)
      while (state.held !== undefined && state.end === undefined) {
        yield* Effect.catchCause(advance, () => Effect.succeed<Chunk>([]))
      }
    }),
    endedUnseen: Option.isSome(first) && first.value.length === 0 && state.end !== undefined && !state.isMissing
  }
})
