/** How containers end: their preStop hooks, SIGTERM, the grace period, SIGKILL, and who of a pod goes first. */
import { Clock, Effect, Fiber, Latch, Queue } from "effect"
import { type RunningContainer } from "../runtime/Container.ts"
import { type ActionFailed } from "./Actions.ts"
import { type Note, noteAbout, preStopOf, type Slot } from "./Slot.ts"

/** Whatever hooks and other containers took of the grace period: so much is left after SIGTERM (`killContainer`). */
const minimumSeconds = 2

export interface StopOptions {
  readonly container: Pick<RunningContainer, "exitCode" | "kill" | "terminate">
  readonly preStop: Effect.Effect<void, ActionFailed> | undefined
  /** Completes at the end of the grace period, which begins now. */
  readonly expired: Effect.Effect<void>
  /** Completes when those that must end before this one have ended. */
  readonly turn: Effect.Effect<void>
  readonly note: Note
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

/** Completes `seconds` from now, or so long after a later and shorter wish: an end can be hastened and not put off. */
const countdown = Effect.fnUntraced(function*(seconds: number, hastened: Queue.Dequeue<number>) {
  let now = yield* Clock.currentTimeMillis
  for (let deadline = now + seconds * 1000; now < deadline;) {
    const wish = yield* Effect.raceFirst(Effect.as(Effect.sleep(deadline - now), Infinity), Queue.take(hastened))
    now = yield* Clock.currentTimeMillis
    deadline = Math.min(deadline, now + wish * 1000)
  }
})

export interface StopAllOptions {
  /** In the order of the spec, init containers first. */
  readonly slots: ReadonlyArray<Slot>
  readonly loops: ReadonlyMap<string, Fiber.Fiber<unknown>>
  readonly seconds: number
  /** Shorter grace periods that somebody asks for meanwhile. */
  readonly hastened: Queue.Dequeue<number>
  readonly note: Note
}

/** Ends whatever of a pod runs, each in its turn, within the grace period; lets go of what waits for a start. */
export const stopAll = Effect.fnUntraced(function*({ hastened, loops, note, seconds, slots }: StopAllOptions) {
  const over = yield* Latch.make()
  const timer = yield* Effect.forkChild(Effect.andThen(countdown(seconds, hastened), over.open))
  const idle = slots.flatMap(({ running, spec }) => running === undefined ? loops.get(spec.name) ?? [] : [])
  const running = slots.flatMap((slot) => slot.running === undefined ? [] : [{ slot, container: slot.running }])
  const order = running.map(({ container, slot }) => ({ sidecar: slot.role === "sidecar", ended: container.exitCode }))
  const stops = running.map(({ container, slot }, index) =>
    stopContainer({
      container,
      preStop: preStopOf(slot, container),
      expired: over.await,
      turn: turnOf(order, index),
      note: noteAbout(note, slot),
      why: `Stopping container ${slot.spec.name}`
    })
  )
  yield* Effect.all([Fiber.interruptAll(idle), ...stops], { concurrency: "unbounded", discard: true })
  yield* Fiber.interrupt(timer)
  yield* Effect.forEach(loops.values(), Fiber.await, { discard: true })
})
