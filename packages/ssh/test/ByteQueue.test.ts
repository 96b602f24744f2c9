import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as ByteQueue from "../src/ByteQueue.ts"

describe("the queue of a channel's input", () => {
  it.effect.prop("gives back every byte in order, whatever the sizes of what is put in and taken out", {
    steps: Schema.Array(Schema.Struct({
      push: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40_000 })),
      take: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60_000 }))
    })).check(Schema.isMaxLength(30))
  }, ({ steps }) =>
    Effect.sync(() => {
      const queue = ByteQueue.make()
      const pushed: Array<Uint8Array> = []
      const taken: Array<Uint8Array> = []
      let counter = 0
      let size = 0
      for (const step of steps) {
        const bytes = Uint8Array.from({ length: step.push }, () => counter++ % 251)
        pushed.push(Uint8Array.from(bytes))
        queue.push(bytes)
        size += bytes.length
        for (const block of queue.take(step.take)) {
          taken.push(Uint8Array.from(block))
          size -= block.length
        }
        assert.strictEqual(queue.size(), size)
      }
      taken.push(...queue.take(Number.MAX_SAFE_INTEGER))
      assert.isTrue(Buffer.concat(pushed).equals(Buffer.concat(taken)))
      assert.strictEqual(queue.size(), 0)
    }), { arbitrary: { runs: 300 } })

  it("keeps single bytes in as much memory as they are", () => {
    const queue = ByteQueue.make()
    for (let index = 0; index < 100_000; index++) queue.push(Uint8Array.of(index))
    assert.isBelow(queue.take(100_000).length, 10)
  })
})
