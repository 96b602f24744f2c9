import { assert, describe, it } from "@effect/vitest"
import { Deferred, type Duration, Effect, Fiber, Queue, Ref, Schema } from "effect"
import { TestClock } from "effect/testing"
import { echoMillis, gracePeriod, type Remains, remainsSentence, type Request, supervise } from "../src/Shutdown.ts"

const advice = "Delete them with: kubectl delete pods -l app=x"
const signal = (name: string): Request => ({ _tag: "Signal", name })
const nothing: Remains = { connections: 0, pods: [], advice }

/** A service whose end takes this long, and leaves this behind. */
const world = Effect.fn(function*(options: {
  readonly endsWithin: Duration.Input
  readonly during?: Remains
  readonly afterwards?: Remains
}) {
  const requests = yield* Queue.unbounded<Request>()
  const remains = yield* Ref.make(options.during ?? { connections: 2, pods: ["default/a", "default/b"], advice })
  const started = yield* Deferred.make<void>()
  const ended = yield* Ref.make(false)
  const service = Effect.gen(function*() {
    yield* Effect.addFinalizer(() =>
      Effect.sleep(options.endsWithin).pipe(
        Effect.andThen(Ref.set(remains, options.afterwards ?? nothing)),
        Effect.andThen(Ref.set(ended, true))
      )
    )
    yield* Deferred.succeed(started, undefined)
    return yield* Effect.never
  }).pipe(Effect.scoped)
  const fiber = yield* Effect.forkChild(supervise({ service, requests, remains: Ref.get(remains) }))
  yield* Deferred.await(started)
  return { ended: Ref.get(ended), fiber, send: (name: string) => Queue.offer(requests, signal(name)), requests }
})

describe("the end of the service", () => {
  it.effect("a signal ends it in good order, with status 0 and no word", () =>
    Effect.gen(function*() {
      const { ended, fiber, send } = yield* world({ endsWithin: "3 seconds" })
      yield* send("SIGTERM")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { exitCode: 0 })
      assert.isTrue(yield* ended)
    }))

  it.effect("pods that could not be deleted make the status non-zero, and are named with what to do", () =>
    Effect.gen(function*() {
      const { fiber, send } = yield* world({
        endsWithin: "3 seconds",
        afterwards: { connections: 0, pods: ["default/kuberun-1"], advice }
      })
      yield* send("SIGINT")
      yield* TestClock.adjust("4 seconds")
      const { exitCode, message } = yield* Fiber.join(fiber)
      assert.notStrictEqual(exitCode, 0)
      assert.include(message, "0 connections and 1 pod were left (default/kuberun-1). Delete them with: kubectl delete")
    }))

  it.effect("an end that takes too long is given up within the grace period", () =>
    Effect.gen(function*() {
      const { ended, fiber, send } = yield* world({ endsWithin: "1 hour" })
      yield* send("SIGTERM")
      yield* TestClock.adjust(gracePeriod)
      const { exitCode, message } = yield* Fiber.join(fiber)
      assert.notStrictEqual(exitCode, 0)
      assert.include(message, "2 connections and 2 pods were left (default/a, default/b).")
      assert.isFalse(yield* ended)
    }))

  it.effect("a second signal ends it at once, non-zero, and says what was left", () =>
    Effect.gen(function*() {
      const { fiber, send } = yield* world({ endsWithin: "1 hour" })
      yield* send("SIGTERM")
      yield* TestClock.adjust(echoMillis)
      yield* send("SIGTERM")
      const { exitCode, message } = yield* Fiber.join(fiber)
      assert.notStrictEqual(exitCode, 0)
      assert.include(message, "SIGTERM again, ended at once: 2 connections and 2 pods were left")
      assert.include(message, "kubectl delete pods")
    }))

  it.effect("another signal counts as the second at any time", () =>
    Effect.gen(function*() {
      const { fiber, send } = yield* world({ endsWithin: "1 hour" })
      yield* send("SIGTERM")
      yield* send("SIGINT")
      assert.include((yield* Fiber.join(fiber)).message, "SIGINT again, ended at once")
    }))

  it.effect("Ctrl-C under npm, which delivers it twice, is one signal", () =>
    Effect.gen(function*() {
      const { fiber, send } = yield* world({ endsWithin: "3 seconds" })
      yield* send("SIGINT")
      yield* TestClock.adjust(echoMillis - 1)
      yield* send("SIGINT")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { exitCode: 0 })
    }))

  it.effect("a fault ends it in good order too, but the status tells", () =>
    Effect.gen(function*() {
      const { ended, fiber, requests } = yield* world({ endsWithin: "1 second" })
      yield* Queue.offer(requests, { _tag: "Fault" })
      yield* TestClock.adjust("2 seconds")
      assert.notStrictEqual((yield* Fiber.join(fiber)).exitCode, 0)
      assert.isTrue(yield* ended)
    }))

  it.effect("a service that fails by itself fails the supervision with its own error", () =>
    Effect.gen(function*() {
      const requests = yield* Queue.unbounded<Request>()
      const error = yield* Effect.flip(
        supervise({ service: Effect.fail("port taken"), requests, remains: Effect.succeed(nothing) })
      )
      assert.strictEqual(error, "port taken")
    }))

  it.effect("a signal during the start ends the start", () =>
    Effect.gen(function*() {
      const requests = yield* Queue.unbounded<Request>()
      yield* Queue.offer(requests, signal("SIGTERM"))
      const outcome = yield* supervise({
        service: Effect.sleep("1 hour").pipe(Effect.andThen(Effect.never)),
        requests,
        remains: Effect.succeed(nothing)
      })
      assert.deepStrictEqual(outcome, { exitCode: 0 })
    }))

  it.effect.prop("whatever comes when, it is over within the grace period, and 0 means that nothing is left", {
    endsWithinMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20_000 })),
    left: Schema.Array(Schema.Literals(["default/a", "default/b"])).check(Schema.isMaxLength(2)),
    signals: Schema.Array(
      Schema.Struct({
        afterMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4000 })),
        name: Schema.Literals(["SIGINT", "SIGTERM"])
      })
    ).check(Schema.isMaxLength(4))
  }, ({ endsWithinMillis, left, signals }) =>
    Effect.gen(function*() {
      const { ended, fiber, send } = yield* world({
        endsWithin: endsWithinMillis,
        afterwards: { connections: 0, pods: left, advice }
      })
      yield* send("SIGTERM")
      for (const { afterMillis, name } of signals) {
        yield* TestClock.adjust(afterMillis)
        yield* send(name)
      }
      yield* TestClock.adjust(gracePeriod)
      const { exitCode, message } = yield* Fiber.join(fiber)
      if (exitCode === 0) {
        assert.isTrue(yield* ended)
        assert.deepStrictEqual(left, [])
      } else {
        assert.isString(message)
      }
    }), { arbitrary: { runs: 100 } })

  it("many pods are counted, and the first few named", () => {
    const pods = Array.from({ length: 40 }, (_, index) => `default/p${index}`)
    const sentence = remainsSentence({ connections: 1, pods, advice }) ?? ""
    assert.include(sentence, "1 connection and 40 pods")
    assert.include(sentence, "default/p4, …)")
    assert.isBelow(sentence.length, 300)
  })
})
