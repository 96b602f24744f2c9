/**
 * One session channel (RFC 4254 §6): its requests, in order, up to the one that starts its program.
 */
import { Effect, FiberSet, Queue, Stream } from "effect"
import type { Cluster } from "./Cluster.ts"
import type { PodConfig } from "./Config.ts"
import type { TerminalSize } from "./Output.ts"
import { isEnvironmentName, program } from "./Program.ts"
import { runProgram, say, type SessionPod } from "./SessionProgram.ts"
import type { SessionChannel, SessionRequest, TerminalModes } from "./Ssh.ts"

/** What the channel's requests have said so far. */
interface SessionState {
  readonly environment: ReadonlyMap<string, string>
  readonly terminal: { readonly term: string; readonly modes: TerminalModes } | undefined
  readonly size: TerminalSize | undefined
  readonly started: boolean
}

const initial: SessionState = { environment: new Map(), terminal: undefined, size: undefined, started: false }

/** The most variables that one channel may set (sshd's own limit), and the most characters in all of them. */
const maxVariables = 1000
const maxEnvironmentLength = 128 * 1024

const environmentLength = (environment: ReadonlyMap<string, string>): number =>
  [...environment].reduce((sum, [name, value]) => sum + name.length + value.length, 0)

/** The environment with one more variable, or `undefined` where the variable or their number is not acceptable. */
const withVariable = (
  environment: ReadonlyMap<string, string>,
  name: string,
  value: string
): ReadonlyMap<string, string> | undefined => {
  if (!isEnvironmentName(name) || value.includes("\0")) return undefined
  const next = new Map(environment).set(name, value)
  return next.size <= maxVariables && environmentLength(next) <= maxEnvironmentLength ? next : undefined
}

/**
 * Serves the channel until it is closed. Every request is answered in its turn, at once; the program itself waits for
 * the pod. What goes wrong with it is told to its user; only a defect of ours ends this effect otherwise.
 */
export const serve = Effect.fn("Session.serve")(function*(
  channel: SessionChannel,
  pod: SessionPod,
  config: PodConfig
): Effect.fn.Return<void, never, Cluster> {
  yield* Effect.scoped(Effect.gen(function*() {
    // Only the newest size matters: a client that resizes faster than the cluster takes it skips the ones between.
    const sizes = yield* Queue.sliding<TerminalSize>(1)
    const programs = yield* FiberSet.make<void, never>()

    const onRequest = Effect.fnUntraced(function*(state: SessionState, request: SessionRequest) {
      const refuse = Effect.as(request.reply(false), state)
      const accept = (next: SessionState) => Effect.as(request.reply(true), next)
      switch (request._tag) {
        case "Environment": {
          const environment = withVariable(state.environment, request.name, request.value)
          return yield* (state.started || environment === undefined ? refuse : accept({ ...state, environment }))
        }
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
          const asked = program(request, state, config)
          if (asked._tag === "Refuse") {
            yield* say(channel, asked.detail, state.terminal !== undefined)
            return yield* refuse
          }
          const next = yield* accept({ ...state, started: true })
          yield* FiberSet.run(
            programs,
            runProgram(channel, pod, { command: asked.command, terminal: state.size, sizes })
          )
          return next
        }
        // As in kuberun v0.9.3, signals are not delivered: an exec in Kubernetes has no way for them.
        case "Signal":
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
