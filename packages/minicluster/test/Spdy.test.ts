import { assert, describe, it, layer } from "@effect/vitest"
import { layer as clusterLayer, MiniclusterService } from "@kuberun/minicluster"
import { Effect, Exit, Schema } from "effect"
import { Buffer } from "node:buffer"
import { createInflate, deflateSync } from "node:zlib"
import { dictionary, type Frame, makeFrames, synReplyFrame } from "../src/streams/Spdy.ts"
import { eventually, outputOf, podBody, pods, runningPod } from "./support/Client.ts"
import { controlFrame, dataFrame, headerBlock, makeDeflate, spdy, synStream } from "./support/Streams.ts"

/** All frames in `bytes`, which come in pieces of the given sizes and then all at once. */
const framesOf = (bytes: Buffer, sizes: ReadonlyArray<number> = []) =>
  Effect.scoped(Effect.gen(function*() {
    const pieces: Array<Buffer> = []
    let at = 0
    for (const size of sizes) pieces.push(bytes.subarray(at, at += size))
    pieces.push(bytes.subarray(at))
    const { next } = yield* makeFrames({ read: Effect.sync(() => pieces.shift()) })
    const frames: Array<Frame> = []
    for (let frame = yield* next; frame !== undefined; frame = yield* next) {
      const last = frames.at(-1)
      // A data frame comes in as many pieces as its bytes did.
      if (frame._tag === "Data" && last?._tag === "Data" && last.id === frame.id && !last.fin) {
        frames.splice(-1, 1, { ...frame, bytes: Buffer.concat([last.bytes, frame.bytes]) })
      } else frames.push(frame)
    }
    return frames
  }))

const shown = (frame: Frame) =>
  frame._tag === "SynStream"
    ? `open ${frame.id} ${JSON.stringify([...frame.headers])} ${frame.fin}`
    : frame._tag === "Data"
    ? `data ${frame.id} ${Buffer.from(frame.bytes).toString()} ${frame.fin}`
    : `${frame._tag} ${frame.id}`

const sample = Effect.gen(function*() {
  const deflate = makeDeflate()
  return Buffer.concat([
    synStream(1, yield* deflate(headerBlock({ StreamType: "error", Port: "80" })), true),
    controlFrame(4, Buffer.alloc(12)),
    controlFrame(8, Buffer.concat([Buffer.from([0, 0, 0, 1]), yield* deflate(headerBlock({ late: "one" }))])),
    synStream(3, yield* deflate(headerBlock({ streamtype: "data", port: "80" }))),
    dataFrame(3, "some bytes"),
    controlFrame(6, Buffer.from([0, 0, 0, 7])),
    dataFrame(3, "", true),
    controlFrame(9, Buffer.alloc(8)),
    controlFrame(3, Buffer.from([0, 0, 0, 3, 0, 0, 0, 5])),
    controlFrame(7, Buffer.alloc(8))
  ])
})
const sampleFrames = [
  `open 1 [["streamtype","error"],["port","80"]] true`,
  `open 3 [["streamtype","data"],["port","80"]] false`,
  "data 3 some bytes false",
  "Ping 7",
  "data 3  true",
  "Reset 3"
]

describe("SPDY frames", () => {
  it("have the protocol's own dictionary: 1423 bytes, whose Adler-32 is known", () => {
    assert.strictEqual(dictionary.length, 1423)
    assert.strictEqual(deflateSync("", { dictionary }).toString("hex", 2, 6), "e3c6a7c2")
  })

  it.effect.prop("are the same wherever the bytes are cut", {
    sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })))
  }, ({ sizes }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* framesOf(yield* sample, sizes)).map(shown), sampleFrames)
    }))

  it.live("reply with headers that an inflater reads, reply after reply", () =>
    Effect.callback<void>((resume) => {
      const inflater = createInflate({ dictionary })
      const blocks = [1, 3, 5].map((id) => synReplyFrame(id, id === 1).subarray(12))
      inflater.write(Buffer.concat(blocks), () => {
        resume(Effect.sync(() => assert.strictEqual(inflater.read().length, 12)))
      })
    }))

  it.effect.prop("that are nonsense are an error or an end, and nothing else", {
    bytes: Schema.Uint8Array,
    at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 }))
  }, ({ at, bytes }) =>
    Effect.gen(function*() {
      const good = yield* sample
      const bad = Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + bytes.length)])
      for (const some of [Buffer.from(bytes), bad]) {
        const exit = yield* Effect.exit(framesOf(some))
        assert.isTrue(Exit.isSuccess(exit) || exit.cause.reasons.every(({ _tag }) => _tag === "Fail"))
      }
    }), { arbitrary: { runs: 300 } })

  it.live("have bounds: for a control frame, and for what its headers inflate to", () =>
    Effect.gen(function*() {
      const messageOf = (bytes: Buffer) => Effect.map(Effect.flip(framesOf(bytes)), ({ message }) => message)
      assert.strictEqual(yield* messageOf(controlFrame(4, Buffer.alloc(100_000))), "a control frame that is too long")
      const bomb = synStream(1, yield* makeDeflate()(headerBlock({ a: "x".repeat(10_000_000) })))
      assert.isBelow(bomb.length, 16_384)
      assert.strictEqual(yield* messageOf(bomb), "headers that cannot be inflated")
    }))
})

layer(clusterLayer(), { excludeTestServices: true })("a SPDY connection", (it) => {
  const connected = Effect.gen(function*() {
    const cluster = yield* MiniclusterService
    yield* runningPod(cluster, podBody("hostile"))
    return { cluster, connect: spdy(cluster, `${pods}/hostile/portforward`, "portforward.k8s.io") }
  })

  it.effect("answers pings, and takes no notice of frames for streams that are not there", () =>
    Effect.gen(function*() {
      const { connect } = yield* connected
      const client = yield* connect
      client.send(99, "to nobody", true)
      client.socket.write(controlFrame(3, Buffer.from([0, 0, 0, 99, 0, 0, 0, 1])))
      client.socket.write(controlFrame(6, Buffer.from([0, 0, 0, 5])))
      yield* eventually(() => client.controls.some(({ id, type }) => type === 6 && id === 5))
      assert.isFalse(client.closed())
    }))

  it.effect("ends alone by what is no SPDY, with a GOAWAY", () =>
    Effect.gen(function*() {
      const { cluster, connect } = yield* connected
      const good = headerBlock({ streamtype: "error", port: "80", requestid: "0" })
      const deflated = (block: Buffer) => makeDeflate()(block)
      const bystander = yield* connect
      for (
        const bytes of [
          Buffer.from("GET / HTTP/1.1\r\n\r\n".padEnd(64), "latin1").fill(0xff, 0, 4),
          controlFrame(4, Buffer.alloc(100_000)),
          controlFrame(1, Buffer.alloc(4)),
          synStream(2, yield* deflated(good)),
          synStream(0, yield* deflated(good)),
          synStream(1, good),
          synStream(1, yield* deflated(good.subarray(0, 20))),
          synStream(1, yield* deflated(Buffer.alloc(10, 0xff)))
        ]
      ) {
        const client = yield* connect
        client.socket.write(bytes)
        yield* eventually(client.closed, () => bytes.toString("hex"))
        assert.isTrue(client.controls.some(({ type }) => type === 7), bytes.toString("hex"))
      }
      assert.isFalse(bystander.closed())
      assert.strictEqual(yield* outputOf(cluster, "hostile", "echo fine"), "fine\n")
    }))
})
