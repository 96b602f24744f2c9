/**
 * How the service ends. The first signal asks for an orderly end: no new connections, the open ones end, all pods are
 * deleted, within a limit. A second one ends the process at once, and says what it left.
 */
import { Cause, Clock, Effect, Exit, Fiber, Queue } from "effect"

/** What asks the service to end. */
export type Request =
  | { readonly _tag: "Signal"; readonly name: string }
  /** Something was thrown where nobody catches: the process cannot be trusted any more, its pods still can be deleted. */
  | { readonly _tag: "Fault" }

/** What is still there. */
export interface Remains {
  readonly connections: number
  /** `namespace/name` of each pod. */
  readonly pods: ReadonlyArray<string>
  /** What a person can do about these pods: one sentence. */
  readonly advice: string
}

/** How it went. `message`, if any, is for stderr. */
export interface Outcome {
  readonly exitCode: number
  readonly message?: string | undefined
}

/**
 * The whole of an orderly end takes no longer than this: supervisors give ten seconds before they kill, and the process
 * needs a moment of its own to say what is left and to go.
 */
export const gracePeriod = "7500 millis"

/**
 * The same signal again within this time is an echo, not a second one: Ctrl-C in a terminal reaches the whole
 * foreground group, and npm passes it on once more to the script that it runs.
 */
export const echoMillis = 500

/** Exit status of an end that left something, or that was forced. */
const failureExitCode = 1

const count = (many: number, one: string): string => `${many} ${one}${many === 1 ? "" : "s"}`

/** At most this many pods are named; the label finds all of them. */
const longestPodList = 5

const namePods = (pods: ReadonlyArray<string>): string =>
  pods.length === 0
    ? ""
    : ` (${pods.slice(0, longestPodList).join(", ")}${pods.length > longestPodList ? ", …" : ""})`

/** The sentence about what was left, or undefined when nothing was. */
export const remainsSentence = (remains: Remains): string | undefined =>
  remains.connections === 0 && remains.pods.length === 0
    ? undefined
    : `${count(remains.connections, "connection")} and ${count(remains.pods.length, "pod")} were left${
      namePods(remains.pods)
    }.${remains.pods.length === 0 ? "" : ` ${remains.advice}`}`

export interface Supervision<E, R, R2> {
  /** The service. Interrupting it ends it in good order. It succeeds only by being interrupted. */
  readonly service: Effect.Effect<never, E, R>
  readonly requests: Queue.Dequeue<Request>
  readonly remains: Effect.Effect<Remains, never, R2>
  /** What the log says of the orderly end, where it is not about connections and pods. */
  readonly ending?: string | undefined
}

const describe = (request: Request): string => request._tag === "Signal" ? request.name : "a fault"

/** Waits for a request that is not the first one's echo. */
const secondRequest = (requests: Queue.Dequeue<Request>, first: Request, firstAt: number) =>
  Effect.gen(function*() {
    while (true) {
      const request = yield* Queue.take(requests)
      const echo = request._tag === "Signal" && first._tag === "Signal" && request.name === first.name &&
        (yield* Clock.currentTimeMillis) - firstAt < echoMillis
      // A fault while ending is logged by whoever saw it; only a person can ask for a forced end.
      if (request._tag === "Signal" && !echo) return request
    }
  })

/** Runs the service until it fails or is asked to end, and ends it. Never fails by itself: it tells how it went. */
export const supervise = <E, R, R2>(
  { ending, remains, requests, service }: Supervision<E, R, R2>
): Effect.Effect<Outcome, E, R | R2> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkDetach(service)
    const first = yield* Effect.raceFirst(
      Fiber.join(fiber),
      Queue.take(requests)
    ).pipe(Effect.onInterrupt(() => Fiber.interrupt(fiber)))
    const firstAt = yield* Clock.currentTimeMillis

    const before = yield* remains
    const counted = `${count(before.connections, "connection")} and deleting ${count(before.pods.length, "pod")}`
    yield* Effect.logInfo(`${describe(first)}: ${ending ?? `no new connections, ending ${counted}`}`)
    // Asked to end but not awaited for longer than the limits below.
    yield* Effect.forkDetach(Fiber.interrupt(fiber))

    const left = Effect.map(remains, remainsSentence)
    const orderly = Effect.gen(function*() {
      const exit = yield* Fiber.await(fiber)
      const sentence = yield* left
      if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
        yield* Effect.logWarning("the service did not end cleanly", exit.cause)
      }
      return sentence === undefined
        ? { exitCode: first._tag === "Fault" ? failureExitCode : 0 }
        : { exitCode: failureExitCode, message: `stopped, but ${sentence}` }
    })
    const late = Effect.sleep(gracePeriod).pipe(
      Effect.andThen(left),
      Effect.map((sentence): Outcome => ({
        exitCode: failureExitCode,
        message: `not everything ended in time: ${sentence ?? "nothing was left in the cluster."}`
      }))
    )
    const forced = secondRequest(requests, first, firstAt).pipe(
      Effect.flatMap((request) =>
        Effect.map(left, (sentence): Outcome => ({
          exitCode: failureExitCode,
          message: `${describe(request)} again, ended at once: ${sentence ?? "no connection and no pod was left."}`
        }))
      )
    )
    return yield* Effect.raceAllFirst([orderly, late, forced])
  })
