/**
 * Time under TestClock for tests with many fibers. `TestClock.adjust` moves on as soon as the fibers that it woke have
 * been given one turn; what hangs on a chain of fibers would begin its waiting only after the jump.
 */
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

/** The turns that the longest chain of fibers here needs until all of them wait. */
const turns = 20

/** Lets every fiber run until it waits for time or for something from outside. */
export const settle: Effect.Effect<void> = Effect.replicateEffect(TestClock.adjust(0), turns, { discard: true })

/** How many steps a stretch of time is passed in. */
const steps = 25

/** Lets time pass, step by step, with every fiber settled before and after. */
export const pass = (time: Duration.Input): Effect.Effect<void> => {
  const step = Duration.millis(Duration.toMillis(time) / steps)
  return settle.pipe(
    Effect.andThen(Effect.replicateEffect(TestClock.adjust(step), steps, { discard: true })),
    Effect.andThen(settle)
  )
}
