/** How containers end: their preStop hooks, SIGTERM, the grace period, SIGKILL, and who of a pod goes first. */
import { Effect, Fiber } from "effect"
import { type ActionFailed } from "./Actions.ts"
import { type RunningContainer } from "./Container.ts"

/** Whatever hooks and other containers took of the grace period: so much is left after SIGTERM (`killContainer`). */
const minimumSeconds = 2

export interface StopOptions {
  readonly container: Pick<RunningContainer, "exitCode" | "kill" | "terminate">
  readonly preStop: Effect.Effect<void, ActionFailed> | undefined
  /** Completes at the end of the grace period, which begins now. */
  readonly expired: Effect.Effect<void>
  /** Completes when those that must end before this one have ended. */
  readonly turn: Effect.Effect<void>
  readonly note: (type: "Normal" | "Warning", reason: string, message: string) => Effect.Effect<void>
  /** The words of the event. */
  readonly why: string
}

/** Completes when nothing of the container is left. */
export const stopContainer = Effect.fnUntraced(
  function*({ container, expired, note, preStop, turn, why }: StopOptions) {
    const { exitCode, kill, terminate } = container
    const period = yield* Effect.forkChild(expired, { startImmediately: true })
    yield* note("Normal", "Killing", why)
    const hook = preStop?.pipe(
      // The message may hold secrets, the kubelet says, and keeps it to itself.
      Effect.catchTag("ActionFailed", () => note("Warning", "FailedPreStopHook", "PreStopHook failed"))
    ) ?? Effect.void
    yield* Effect.raceAllFirst([Effect.andThen(hook, turn), Fiber.join(period), Effect.asVoid(exitCode)])
    yield* terminate
    const patience = Effect.all([Fiber.join(period), Effect.sleep(`${minimumSeconds} seconds`)], {
      concurrency: "unbounded"
    })
    yield* Effect.raceFirst(Effect.asVoid(exitCode), Effect.asVoid(patience))
    yield* kill
    yield* exitCode
    yield* Fiber.interrupt(period)
  }
)

/** A container that is to be stopped, by what it is to its pod. */
export interface Stoppable {
  readonly sidecar: boolean
  readonly ended: Effect.Effect<unknown>
}

/**
 * When each may be stopped, `containers` in the order of the spec, init containers first: the main ones at once, a
 * sidecar after them and after the sidecars that were started after it (KEP-753).
 */
export const turnOf = (containers: ReadonlyArray<Stoppable>, index: number): Effect.Effect<void> =>
  containers[index]?.sidecar === true
    ? Effect.forEach(containers.slice(index + 1), ({ ended }) => ended, { concurrency: "unbounded", discard: true })
    : Effect.void
