/**
 * One session channel (RFC 4254 §6): its requests, in order, up to the one that starts its program.
 */
import { Effect, FiberSet, Queue, Stream } from "effect"
import type { PodConfig } from "../config/Config.ts"
import type { Identity } from "../ports/Identity.ts"
import type { TerminalSize } from "../ports/Output.ts"
import type { SessionChannel, SessionRequest, TerminalModes } from "../ports/Ssh.ts"
import * as Environment from "./Environment.ts"
import type { SessionPod } from "./Launch.ts"
import { program } from "./Program.ts"
import * as ProgramSignals from "./ProgramSignals.ts"
import { runProgram, say } from "./SessionProgram.ts"

/** What the channel's requests have said so far. */
interface SessionState {
  readonly terminal: { readonly term: string; readonly modes: TerminalModes } | undefined
  readonly size: TerminalSize
  readonly started: boolean
}

const initial: SessionState = { terminal: undefined, size: { columns: 0, rows: 0 }, started: false }

/**
 * Serves the channel until it is closed. Every request is answered in its turn, at once, but signals; the program itself
 * waits for the pod. What goes wrong with it is told to its user; only a defect of ours ends this effect otherwise.
 */
export const serve = Effect.fn("Session.serve")(function*(
  channel: SessionChannel,
  pod: SessionPod,
  config: PodConfig,
  identity: Identity
): Effect.fn.Return<void> {
  yield* Effect.scoped(Effect.gen(function*() {
    // Only the newest size matters: a client that resizes faster than the cluster takes it skips the ones between.
    const sizes = yield* Queue.sliding<TerminalSize>(1)
    const programs = yield* FiberSet.make<void, never>()
    const environment = Environment.make()
    const signals = yield* ProgramSignals.make

    const onRequest = Effect.fnUntraced(function*(state: SessionState, request: SessionRequest) {
      const refuse = Effect.as(request.reply(false), state)
      const accept = (next: SessionState) => Effect.as(request.reply(true), next)
      switch (request._tag) {
        case "Environment":
          return yield* (!state.started && environment.set(request.name, request.value) ? accept(state) : refuse)
        case "Terminal":
          return yield* (state.started || state.terminal !== undefined
            ? refuse
            : accept({ ...state, terminal: { term: request.term, modes: request.modes }, size: request.size }))
        case "WindowChange":
          if (state.terminal === undefined) return yield* refuse
          if (state.started) yield* Queue.offer(sizes, request.size)
          return yield* accept({ ...state, size: request.size })
        case "Shell":
        case "Exec":
        case "Subsystem": {
          if (state.started) return yield* refuse
          const context = {
            environment: new Map([...environment.variables, ...Environment.ofConnection(identity, config)]),
            terminal: state.terminal
          }
          const asked = program(request, context, config)
          if (asked._tag === "Refuse") {
            const told = say(channel, asked.detail, state.terminal !== undefined)
            // A client may have another way than a subsystem. The others have none, and ssh(1) shows the sentence only
            // where it comes as a program's (see `deny`).
            if (request._tag === "Subsystem") return yield* Effect.andThen(told, refuse)
            const next = yield* accept({ ...state, started: true })
            yield* Effect.andThen(told, channel.exit({ _tag: "Exited", code: 255 }))
            return next
          }
          const next = yield* accept({ ...state, started: true })
          yield* FiberSet.run(
            programs,
            runProgram(channel, pod, { program: asked.launch, size: state.size, sizes, signals })
          )
          return next
        }
        case "Signal":
        case "Break":
          // Answered when it is known what became of it, and later requests need not wait for that.
          return yield* (state.started ? Effect.as(signals.ask(request), state) : refuse)
        case "Unknown":
          return yield* refuse
      }
    })

    yield* Effect.raceFirst(
      Stream.runFoldEffect(channel.requests, () => initial, onRequest),
      // Never succeeds while the scope is open; a program's crash is the session's.
      FiberSet.join(programs)
    )
  }))
})
