import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as TokenBucket from "../src/TokenBucket.ts"

describe("TokenBucket", () => {
  it.effect("lets a burst through at once and then qps a second, in the order of asking", () =>
    Effect.gen(function*() {
      const take = yield* TokenBucket.make(5, 10)
      const taken: Array<readonly [who: number, at: number]> = []
      const fiber = yield* Effect.forEach(
        Array.from({ length: 13 }, (_, who) => who),
        (who) =>
          Effect.andThen(take, Clock.currentTimeMillis).pipe(
            Effect.map((at) => taken.push([who, at]))
          ),
        { concurrency: "unbounded" }
      ).pipe(Effect.forkChild({ startImmediately: true }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(taken.map(([who]) => who), Array.from({ length: 13 }, (_, who) => who))
      assert.deepStrictEqual(taken.slice(9).map(([, at]) => at), [0, 200, 400, 600])
    }))

  it.effect.prop("never lets more through than burst and qps allow, in any pattern", {
    pauses: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))).check(Schema.isMaxLength(30))
  }, ({ pauses }) =>
    Effect.gen(function*() {
      const take = yield* TokenBucket.make(4, 3)
      const times: Array<number> = []
      const fiber = yield* Effect.forEach(pauses, (pause) =>
        Effect.sleep(pause).pipe(
          Effect.andThen(take),
          Effect.andThen(Clock.currentTimeMillis),
          Effect.map((at) => times.push(at))
        )).pipe(Effect.forkChild({ startImmediately: true }))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      times.forEach((to, last) =>
        times.slice(0, last + 1).forEach((from, first) =>
          assert.isAtMost(last - first + 1, 3 + (to - from) * 4 / 1000 + 0.01)
        )
      )
    }), { arbitrary: { runs: 50 } })
})
