/** `pods/exec` and `pods/attach`: what a client asks for, and what the node makes of it. */
import { Effect } from "effect"
import { flag } from "../api/RequestPath.ts"
import { type ApiError, badRequest } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type Kubelet } from "../node/Kubelet.ts"
import { type TerminalSize } from "../runtime/Pty.ts"
import { type Pod } from "../shapes/Objects.ts"
import { type ExecSession, type ExecStreams, exitStatus, successStatus } from "./ExecSession.ts"
import { containerOf } from "./PodLog.ts"

/** The size of a terminal whose client has said none yet. */
const defaultSize: TerminalSize = { width: 80, height: 24 }

/** What the pod and the query have in common for both; refuses what the API server refuses before the upgrade. */
const admit = Effect.fnUntraced(function*(store: Store, namespace: string, name: string, query: URLSearchParams) {
  const pod: Pod = yield* store.get("pods", namespace, name)
  const container = yield* containerOf(pod, query.get("container"))
  const tty = flag(query, "tty")
  const streams: ExecStreams = {
    stdin: flag(query, "stdin"),
    stdout: flag(query, "stdout"),
    stderr: flag(query, "stderr") && !tty,
    tty
  }
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    return yield* badRequest("you must specify at least 1 of stdin, stdout, stderr")
  }
  if ((pod.spec.nodeName ?? "") === "") return yield* badRequest(`pod ${name} does not have a host assigned`)
  return { pod, container, streams }
})

/** A session of its own process; the node may still refuse it. */
export const admitExec = Effect.fnUntraced(function*(
  store: Store,
  kubelet: Kubelet,
  namespace: string,
  name: string,
  query: URLSearchParams
): Effect.fn.Return<ExecSession, ApiError> {
  const { container, pod, streams } = yield* admit(store, namespace, name, query)
  const argv = query.getAll("command")
  if (argv.length === 0) return yield* badRequest("you must specify at least one command for the container")
  return {
    streams,
    status: exitStatus,
    start: (size) =>
      Effect.suspend(() => {
        const running = kubelet.running(pod, container)
        if (running === undefined) {
          return Effect.fail({ message: `unable to upgrade connection: container not found ("${container}")` })
        }
        return Effect.mapError(
          running.exec({ argv, ...streams, terminal: streams.tty ? size ?? defaultSize : undefined }),
          ({ message }) => ({ message: `error executing command in container: ${message}` })
        )
      })
  }
})

/** A session with the container's first process. */
export const admitAttach = Effect.fnUntraced(function*(
  store: Store,
  kubelet: Kubelet,
  namespace: string,
  name: string,
  query: URLSearchParams
): Effect.fn.Return<ExecSession, ApiError> {
  const { container, pod, streams } = yield* admit(store, namespace, name, query)
  return {
    streams,
    status: () => successStatus,
    start: (size) =>
      Effect.gen(function*() {
        const running = kubelet.running(pod, container)
        if (running === undefined) {
          const message = `unable to upgrade connection: container ${container} not found in pod ${name}_${namespace}`
          return yield* Effect.fail({ message })
        }
        const process = yield* Effect.mapError(
          running.attach({ stdin: streams.stdin }),
          ({ message }) => ({ message: `error attaching to container: ${message}` })
        )
        if (size !== undefined) yield* process.resize(size)
        return process
      })
  }
})
