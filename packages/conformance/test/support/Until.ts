/**
 * Waiting for a condition that nobody announces.
 */
import { Effect, Schedule } from "effect"

/** How often the condition is looked at. */
const interval = "50 millis"

/** Looks again and again until the answer satisfies; dies with the last answer when that takes longer than `within`. */
export const until = Effect.fnUntraced(function*<A, E, R>(
  what: string,
  look: Effect.Effect<A, E, R>,
  satisfies: (answer: A) => boolean,
  within: "10 seconds" | "30 seconds" | "60 seconds" = "30 seconds"
) {
  let last: A | undefined
  return yield* look.pipe(
    Effect.tap((answer) => Effect.sync(() => last = answer)),
    Effect.repeat({ schedule: Schedule.spaced(interval), until: satisfies }),
    Effect.timeoutOrElse({
      duration: within,
      orElse: () => Effect.die(new Error(`${what} did not come true within ${within}; last: ${JSON.stringify(last)}`))
    })
  )
})

/** Completes with the answer once it has stayed the same for `looks` looks, which lie an interval apart. */
export const settled = Effect.fnUntraced(function*<A, E, R>(
  what: string,
  look: Effect.Effect<A, E, R>,
  looks = 10
) {
  let last: A | undefined
  let same = 0
  return yield* until(
    `${what} settling`,
    look,
    (answer) => {
      same = answer === last ? same + 1 : 0
      last = answer
      return same >= looks
    }
  )
})
