import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Link } from "../src/Link.ts"
import { clientAlive, freshKeys } from "../src/Liveness.ts"
import * as Signal from "../src/Signal.ts"
import { defaults } from "../src/SshLimits.ts"

/** A link whose client answers or not, as the test wants. */
const fakeLink = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const activity = Signal.make()
  const state = { heardAt: clock.currentTimeMillisUnsafe(), asked: 0, rekeys: 0, traffic: 0, exchanging: false }
  let isDestroyed = false
  const link: Link = {
    send: () => state.asked += 1,
    congested: () => false,
    flow: activity,
    cork: () => {},
    uncork: () => {},
    holdReading: () => {},
    sessionId: () => new Uint8Array(0),
    exchangingKeys: () => state.exchanging,
    rekey: () => {
      state.rekeys += 1
      state.exchanging = true
      activity.notify()
    },
    activity,
    traffic: () => state.traffic,
    heardAt: () => state.heardAt,
    identified: Effect.succeed("test"),
    disconnect: () => {},
    destroy: () => {
      isDestroyed = true
    },
    endReason: () => "",
    ended: Effect.never,
    close: () => Effect.void
  }
  const hear = () => {
    state.heardAt = clock.currentTimeMillisUnsafe()
  }
  return { link, state, activity, hear, isDestroyed: () => isDestroyed }
})

describe("signs of life", () => {
  it.effect("are asked for at each interval of silence, and a client silent for all of them is given up", () =>
    Effect.gen(function*() {
      const { isDestroyed, link, state } = yield* fakeLink
      const fiber = yield* Effect.forkChild(clientAlive(link, defaults))
      yield* TestClock.adjust("14 seconds")
      assert.strictEqual(state.asked, 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.asked, 1)
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(state.asked, 2)
      yield* TestClock.adjust("14 seconds")
      assert.isFalse(isDestroyed())
      yield* TestClock.adjust("1 second")
      assert.isTrue(isDestroyed())
      yield* Fiber.join(fiber)
    }))

  it.effect("keep a connection for ever when they come", () =>
    Effect.gen(function*() {
      const { hear, isDestroyed, link, state } = yield* fakeLink
      yield* Effect.forkChild(clientAlive(link, defaults))
      for (let hours = 0; hours < 100; hours++) {
        yield* TestClock.adjust("29 seconds")
        hear()
      }
      assert.isFalse(isDestroyed())
      assert.isAtLeast(state.asked, 99)
    }))

  it.effect("are given time for after this process has stood still", () =>
    Effect.gen(function*() {
      const { hear, isDestroyed, link, state } = yield* fakeLink
      const clock = yield* Clock.Clock
      let stoodStill = 0
      const currentTimeMillisUnsafe = () => clock.currentTimeMillisUnsafe() + stoodStill
      const jumping: Clock.Clock = {
        sleep: (duration) => clock.sleep(duration),
        currentTimeMillisUnsafe,
        currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos
      }
      yield* Effect.forkChild(clientAlive(link, defaults).pipe(Effect.provideService(Clock.Clock, jumping)))
      yield* TestClock.adjust("5 seconds")
      hear()
      yield* TestClock.adjust("9 seconds")
      stoodStill = 60_000
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(state.asked, 1)
      yield* TestClock.adjust("14 seconds")
      assert.isFalse(isDestroyed())
      hear()
      state.heardAt += stoodStill
      yield* TestClock.adjust("44 seconds")
      assert.isFalse(isDestroyed())
      yield* TestClock.adjust("1 second")
      assert.isTrue(isDestroyed())
    }))

  it.effect("are not asked for while the client sends", () =>
    Effect.gen(function*() {
      const { hear, link, state } = yield* fakeLink
      yield* Effect.forkChild(clientAlive(link, defaults))
      for (let times = 0; times < 50; times++) {
        yield* TestClock.adjust("10 seconds")
        hear()
      }
      assert.strictEqual(state.asked, 0)
    }))
})

describe("keys", () => {
  it.effect("are exchanged by time and by bytes", () =>
    Effect.gen(function*() {
      const { activity, isDestroyed, link, state } = yield* fakeLink
      yield* Effect.forkChild(freshKeys(link, defaults))
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual(state.rekeys, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(state.rekeys, 1)
      state.exchanging = false
      activity.notify()
      yield* TestClock.adjust("1 minute")
      state.traffic += defaults.rekeyBytes
      activity.notify()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.rekeys, 2)
      assert.isFalse(isDestroyed())
    }))

  it.effect("that are not taken in time end the connection, also when the client began the exchange", () =>
    Effect.gen(function*() {
      const { activity, isDestroyed, link, state } = yield* fakeLink
      const fiber = yield* Effect.forkChild(freshKeys(link, defaults))
      yield* TestClock.adjust("1 minute")
      state.exchanging = true
      activity.notify()
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(isDestroyed())
      yield* TestClock.adjust("1 second")
      assert.isTrue(isDestroyed())
      assert.strictEqual(state.rekeys, 0)
      yield* Fiber.join(fiber)
    }))
})
