/**
 * The signals and breaks that a client sends to the program of its channel: delivered one after another, in order, and
 * each answered when it is known what became of it.
 *
 * One that comes while the pod still starts waits for the program (RFC 4254 §6.9 leaves it open): who presses a key
 * then means the program that is to come. One after the program's end is refused.
 */
import { Deferred, Effect, Queue, Ref } from "effect"
import type { LaunchedProgram } from "./Launch.ts"
import * as Signals from "./Signals.ts"
import type { ExitStatus, SessionRequest } from "./Ssh.ts"

/** The requests that are meant here. */
export type SignalRequest = Extract<SessionRequest, { readonly _tag: "Signal" | "Break" }>

export interface ProgramSignals {
  /** Takes a request, to be answered later. */
  readonly ask: (request: SignalRequest) => Effect.Effect<void>
  /** Delivers what was asked for and what is being asked for, as long as it is not interrupted. */
  readonly deliverTo: (program: LaunchedProgram) => Effect.Effect<never>
  /** The program is no more: what still waits, and what is yet to come, is refused. */
  readonly end: Effect.Effect<void>
  /** How a program ended whose exit code this is. */
  readonly exitStatus: (code: number) => Effect.Effect<ExitStatus>
}

/** Each is an exec of its own: who sends more at once than these means no more by it. */
const mostWaiting = 16

/** How long the end of a program is held back until it is known whether the signal that explains it was delivered. */
const explanationPatience = "2 seconds"

interface UnderWay {
  readonly name: string
  readonly done: Deferred.Deferred<void>
}

export const make: Effect.Effect<ProgramSignals> = Effect.gen(function*() {
  const waiting = yield* Queue.dropping<SignalRequest>(mostWaiting)
  const delivered = yield* Ref.make<ReadonlySet<string>>(new Set())
  const underWay = yield* Ref.make<UnderWay | undefined>(undefined)

  const signal = Effect.fnUntraced(function*(program: LaunchedProgram, name: string) {
    if (!Signals.isSignal(name)) return false
    const done = yield* Deferred.make<void>()
    yield* Ref.set(underWay, { name, done })
    return yield* program.signal(name).pipe(
      Effect.tap((success) => success ? Ref.update(delivered, (before) => new Set(before).add(name)) : Effect.void),
      Effect.ensuring(Effect.andThen(Ref.set(underWay, undefined), Deferred.succeed(done, undefined)))
    )
  })

  const deliver = (program: LaunchedProgram) => (request: SignalRequest) =>
    (request._tag === "Break" ? program.interrupt : signal(program, request.name)).pipe(
      // The program's end may come before the answer.
      Effect.onInterrupt(() => request.reply(false)),
      Effect.flatMap(request.reply)
    )

  const refuseWaiting = Queue.clear(waiting).pipe(
    Effect.flatMap((requests) => Effect.forEach(requests, ({ reply }) => reply(false), { discard: true }))
  )

  return {
    ask: (request) =>
      Effect.flatMap(Queue.offer(waiting, request), (taken) => taken ? Effect.void : request.reply(false)),
    deliverTo: (program) => Effect.forever(Effect.flatMap(Queue.take(waiting), deliver(program))),
    end: Effect.andThen(refuseWaiting, Effect.asVoid(Queue.shutdown(waiting))),
    exitStatus: Effect.fnUntraced(function*(code) {
      const pending = yield* Ref.get(underWay)
      if (pending !== undefined && Signals.codeOf(pending.name) === code) {
        yield* Effect.timeoutOption(Deferred.await(pending.done), explanationPatience)
      }
      return Signals.exitStatus(code, yield* Ref.get(delivered))
    })
  }
})
