/**
 * The edge to Node's process: what asks it to end, as a queue.
 */
import { Cause, Effect, Queue, type Scope } from "effect"
import type { Request } from "./Shutdown.ts"

/** SIGHUP is a terminal that was closed: pods must not outlive it either. */
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** More than two requests change nothing; the rest may be dropped. */
const mostRequests = 16

/**
 * Listens until the scope closes. What nobody caught is logged and asks for an end: the process cannot be trusted any
 * more, and without a listener Node would leave at once and leave the pods behind.
 */
export const requests: Effect.Effect<Queue.Dequeue<Request>, never, Scope.Scope> = Effect.gen(function*() {
  const queue = yield* Queue.dropping<Request>(mostRequests)
  const context = yield* Effect.context()

  const onSignal = (name: NodeJS.Signals): void => {
    Queue.offerUnsafe(queue, { _tag: "Signal", name })
  }
  const onFault = (fault: unknown): void => {
    Effect.runForkWith(context)(Effect.logError("ending after a fault that nobody handled", Cause.die(fault)))
    Queue.offerUnsafe(queue, { _tag: "Fault" })
  }

  yield* Effect.acquireRelease(
    Effect.sync(() => {
      for (const signal of signals) process.on(signal, onSignal)
      process.on("uncaughtException", onFault)
      process.on("unhandledRejection", onFault)
    }),
    () =>
      Effect.sync(() => {
        for (const signal of signals) process.off(signal, onSignal)
        process.off("uncaughtException", onFault)
        process.off("unhandledRejection", onFault)
      })
  )
  return queue
})
