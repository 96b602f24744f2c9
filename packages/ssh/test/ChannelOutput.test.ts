import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import type { Output } from "kuberun"
import * as ChannelOutput from "../src/ChannelOutput.ts"
import * as Signal from "../src/Signal.ts"
import { WireReader } from "../src/WireReader.ts"

const size = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** A connection that keeps what is sent, and is congested when the test says so. */
const fakeConnection = () => {
  const sent: Array<Output> = []
  const violations: Array<string> = []
  const state = { isCongested: false, largest: 0, sentWhileCongested: 0 }
  const flow = Signal.make()
  const connection: ChannelOutput.OutputConnection = {
    send: (header = new Uint8Array(0), bytes = new Uint8Array(0)) => {
      const isStderr = header[0] === 95
      assert.strictEqual(new WireReader(header, isStderr ? 9 : 5).uint32(), bytes.length)
      if (state.isCongested) state.sentWhileCongested += 1
      state.largest = Math.max(state.largest, bytes.length)
      sent.push({ _tag: isStderr ? "Stderr" : "Stdout", bytes: Uint8Array.from(bytes) })
    },
    congested: () => state.isCongested,
    flow,
    cork: () => {},
    uncork: () => {},
    violation: (what) => violations.push(what)
  }
  return { connection, flow, sent, state, violations }
}

const bytesOf = (outputs: ReadonlyArray<Output>, tag: Output["_tag"]) =>
  Buffer.concat(outputs.filter((_) => _._tag === tag).map((_) => _.bytes))

describe("the output of a channel", () => {
  it.effect.prop("is exact on both streams, within the window and the packet size, and waits while TCP is full", {
    pieces: Schema.Array(Schema.Struct({ bytes: size(70_000), stderr: Schema.Boolean })).check(Schema.isMaxLength(12)),
    window: size(50_000),
    packetSize: Schema.Int.check(Schema.isBetween({ minimum: 1024, maximum: 100_000 })),
    grants: Schema.Array(Schema.Struct({ bytes: size(60_000), congested: Schema.Boolean })).check(
      Schema.isMaxLength(20)
    )
  }, ({ grants, packetSize, pieces, window }) =>
    Effect.gen(function*() {
      let counter = 0
      const outputs = pieces.map(({ bytes, stderr }): Output => ({
        _tag: stderr ? "Stderr" : "Stdout",
        bytes: Uint8Array.from({ length: bytes }, () => counter++ % 253)
      }))
      const { connection, flow, sent, state } = fakeConnection()
      const output = ChannelOutput.make({ remote: 7, window, packetSize, connection })
      const fiber = yield* Effect.forkChild(Stream.run(Stream.fromIterable(outputs), output.sink))
      let granted = window
      for (const grant of [...grants, { bytes: 2 ** 24, congested: false }]) {
        state.isCongested = grant.congested
        flow.notify()
        output.onWindowAdjust(grant.bytes)
        granted += grant.bytes
        for (let turn = 0; turn < 30; turn++) yield* Effect.yieldNow
        assert.isAtMost(sent.reduce((sum, _) => sum + _.bytes.length, 0), granted)
      }
      yield* Fiber.join(fiber)
      assert.isTrue(bytesOf(sent, "Stdout").equals(bytesOf(outputs, "Stdout")))
      assert.isTrue(bytesOf(sent, "Stderr").equals(bytesOf(outputs, "Stderr")))
      assert.isAtMost(state.largest, Math.min(packetSize, ChannelOutput.maximumPacket))
      assert.strictEqual(state.sentWhileCongested, 0)
    }), { arbitrary: { runs: 300 } })

  it("joins small pieces of one stream to packets, and keeps the order between the streams", () => {
    const piece = (tag: Output["_tag"], text: string): Output => ({ _tag: tag, bytes: Buffer.from(text) })
    const joined = ChannelOutput.coalesce([
      piece("Stdout", "a"),
      piece("Stdout", ""),
      piece("Stdout", "b"),
      piece("Stderr", "c"),
      piece("Stdout", "d")
    ])
    assert.deepStrictEqual(joined.map((_) => [_._tag, Buffer.from(_.bytes).toString()]), [
      ["Stdout", "ab"],
      ["Stderr", "c"],
      ["Stdout", "d"]
    ])
    const long = new Uint8Array(ChannelOutput.maximumPacket)
    assert.strictEqual(ChannelOutput.coalesce([{ _tag: "Stdout", bytes: long }])[0]?.bytes, long)
  })
})
