/** `pods/exec`: what a client asks for, and what the node makes of it. */
import { Effect, type Scope } from "effect"
import { type ExecRefusal, type ExecStreams } from "./ExecChannel.ts"
import { type Kubelet } from "./Kubelet.ts"
import { containerOf } from "./Pods.ts"
import { type Process } from "./Process.ts"
import { type TerminalSize } from "./Pty.ts"
import { type ApiError, badRequest } from "./Status.ts"
import { type Store } from "./Store.ts"

/** An exec that the API server lets through; the node may still refuse it. */
export interface AdmittedExec {
  readonly streams: ExecStreams
  readonly start: (size: TerminalSize | undefined) => Effect.Effect<Process, ExecRefusal, Scope.Scope>
}

/** The size of a terminal whose client has said none yet. */
const defaultSize: TerminalSize = { width: 80, height: 24 }

const flag = (query: URLSearchParams, name: string): boolean => ["1", "true"].includes(query.get(name) ?? "")

/** Refuses before the upgrade what the API server refuses itself: unknown pods and containers, and options that make no sense. */
export const admitExec = Effect.fnUntraced(
  function*(
    store: Store,
    kubelet: Kubelet,
    namespace: string,
    name: string,
    query: URLSearchParams
  ): Effect.fn.Return<AdmittedExec, ApiError> {
    const pod = yield* store.get("pods", namespace, name)
    const container = yield* containerOf(pod, query.get("container"))
    const tty = flag(query, "tty")
    const streams = {
      stdin: flag(query, "stdin"),
      stdout: flag(query, "stdout"),
      stderr: flag(query, "stderr") && !tty,
      tty
    }
    if (!streams.stdin && !streams.stdout && !streams.stderr) {
      return yield* badRequest("you must specify at least 1 of stdin, stdout, stderr")
    }
    const argv = query.getAll("command")
    if (argv.length === 0) return yield* badRequest("you must specify at least one command for the container")
    if (pod.spec.nodeName === undefined) return yield* badRequest(`pod ${name} does not have a host assigned`)
    const start = (size: TerminalSize | undefined): Effect.Effect<Process, ExecRefusal, Scope.Scope> =>
      Effect.suspend(() => {
        const running = kubelet.running(pod, container)
        if (running === undefined) {
          return Effect.fail({ message: `unable to upgrade connection: container not found ("${container}")` })
        }
        return running.exec({ argv, ...streams, terminal: tty ? size ?? defaultSize : undefined }).pipe(
          Effect.mapError(({ message }) => ({ message: `error executing command in container: ${message}` }))
        )
      })
    return { streams, start }
  }
)
