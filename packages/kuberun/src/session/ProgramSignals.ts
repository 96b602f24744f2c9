/**
 * The signals and breaks that a client sends to the program of its channel: delivered one after another, in order, and
 * each answered when it is known what became of it.
 *
 * One that comes while the pod still starts waits for the program (RFC 4254 §6.9 leaves it open): who presses a key
 * then means the program that is to come. One after the program's end is refused.
 */
import { Deferred, Effect, Queue, Ref } from "effect"
import type { ExitStatus, SessionRequest } from "../ports/Ssh.ts"
import type { LaunchedProgram } from "./Launch.ts"
import * as Signals from "./Signals.ts"

/** The requests that are meant here. */
export type SignalRequest = Extract<SessionRequest, { readonly _tag: "Signal" | "Break" }>

export interface ProgramSignals {
  /** Takes a request, to be answered later. */
  readonly ask: (request: SignalRequest) => Effect.Effect<void>
  /** Delivers what was asked for and what is being asked for, as long as it is not interrupted. */
  readonly deliverTo: (program: LaunchedProgram) => Effect.Effect<never>
  /** The program is no more: what still waits, and what is yet to come, is refused. A second time has no effect. */
  readonly end: Effect.Effect<void>
  /** How a program ended whose exit code this is. */
  readonly exitStatus: (code: number) => Effect.Effect<ExitStatus>
}

/** Each is an exec of its own: who sends more at once than these means no more by it. */
const mostWaiting = 16

/** How long a program's end is held back until the signal before it, which may explain it, has its answer. */
const answerPatience = "2 seconds"

export const make: Effect.Effect<ProgramSignals> = Effect.gen(function*() {
  const waiting = yield* Queue.dropping<SignalRequest>(mostWaiting)
  const delivered = yield* Ref.make<ReadonlySet<string>>(new Set())
  /** Completed when the request that is being carried out has its answer. */
  const underWay = yield* Ref.make<Deferred.Deferred<void> | undefined>(undefined)

  const signal = (program: LaunchedProgram, name: string) =>
    Signals.isSignal(name)
      ? program.signal(name).pipe(
        Effect.tap((success) => success ? Ref.update(delivered, (before) => new Set(before).add(name)) : Effect.void)
      )
      : Effect.succeed(false)

  const deliver = (program: LaunchedProgram) =>
    Effect.fnUntraced(function*(request: SignalRequest) {
      const answered = yield* Deferred.make<void>()
      yield* Ref.set(underWay, answered)
      yield* (request._tag === "Break" ? program.interrupt : signal(program, request.name)).pipe(
        Effect.flatMap(request.reply),
        Effect.onInterrupt(() => request.reply(false)),
        Effect.ensuring(Effect.andThen(Ref.set(underWay, undefined), Deferred.succeed(answered, undefined)))
      )
    })

  let ended = false
  const refuseWaiting = Queue.clear(waiting).pipe(
    Effect.flatMap((requests) => Effect.forEach(requests, ({ reply }) => reply(false), { discard: true }))
  )

  return {
    ask: (request) =>
      Effect.flatMap(Queue.offer(waiting, request), (taken) => taken ? Effect.void : request.reply(false)),
    deliverTo: (program) => Effect.forever(Effect.flatMap(Queue.take(waiting), deliver(program))),
    end: Effect.suspend(() => {
      if (ended) return Effect.void
      ended = true
      return Effect.andThen(refuseWaiting, Effect.asVoid(Queue.shutdown(waiting)))
    }),
    exitStatus: Effect.fnUntraced(function*(code) {
      const pending = yield* Ref.get(underWay)
      if (pending !== undefined) yield* Effect.timeoutOption(Deferred.await(pending), answerPatience)
      return Signals.exitStatus(code, yield* Ref.get(delivered))
    })
  }
})
