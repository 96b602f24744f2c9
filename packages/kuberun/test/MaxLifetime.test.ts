import { assert, describe, it } from "@effect/vitest"
import { Time } from "@kuberun/testkit"
import { Clock, Deferred, type Duration, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { maxLifetime } from "../src/policy/MaxLifetime.ts"
import { behind, exec, failure, shell, statuses, terminal } from "./PolicyDriver.ts"

const byte = new Uint8Array([120])

const advance = (time: Duration.Input) => TestClock.adjust(time).pipe(Effect.andThen(Time.settle))

describe("a connection that may last so long", () => {
  it.effect("is ended then, whatever happens on it; its terminals are warned, and everybody is told", () =>
    Effect.gen(function*() {
      const { client, isOver } = yield* behind([maxLifetime({ after: "12 hours", warning: "1 minute" })])
      const [screen, plain] = [yield* client(), yield* client()]
      yield* screen.request(terminal)
      yield* screen.request(shell)
      yield* plain.request(exec("cat"))
      yield* advance("719 minutes")
      const warning = "\r\nkuberun: This session ends in 1m: 12h is all that it may last.\r\n"
      assert.strictEqual((yield* screen.texts).stderr, warning)
      yield* advance("59 seconds")
      yield* screen.send(byte)
      assert.isFalse(yield* isOver)
      yield* advance("1 second")
      assert.isTrue(yield* isOver)
      const sentence = "kuberun: This session ends: 12h is all that it may last."
      assert.strictEqual((yield* screen.texts).stderr, `${warning}\r\n${sentence}\r\n`)
      assert.strictEqual((yield* plain.texts).stderr, `${sentence}\n`)
      assert.deepStrictEqual(yield* statuses(screen), [failure])
      assert.deepStrictEqual(yield* statuses(plain), [failure])
    }))

  it.effect("counts from a beginning of somebody else's, and waits to hear of it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      const begin = yield* Deferred.make<number>()
      const { isOver } = yield* behind([maxLifetime({ after: "1 minute", since: () => Deferred.await(begin) })])
      yield* advance("1 hour")
      assert.isFalse(yield* isOver)
      yield* Deferred.succeed(begin, (yield* Clock.currentTimeMillis) - 50_000)
      yield* advance("9999 millis")
      assert.isFalse(yield* isOver)
      yield* advance("1 milli")
      assert.isTrue(yield* isOver)
    }))

  it.effect("is ended in time though its client does not read what it is told", () =>
    Effect.gen(function*() {
      const { client, isOver } = yield* behind([maxLifetime({ after: "1 minute", warning: "2 seconds" })])
      const one = yield* client(Effect.never)
      yield* one.request(terminal)
      yield* one.request(shell)
      yield* advance("1 minute")
      yield* advance("5 seconds")
      assert.isTrue(yield* isOver)
      assert.deepStrictEqual(yield* statuses(one), [failure])
    }))

  it.effect.prop(
    "is warned once and ended at its time, not before, wherever its beginning lies",
    {
      after: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 })),
      warning: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 120_000 })),
      age: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 120_000 })),
      stops: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60_000 }))).check(
        Schema.isMaxLength(8)
      )
    },
    ({ after, age, stops, warning }) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(1_000_000)
        const policy = maxLifetime({ after, warning, since: () => Effect.succeed(1_000_000 - age) })
        const { client, isOver } = yield* behind([policy])
        const one = yield* client()
        if (age < after) {
          yield* one.request(terminal)
          yield* one.request(shell)
        }
        let lasted = age
        const end = Math.max(after - age, 0)
        for (const stop of [...stops, Math.max(end - 1, 0), end]) {
          const step = stops.includes(stop) ? stop : Math.max(age + stop - lasted, 0)
          yield* advance(step)
          lasted += step
          assert.strictEqual(yield* isOver, lasted >= after, `after ${lasted} of ${after}`)
          if (lasted >= after) break
          const due = warning > 0 && warning < after && lasted >= after - warning
          const told = (yield* one.texts).stderr.split("ends in").length - 1
          assert.strictEqual(told, due ? 1 : 0, `after ${lasted} of ${after}, a warning ${warning} before`)
        }
        assert.isTrue(yield* isOver)
      }),
    { arbitrary: { runs: 300 } }
  )
})
