/** ssh2's traps on the way in, by the numbers of the README. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { stdout } from "kuberun"
import { string, uint32 } from "../src/WireReader.ts"
import { connect } from "./RawClient.ts"
import { eventually, exited, isStart, sessions, start, untilStart } from "./TestServer.ts"

const command = string("program")

describe("what a client sends", () => {
  it.live("T1: is not lost before the program starts, nor is its end", () =>
    Effect.gen(function*() {
      const ready = yield* Deferred.make<void>()
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* Deferred.await(ready)
          yield* untilStart(channel)
          yield* Stream.run(Stream.map(channel.stdin, stdout), channel.output)
          yield* channel.exit(exited(0))
        })
      ))
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      channel.data(Buffer.from("before, "))
      channel.request("exec", true, command)
      channel.data(Buffer.from("and after the request"))
      channel.eof()
      yield* raw.handled
      yield* Deferred.succeed(ready, undefined)
      yield* eventually(() => channel.types().includes(97))
      assert.strictEqual(channel.received().toString(), "before, and after the request")
    }))

  it.live("T3: is never more than the window allows, else the connection ends", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), { limits: { windowBytes: 256 * 1024 } })
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      const block = Buffer.alloc(32 * 1024)
      for (let sent = 0; sent < 256 * 1024; sent += block.length) channel.data(block)
      yield* raw.handled
      assert.isFalse(raw.isClosed())
      channel.data(Buffer.of(1))
      yield* Effect.raceFirst(raw.handled, eventually(raw.isClosed))
      yield* eventually(() => raw.disconnectText() !== undefined || !raw.isClosed())
      assert.include(raw.disconnectText(), "window")
    }))

  it.live("T3: waits for a program that reads, and its window opens as the program does", () =>
    Effect.gen(function*() {
      const reads = yield* Deferred.make<void>()
      let read = 0
      const server = yield* start(
        sessions((channel) =>
          Effect.gen(function*() {
            yield* Deferred.await(reads)
            yield* Stream.runForEach(channel.stdin, (bytes) => Effect.sync(() => read += bytes.length))
          })
        ),
        { limits: { windowBytes: 256 * 1024 } }
      )
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      const block = Buffer.alloc(32 * 1024)
      for (let sent = 0; sent < 256 * 1024; sent += block.length) channel.data(block)
      yield* raw.handled
      assert.notInclude(channel.types(), 93)
      yield* Deferred.succeed(reads, undefined)
      yield* eventually(() => read === 256 * 1024 && channel.types().includes(93))
    }))

  it.live("T13: terminal modes arrive, also those that ssh2 takes for malformed", () =>
    Effect.gen(function*() {
      const terminal = yield* Deferred.make<unknown>()
      const server = yield* start(sessions((channel) =>
        Stream.runForEach(channel.requests, ({ reply, ...request }) =>
          Effect.andThen(Deferred.succeed(terminal, request), reply(true)))
      ))
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      const modes = Buffer.concat([
        Buffer.of(128),
        uint32(0x0f000000),
        Buffer.of(53),
        uint32(1),
        Buffer.of(0)
      ])
      const size = Buffer.concat([uint32(80), uint32(24), uint32(640), uint32(480)])
      channel.request("pty-req", true, Buffer.concat([string("vt100"), size, string(modes)]))
      yield* Effect.raceFirst(channel.answer, eventually(raw.isClosed))
      assert.isFalse(raw.isClosed())
      assert.deepStrictEqual(yield* Deferred.await(terminal), {
        _tag: "Terminal",
        term: "vt100",
        size: { columns: 80, rows: 24, pixels: { width: 640, height: 480 } },
        modes: new Map([[128, 0x0f000000], [53, 1]])
      })
    }))

  it.live("T14: every request is answered, in order, also when a program runs", () =>
    Effect.gen(function*() {
      let starts = 0
      const later = yield* Deferred.make<void>()
      const server = yield* start(sessions((channel) =>
        Stream.runForEach(channel.requests, (request) => {
          if (isStart(request)) return request.reply(starts++ === 0)
          if (request._tag === "Environment") {
            return Effect.forkChild(Effect.andThen(Deferred.await(later), request.reply(true)))
          }
          return request.reply(request._tag === "Signal" || request._tag === "WindowChange")
        })
      ))
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      channel.request("exec", true, command)
      assert.isTrue(yield* channel.answer)
      channel.request("env", true, Buffer.concat([string("A"), string("b")]))
      channel.request("signal", true, string("INT"))
      channel.request("exec", true, command)
      channel.request("window-change", true, Buffer.alloc(16))
      channel.request("break", true, uint32(0))
      channel.request("signal", false, string("INT"))
      channel.request("keepalive@openssh.com", true)
      yield* raw.handled
      assert.deepStrictEqual(channel.types().filter((type) => type >= 99).length, 1, "an answer overtook another")
      yield* Deferred.succeed(later, undefined)
      const answers = yield* Effect.replicateEffect(channel.answer, 6)
      assert.deepStrictEqual(answers, [true, true, false, true, false, false])
    }))

  it.live("T15: signals and window changes are heard after its end of input", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const server = yield* start(sessions((channel) =>
        Stream.runForEach(channel.requests, (request) => {
          seen.push(request._tag)
          return request.reply(true)
        })
      ))
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      channel.request("exec", true, command)
      channel.eof()
      channel.request("signal", false, string("TERM"))
      channel.request("window-change", true, Buffer.alloc(16))
      yield* raw.handled
      yield* eventually(() => seen.length === 3)
      assert.deepStrictEqual(seen, ["Exec", "Signal", "WindowChange"])
    }))

  it.live("stops being read when too many requests wait, and is read again when they are taken", () =>
    Effect.gen(function*() {
      const reads = yield* Deferred.make<void>()
      let taken = 0
      const server = yield* start(
        sessions((channel) =>
          Effect.andThen(
            Deferred.await(reads),
            Stream.runForEach(channel.requests, () => Effect.sync(() => taken += 1))
          )
        ),
        { limits: { maxPendingRequests: 8 } }
      )
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      // More than one read of the socket holds, so that the hold takes effect in between.
      const total = 20_000
      for (let sent = 0; sent < total; sent += 1) channel.request("window-change", false, Buffer.alloc(16))
      const answered = yield* Effect.timeoutOption(raw.handled, "300 millis")
      assert.strictEqual(answered._tag, "None")
      yield* Deferred.succeed(reads, undefined)
      yield* eventually(() => taken === total)
      assert.isFalse(raw.isClosed())
    }))

  it.live("is read on when a channel closes whose handler has left requests untaken", () =>
    Effect.gen(function*() {
      const server = yield* start(
        sessions((channel) => channel.closed),
        { limits: { maxPendingRequests: 8 } }
      )
      const raw = yield* connect(server.port)
      for (let round = 0; round < 4; round += 1) {
        const channel = yield* raw.open()
        for (let sent = 0; sent < 5; sent += 1) channel.request("window-change", false, Buffer.alloc(16))
        channel.close()
        assert.strictEqual((yield* Effect.timeoutOption(raw.handled, "5 seconds"))._tag, "Some")
      }
    }))
})
