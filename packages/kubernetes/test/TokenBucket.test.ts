import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Logger, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as TokenBucket from "../src/TokenBucket.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Somebody who comes `pause` ms after the one before, and goes away after `patience` ms if it still waits then. */
const Visit = Schema.Struct({
  pause: Schema.Union([Schema.Literal(0), int(0, 700)]),
  patience: Schema.optional(int(0, 2000))
})

/** All visits, each in a fiber of its own; who was let in, when, in which order. */
const visited = Effect.fnUntraced(
  function*(qps: number, burst: number, visits: ReadonlyArray<{ pause: number; patience?: number | undefined }>) {
    const take = yield* TokenBucket.make(qps, burst)
    const taken: Array<{ readonly who: number; readonly at: number }> = []
    const begin = yield* Clock.currentTimeMillis
    let at = 0
    const fibers = yield* Effect.forEach(visits, ({ patience, pause }, who) => {
      at += pause
      const visit = Effect.andThen(take(`call ${who}`), Clock.currentTimeMillis).pipe(
        Effect.map((now) => {
          taken.push({ who, at: now - begin })
        })
      )
      return Effect.sleep(at).pipe(
        Effect.andThen(patience === undefined ? visit : Effect.timeoutOption(visit, patience)),
        Effect.forkChild({ startImmediately: true })
      )
    })
    yield* TestClock.adjust("5 minutes")
    yield* Effect.forEach(fibers, Fiber.join)
    return taken
  }
)

describe("TokenBucket", () => {
  it.effect("lets a burst through at once and then qps a second, in the order of asking", () =>
    Effect.gen(function*() {
      const taken = yield* visited(5, 10, Array.from({ length: 13 }, () => ({ pause: 0 })))
      assert.deepStrictEqual(taken.map(({ who }) => who), Array.from({ length: 13 }, (_, who) => who))
      assert.deepStrictEqual(taken.slice(9).map(({ at }) => at), [0, 200, 400, 600])
    }))

  it.effect.prop("never lets more through than burst and qps allow in any window, in order, and as many as it may", {
    qps: int(1, 20),
    burst: int(1, 6),
    visits: Schema.Array(Visit).check(Schema.isMaxLength(30))
  }, ({ burst, qps, visits }) =>
    Effect.gen(function*() {
      const taken = yield* visited(qps, burst, visits)
      taken.forEach((to, last) =>
        taken.slice(0, last + 1).forEach((from, first) =>
          assert.isAtMost(last - first + 1, burst + (to.at - from.at) * qps / 1000 + 1e-6)
        )
      )
      const order = taken.map(({ who }) => who)
      assert.deepStrictEqual(order, order.toSorted((one, other) => one - other))
      // Nobody who has patience is forgotten, also behind those who went away.
      visits.forEach(({ patience }, who) => {
        if (patience === undefined) assert.include(order, who)
      })
      // Who goes away costs nothing: the others are let in as if it had never come.
      const stayed = order.map((who) => ({
        who,
        pause: visits.slice(0, who + 1).reduce((sum, visit) => sum + visit.pause, 0)
      }))
      const alone = yield* visited(
        qps,
        burst,
        stayed.map(({ pause }, index) => ({ pause: pause - (stayed[index - 1]?.pause ?? 0) }))
      )
      alone.forEach(({ at }, index) => assert.closeTo(taken[index]?.at ?? -1, at, 1 + 1e-6))
    }), { arbitrary: { runs: 300 } })

  it.effect("gives the place of somebody who is interrupted to the next, and loses no token by it", () =>
    Effect.gen(function*() {
      const take = yield* TokenBucket.make(1, 1)
      yield* take("first")
      const second = yield* Effect.forkChild(take("second"), { startImmediately: true })
      const third = yield* Effect.forkChild(take("third"), { startImmediately: true })
      const fourth = yield* Effect.forkChild(take("fourth"), { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(third)
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(fourth)
    }))

  it.effect("tells a wait of a second or more in the log, once and when it begins, with what waits", () =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ message }) => {
        lines.push(message)
      })
      const take = yield* TokenBucket.make(2, 1)
      const fibers = yield* Effect.forEach(
        ["a", "b", "c", "d"],
        (name) => Effect.forkChild(take(`create pod n/${name}`), { startImmediately: true })
      ).pipe(Effect.provide(Logger.layer([logger])))
      const told = [
        ["waiting 1.0 s for the API call limit (qps 2): create pod n/c"],
        ["waiting 1.5 s for the API call limit (qps 2): create pod n/d"]
      ]
      assert.deepStrictEqual(lines, told)
      yield* TestClock.adjust("2 seconds")
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(lines, told)
    }))
})
