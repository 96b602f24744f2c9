/**
 * Bytes both ways: all of them, in order, and never more in memory than the bounds say.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import type { Output } from "kuberun"
import type { WebSocket } from "ws"
import { STDIN_BUFFER_BYTES } from "../src/ExecSocket.ts"
import { BUFFER_LIMIT_BYTES } from "../src/OutputBuffer.ts"
import { exitOf, frame, request, success, withTerminal } from "./ExecScript.ts"
import { scripted, settled, unread, until } from "./ScriptedServer.ts"

/** What two kernels may hold of one stalled loopback connection (Linux: `tcp_rmem` and `tcp_wmem` grow to these). */
const KERNEL_BYTES = 6 * 1024 * 1024 + 4 * 1024 * 1024

const rawOf = (socket: WebSocket): { readonly bytesWritten: number; readonly writableLength: number } =>
  Reflect.get(socket, "_socket")

/** Sends output for as long as there is room in the server's own socket, and counts what has left this process. */
const flood = (socket: WebSocket, message: Buffer, total: number) => {
  let sent = 0
  const more = () => {
    while (sent < total && rawOf(socket).writableLength < 256 * 1024) {
      sent += message.length
      socket.send(message, { compress: false }, more)
    }
    if (sent >= total) {
      sent = Number.POSITIVE_INFINITY
      socket.send(success)
      socket.close(1000)
    }
  }
  more()
  return () => rawOf(socket).bytesWritten - rawOf(socket).writableLength
}

describe("output", () => {
  it.live("that nobody reads holds the server back, and all of it arrives when it is read", () =>
    Effect.gen(function*() {
      const total = 64 * 1024 * 1024
      let leaving = () => 0
      const { cluster } = yield* scripted({
        exec: (socket) => {
          leaving = flood(socket, frame(1, Buffer.alloc(32 * 1024, 7)), total)
        }
      })
      const process = yield* cluster.exec(request)
      yield* settled(() => leaving())
      assert.isBelow(leaving(), BUFFER_LIMIT_BYTES + KERNEL_BYTES)
      const read = yield* Stream.runFold(process.output, () => 0, (sum, output) => sum + output.bytes.length)
      assert.strictEqual(read, Math.ceil(total / (32 * 1024 + 1)) * 32 * 1024)
      assert.strictEqual(yield* exitOf(process), "0")
    }))

  it.effect.prop("arrives byte for byte in order, stdout and stderr mixed, however slow the reader is", {
    frames: Schema.Array(Schema.Struct({
      channel: Schema.Literals([1, 2]),
      length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200_000 }))
    })).check(Schema.isMaxLength(40)),
    pauseEvery: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  }, ({ frames, pauseEvery }) =>
    Effect.gen(function*() {
      let count = 0
      const payloads = frames.map(({ channel, length }) => {
        count += 1
        return { channel, bytes: Buffer.alloc(length, count) }
      })
      const { cluster } = yield* scripted({
        exec: (socket) => {
          for (const { bytes, channel } of payloads) socket.send(frame(channel, bytes))
          socket.send(success)
          socket.close(1000)
        }
      })
      const process = yield* cluster.exec(request)
      const read: Array<Output> = []
      yield* Stream.runForEach(process.output, (output) => {
        read.push(output)
        return read.length % pauseEvery === 0 ? until(() => true) : Effect.void
      })
      const merged = (parts: ReadonlyArray<readonly [string, Uint8Array]>) =>
        parts.filter(([, bytes]) => bytes.length > 0).map(([name, bytes]) => `${name}${bytes.length}:${bytes[0]}`)
      assert.deepStrictEqual(
        merged(read.map((each) => [each._tag, each.bytes])),
        merged(payloads.map((each) => [each.channel === 1 ? "Stdout" : "Stderr", each.bytes]))
      )
      for (const { bytes } of read) assert.isTrue(bytes.every((byte) => byte === bytes[0]))
      assert.strictEqual(yield* exitOf(process), "0")
    }).pipe(Effect.scoped), { arbitrary: { runs: 300 } })
})

describe("stdin", () => {
  it.live("goes in messages of at most 32 KiB, whole and uncompressed, and its end is told with v5", () =>
    Effect.gen(function*() {
      const messages: Array<Buffer> = []
      const { cluster } = yield* scripted({
        exec: (socket) => socket.on("message", (data: Buffer) => messages.push(data))
      })
      const process = yield* cluster.exec(request)
      const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
      yield* Stream.run(Stream.make(bytes.subarray(0, 1), new Uint8Array(0), bytes.subarray(1)), process.stdin)
      yield* until(() => messages.some((each) => each[0] === 255))
      assert.deepStrictEqual(messages.pop(), Buffer.of(255, 0))
      assert.isTrue(messages.every((each) => each[0] === 0 && each.length <= 32 * 1024 + 1))
      assert.isTrue(Buffer.concat(messages.map((each) => each.subarray(1))).equals(bytes))
    }))

  it.live("of no bytes at all has an end too", () =>
    Effect.gen(function*() {
      const messages: Array<Buffer> = []
      const { cluster } = yield* scripted({
        exec: (socket) => socket.on("message", (data: Buffer) => messages.push(data))
      })
      const process = yield* cluster.exec(request)
      yield* Stream.run(Stream.empty, process.stdin)
      yield* until(() => messages.length === 1)
      assert.deepStrictEqual(messages[0], Buffer.of(255, 0))
    }))

  it.live("that the program does not read stalls its source, and output still comes", () =>
    Effect.gen(function*() {
      const { cluster, send } = yield* unread
      const process = yield* cluster.exec(request)
      let pulled = 0
      const chunk = Buffer.alloc(64 * 1024)
      const source = Stream.fromEffectRepeat(Effect.sync(() => {
        pulled += chunk.length
        return chunk
      }))
      const writer = yield* Stream.run(source, process.stdin).pipe(Effect.forkChild({ startImmediately: true }))
      yield* settled(() => pulled)
      assert.isBelow(pulled, STDIN_BUFFER_BYTES + KERNEL_BYTES)
      yield* send(frame(1, "out"))
      const [output] = yield* Stream.runCollect(Stream.take(process.output, 1))
      assert.strictEqual(Buffer.from(output?.bytes ?? []).toString(), "out")
      yield* Fiber.interrupt(writer)
    }))

  it.live("that the program no longer needs ends early and without an error", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({
        exec: (socket) =>
          socket.once("message", () => {
            socket.send(success)
            socket.close(1000)
          })
      })
      const process = yield* cluster.exec(request)
      yield* Stream.run(Stream.forever(Stream.make(Buffer.from("yes\n"))), process.stdin)
      assert.strictEqual(yield* exitOf(process), "0")
    }))

  it.effect("that waits for a program which ends without reading it is let go by the status", () =>
    Effect.gen(function*() {
      const { cluster, send } = yield* unread
      const process = yield* cluster.exec(request)
      let pulled = 0
      const source = Stream.fromEffectRepeat(Effect.sync(() => {
        pulled += 1
        return Buffer.alloc(64 * 1024)
      }))
      const writer = yield* Stream.run(source, process.stdin).pipe(Effect.forkChild({ startImmediately: true }))
      yield* settled(() => pulled)
      yield* send(success)
      yield* Fiber.join(writer)
      assert.strictEqual(yield* exitOf(process), "0")
    }))

  it.live("of a stream that broke off fails with StreamLost", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({ exec: (socket) => socket.once("message", () => socket.terminate()) })
      const process = yield* cluster.exec(request)
      const error = yield* Effect.flip(Stream.run(Stream.forever(Stream.make(Buffer.from("yes\n"))), process.stdin))
      assert.strictEqual(error.reason._tag, "StreamLost")
    }))

  it.live("has no end that v4 could tell: Unsupported, and the socket stays open", () =>
    Effect.gen(function*() {
      const messages: Array<Buffer> = []
      const { cluster } = yield* scripted({
        subprotocol: "v4.channel.k8s.io",
        exec: (socket) =>
          socket.on("message", (data: Buffer) => {
            messages.push(data)
            socket.send(frame(1, "after"))
          })
      })
      const process = yield* cluster.exec(request)
      const error = yield* Effect.flip(Stream.run(Stream.make(Buffer.from("x")), process.stdin))
      assert.strictEqual(error.reason._tag, "Unsupported")
      yield* Stream.runCollect(Stream.take(process.output, 1))
      assert.deepStrictEqual(messages.map(String), ["\0x"])
    }))

  it.live("of a terminal over v4 just ends", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({ subprotocol: "v4.channel.k8s.io", exec: () => undefined })
      const process = yield* cluster.exec(withTerminal)
      yield* Stream.run(Stream.make(Buffer.from("x")), process.stdin)
    }))
})
