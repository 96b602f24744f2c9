/** Processes of the benchmark's own, that are spoken to. */
import { Cause, Data, Effect, Queue, type Scope } from "effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { question, type Told } from "./Protocol.ts"

/** A process ended before it had told what it was there for. */
export class ChildError extends Data.TaggedError("ChildError")<{ readonly message: string }> {}

export interface Child {
  readonly ask: Effect.Effect<void>
  /** The next that it tells. */
  readonly told: Effect.Effect<Told, ChildError>
}

/** More than this is never said without a question. */
const unreadLimit = 16

/** Runs a module of this package, with the same flags of Node. Lets go of it with the scope, and waits for its end. */
export const startChild = (module: string): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.gen(function*() {
    const messages = yield* Queue.bounded<Told, ChildError>(unreadLimit)
    const file = fileURLToPath(new URL(module, import.meta.url))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = fork(file, { stdio: ["ignore", "inherit", "inherit", "ipc"] })
        child.on("message", (told: Told) => {
          Queue.offerUnsafe(messages, told)
        })
        child.once("exit", (code, signal) => {
          const message = `${module} ended with ${code ?? signal}`
          Queue.failCauseUnsafe(messages, Cause.fail(new ChildError({ message })))
        })
        return child
      }),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          if (child.connected) child.disconnect()
        }).pipe(
          Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.sync(() => child.kill("SIGKILL")) })
        )
    )
    return {
      ask: Effect.sync(() => {
        child.send(question)
      }),
      told: Queue.take(messages)
    }
  })
