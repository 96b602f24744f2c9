import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Liveness from "../src/Liveness.ts"
import { exitOf, frame, outputOf, request } from "./ExecScript.ts"
import { scripted, unread, until } from "./ScriptedServer.ts"

/** Lets so many intervals pass, each with a moment for its ping. */
const intervals = (count: number) => Effect.repeat(TestClock.adjust(Liveness.PING_INTERVAL), { times: count - 1 })

describe("a silent exec", () => {
  it.effect("is kept alive by a ping every 15 s, and lives as long as they are answered", () =>
    Effect.gen(function*() {
      let pings = 0
      const { cluster } = yield* scripted({
        exec: (socket) =>
          socket.on("ping", () => {
            pings += 1
          })
      })
      const process = yield* cluster.exec(request)
      const exit = yield* exitOf(process).pipe(Effect.forkChild({ startImmediately: true }))
      for (let count = 1; count <= 12; count += 1) {
        yield* TestClock.adjust(Liveness.PING_INTERVAL)
        yield* until(() => pings === count)
      }
      assert.isUndefined(exit.pollUnsafe())
    }))

  it.effect("whose other side is gone is StreamLost after a minute, not before", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({ exec: (socket) => socket.pause() })
      const process = yield* cluster.exec(request)
      const output = yield* outputOf(process).pipe(Effect.forkChild({ startImmediately: true }))
      yield* intervals(4)
      assert.isUndefined(output.pollUnsafe())
      yield* intervals(1)
      assert.strictEqual(yield* Fiber.join(output), "StreamLost")
      assert.strictEqual(yield* exitOf(process), "StreamLost")
      assert.strictEqual(server.requests.length, 1)
    }))

  it.effect("is not given up while the program only does not read its stdin", () =>
    Effect.gen(function*() {
      const { cluster, send } = yield* unread
      const process = yield* cluster.exec(request)
      const writer = yield* Stream.run(Stream.concat(Stream.make(Buffer.from("x")), Stream.never), process.stdin).pipe(
        Effect.forkChild({ startImmediately: true })
      )
      const output = yield* Stream.runCollect(Stream.take(process.output, 1)).pipe(
        Effect.forkChild({ startImmediately: true })
      )
      yield* intervals(20)
      assert.isUndefined(output.pollUnsafe())
      yield* send(frame(1, "still here"))
      yield* Fiber.join(output)
      yield* Fiber.interrupt(writer)
    }))

  it.effect("is not given up while it is we who do not read", () =>
    Effect.gen(function*() {
      let pings = 0
      const { cluster } = yield* scripted({
        exec: (socket) => {
          socket.on("ping", () => {
            pings += 1
          })
          for (let count = 0; count < 512; count += 1) socket.send(frame(1, Buffer.alloc(32 * 1024)))
        }
      })
      const process = yield* cluster.exec(request)
      for (let count = 1; count <= 12; count += 1) {
        yield* TestClock.adjust(Liveness.PING_INTERVAL)
        yield* until(() => pings === count)
      }
      const read = yield* Stream.runFold(Stream.take(process.output, 512), () =>
        0, (sum, each) =>
        sum + each.bytes.length)
      assert.strictEqual(read, 512 * 32 * 1024)
    }))
})

describe("Liveness", () => {
  const beats = (liveness: Liveness.Liveness, count: number) => {
    for (let beat = 0; beat < count; beat += 1) {
      assert.isFalse(liveness.isDead(false))
      liveness.ping()
    }
  }

  it("counts unanswered pings from the last sign of life", () => {
    const liveness = Liveness.make()
    beats(liveness, 3)
    liveness.heard()
    beats(liveness, 4)
    assert.isTrue(liveness.isDead(false))
  })

  it("waits up to 4 hours while stdin is not acknowledged, and a minute again when it is", () => {
    const liveness = Liveness.make()
    liveness.sent(10)
    beats(liveness, 960)
    assert.isTrue(liveness.isDead(false))
    liveness.heard()
    liveness.acknowledged("10")
    beats(liveness, 4)
    assert.isTrue(liveness.isDead(false))
  })

  it("takes only the acknowledgement of what was sent before the ping", () => {
    const liveness = Liveness.make()
    liveness.sent(10)
    const payload = liveness.ping()
    liveness.sent(1)
    liveness.heard()
    liveness.acknowledged(payload)
    liveness.acknowledged("garbage")
    beats(liveness, 100)
  })
})
