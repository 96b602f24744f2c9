import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schema } from "effect"
import { ClusterError, stdout, StreamLost } from "kuberun"
import * as OutputBuffer from "../src/OutputBuffer.ts"

const make = () => {
  const calls: Array<string> = []
  const buffer = OutputBuffer.make({ pause: () => calls.push("pause"), resume: () => calls.push("resume") })
  return { buffer, calls }
}

const lost = new ClusterError({ operation: "x", reason: new StreamLost({ detail: "x" }) })

const isDone = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && exit.cause.reasons.every((reason) => Cause.isFailReason(reason) && Cause.isDone(reason.error))

describe("OutputBuffer", () => {
  const floods: ReadonlyArray<readonly [name: string, length: number]> = [
    ["of large pieces", 32 * 1024],
    ["of single bytes, whose objects cost more than they hold", 1]
  ]
  for (const [name, length] of floods) {
    it.effect(`pauses a flood ${name} before it costs 600 KiB, and resumes it at the half`, () =>
      Effect.gen(function*() {
        const { buffer, calls } = make()
        let pushed = 0
        while (calls.length === 0) {
          buffer.push(stdout(new Uint8Array(length)))
          pushed += 1
        }
        assert.isAtMost(pushed * (length + 200), 600 * 1024)
        let taken = 0
        while (calls.length === 1) taken += (yield* buffer.pull).length
        assert.deepStrictEqual(calls, ["pause", "resume"])
        assert.isAtLeast(taken, pushed / 2 - 1)
        assert.isBelow(taken, pushed)
      }))
  }

  it.effect("hands on at most about 128 KiB at once", () =>
    Effect.gen(function*() {
      const { buffer } = make()
      for (let count = 0; count < 100; count += 1) buffer.push(stdout(new Uint8Array(10_000)))
      const batch = yield* buffer.pull
      assert.isAtMost(batch.length, 14)
    }))

  it.effect("loses nothing to a reader that was interrupted while it waited", () =>
    Effect.gen(function*() {
      const { buffer } = make()
      const reader = yield* buffer.pull.pipe(Effect.forkChild({ startImmediately: true }))
      yield* Fiber.interrupt(reader)
      buffer.push(stdout(Uint8Array.of(1)))
      buffer.push(stdout(Uint8Array.of(2)))
      const batch = yield* buffer.pull
      assert.deepStrictEqual(batch.map((each) => each.bytes[0]), [1, 2])
    }))

  it.effect("hands on together what came together", () =>
    Effect.gen(function*() {
      const { buffer } = make()
      const reader = yield* buffer.pull.pipe(Effect.forkChild({ startImmediately: true }))
      for (let byte = 0; byte < 5; byte += 1) buffer.push(stdout(Uint8Array.of(byte)))
      assert.strictEqual((yield* Fiber.join(reader)).length, 5)
    }))

  it.effect("wakes the reader that waits, for bytes and for the end", () =>
    Effect.gen(function*() {
      for (const failure of [undefined, lost]) {
        const { buffer } = make()
        const first = yield* buffer.pull.pipe(Effect.forkChild({ startImmediately: true }))
        buffer.push(stdout(Uint8Array.of(1)))
        assert.strictEqual((yield* Fiber.join(first)).length, 1)
        const second = yield* Effect.exit(buffer.pull).pipe(Effect.forkChild({ startImmediately: true }))
        buffer.end(failure)
        const exit = yield* Fiber.join(second)
        assert.strictEqual(isDone(exit), failure === undefined)
      }
    }))

  it.effect.prop("gives everything in order, then the first end that it was told, and nothing after", {
    before: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 90_000 }))).check(
      Schema.isMaxLength(30)
    ),
    fails: Schema.Boolean
  }, ({ before, fails }) =>
    Effect.gen(function*() {
      const { buffer } = make()
      before.forEach((length) => buffer.push(stdout(new Uint8Array(length))))
      buffer.end(fails ? lost : undefined)
      buffer.end(fails ? undefined : lost)
      buffer.push(stdout(Uint8Array.of(1)))
      const read: Array<number> = []
      const exit = yield* Effect.exit(
        Effect.forever(Effect.map(buffer.pull, (batch) => read.push(...batch.map((each) => each.bytes.length))))
      )
      assert.deepStrictEqual(read, [...before])
      assert.strictEqual(isDone(exit), !fails)
    }))
})
