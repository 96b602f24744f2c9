/**
 * How an exec's terminal is told its size.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import type { WebSocket } from "ws"
import { request, withTerminal } from "./ExecScript.ts"
import { scripted, settled, until } from "./ScriptedServer.ts"

describe("a terminal", () => {
  it.live("is told its size at once and at every change, in order", () =>
    Effect.gen(function*() {
      const messages: Array<Buffer> = []
      const { cluster, server } = yield* scripted({
        exec: (socket) => socket.on("message", (data: Buffer) => messages.push(data))
      })
      const process = yield* cluster.exec(withTerminal)
      yield* process.resize({ columns: 100, rows: 30 })
      yield* Stream.run(Stream.make(Buffer.from("x")), process.stdin)
      yield* until(() => messages.length === 4)
      assert.deepStrictEqual(messages.slice(0, 3).map(String), [
        "\u0004{\"Width\":80,\"Height\":24}",
        "\u0004{\"Width\":100,\"Height\":30}",
        "\0x"
      ])
      assert.include(server.requests[0]?.url, "tty=true")
    }))

  it.live("of a program that does not read is told only its last size, when it reads again", () =>
    Effect.gen(function*() {
      let socket: WebSocket | undefined
      const sizes: Array<string> = []
      const { cluster } = yield* scripted({
        exec: (opened) => {
          opened.pause()
          opened.on("message", (data: Buffer) => {
            if (data[0] === 4) sizes.push(data.toString())
          })
          socket = opened
        }
      })
      const process = yield* cluster.exec(withTerminal)
      let taken = 0
      const source = Stream.fromEffectRepeat(Effect.sync(() => {
        taken += 1
        return Buffer.alloc(64 * 1024)
      }))
      const writer = yield* Stream.run(source, process.stdin).pipe(Effect.forkChild({ startImmediately: true }))
      yield* settled(() => taken)
      for (let columns = 1; columns <= 1000; columns += 1) yield* process.resize({ columns, rows: 1 })
      yield* Fiber.interrupt(writer)
      socket?.resume()
      yield* until(() => sizes.at(-1) === "\u0004{\"Width\":1000,\"Height\":1}")
      assert.strictEqual(sizes.length, 2)
    }))

  it.live("that is none has no size to tell", () =>
    Effect.gen(function*() {
      const messages: Array<Buffer> = []
      const { cluster } = yield* scripted({
        exec: (socket) => socket.on("message", (data: Buffer) => messages.push(data))
      })
      const process = yield* cluster.exec(request)
      yield* process.resize({ columns: 100, rows: 30 })
      yield* Stream.run(Stream.make(Buffer.from("x")), process.stdin)
      yield* until(() => messages.length === 2)
      assert.strictEqual(messages[0]?.toString(), "\0x")
    }))
})
