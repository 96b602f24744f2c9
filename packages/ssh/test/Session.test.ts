import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { type ChannelClosed, type SessionRequest, stderr, stdout } from "kuberun"
import { string, uint32, WireReader } from "../src/WireReader.ts"
import * as Client from "./Client.ts"
import { connect as connectRaw } from "./RawClient.ts"
import { eventually, exited, isStart, sessions, start, untilStart } from "./TestServer.ts"

const text = (bytes: string) => new TextEncoder().encode(bytes)

describe("a session channel", () => {
  it.live("carries a command, both outputs apart, and the exit status", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          const request = yield* untilStart(channel)
          const command = request._tag === "Exec" ? request.command : ""
          yield* Stream.run(Stream.make(stdout(text(`ran ${command}`)), stderr(text("complaint"))), channel.output)
          yield* channel.exit(exited(7))
        })
      ))
      const client = yield* Client.connect(server.port)
      const ran = yield* Client.run(client, "make ☕")
      assert.strictEqual(ran.stdout.toString(), "ran make ☕")
      assert.strictEqual(ran.stderr.toString(), "complaint")
      assert.strictEqual(ran.code, 7)
    }))

  it.live("echoes input to its end, in several channels at once", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* untilStart(channel)
          yield* Stream.run(Stream.map(channel.stdin, stdout), channel.output)
          yield* channel.exit(exited(0))
        })
      ))
      const client = yield* Client.connect(server.port)
      const inputs = [1, 2, 3, 4, 5].map((seed) => Buffer.alloc(300_000 * seed, `channel ${seed} `))
      const results = yield* Effect.forEach(inputs, (input) => Client.run(client, "cat", { input }), {
        concurrency: "unbounded"
      })
      results.forEach((ran, index) => assert.isTrue(ran.stdout.equals(inputs[index] ?? Buffer.alloc(0))))
    }))

  it.live("hands on environment, terminal, window changes and signals in the order in which they came", () =>
    Effect.gen(function*() {
      const seen: Array<Record<string, unknown>> = []
      const server = yield* start(sessions((channel) =>
        channel.requests.pipe(Stream.runForEach((request) => {
          const { reply, ...rest } = request
          seen.push(rest)
          return reply(true)
        }))
      ))
      const client = yield* Client.connect(server.port)
      const channel = yield* Client.open(client, "sh", {
        env: { LANG: "C" },
        pty: { term: "xterm-256color", cols: 132, rows: 43, width: 0, height: 0, modes: { ECHO: 1 } }
      })
      channel.setWindow(50, 140, 800, 1120)
      channel.signal("TERM")
      yield* eventually(() => seen.length === 5)
      assert.deepStrictEqual(seen, [
        { _tag: "Environment", name: "LANG", value: "C" },
        {
          _tag: "Terminal",
          term: "xterm-256color",
          size: { columns: 132, rows: 43 },
          modes: new Map([[53, 1]])
        },
        { _tag: "Exec", command: "sh" },
        { _tag: "WindowChange", size: { columns: 140, rows: 50, pixels: { width: 1120, height: 800 } } },
        { _tag: "Signal", name: "TERM" }
      ])
    }))

  it.live("tells shell and subsystem", () =>
    Effect.gen(function*() {
      const seen: Array<SessionRequest> = []
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          seen.push(yield* untilStart(channel))
          yield* channel.exit(exited(0))
        })
      ))
      const client = yield* Client.connect(server.port)
      client.shell(false, () => {})
      client.subsys("sftp", () => {})
      yield* eventually(() => seen.length === 2)
      assert.deepStrictEqual(
        seen.map((request) => "name" in request ? [request._tag, request.name] : [request._tag]),
        [["Shell"], ["Subsystem", "sftp"]]
      )
    }))

  it.live("tells a program that a signal ended", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          const request = yield* untilStart(channel)
          const signal = request._tag === "Exec" ? request.command : ""
          yield* channel.exit({ _tag: "Signaled", signal, message: "killed" })
        })
      ))
      const client = yield* Client.connect(server.port)
      const killed = yield* Client.run(client, "KILL")
      assert.strictEqual(killed.signal, "SIGKILL")
      const bus = yield* Client.run(client, "BUS")
      assert.strictEqual(bus.signal, "SIGBUS@kuberun.dev")
    }))

  it.live("hands on a break, and its answer", () =>
    Effect.gen(function*() {
      const lengths: Array<number> = []
      const server = yield* start(sessions((channel) =>
        Stream.runForEach(channel.requests, (request) => {
          if (request._tag !== "Break") return request.reply(true)
          lengths.push(request.milliseconds)
          return request.reply(request.milliseconds < 1000)
        })
      ))
      const raw = yield* connectRaw(server.port)
      const channel = yield* raw.open()
      for (const milliseconds of [500, 2000]) channel.request("break", true, uint32(milliseconds))
      assert.deepStrictEqual([yield* channel.answer, yield* channel.answer], [true, false])
      assert.deepStrictEqual(lengths, [500, 2000])
    }))

  it.live("tells the client to leave ^S and ^Q alone, after a terminal was granted and only then", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions((channel) =>
        Stream.runForEach(
          channel.requests,
          (request) => request.reply(request._tag === "Terminal" ? request.term !== "none" : true)
        )
      ))
      const raw = yield* connectRaw(server.port)
      const terminal = (term: string) => Buffer.concat([string(term), ...[80, 24, 0, 0].map(uint32), string("")])
      const channel = yield* raw.open()
      channel.request("env", true, Buffer.concat([string("A"), string("b")]))
      channel.request("pty-req", true, terminal("none"))
      channel.request("pty-req", true, terminal("vt100"))
      channel.request("shell", true)
      yield* Effect.replicateEffect(channel.answer, 4)
      assert.deepStrictEqual(channel.types(), [99, 100, 99, 98, 99])
      const fields = new WireReader(raw.messages.find((message) => message[0] === 98) ?? Buffer.alloc(0), 5)
      assert.deepStrictEqual([fields.text(), fields.boolean(), fields.boolean()], ["xon-xoff", false, false])
      assert.deepStrictEqual([fields.ok, fields.available], [true, 0])
    }))

  it.live("stays open after a refused program, and a later one may start", () =>
    Effect.gen(function*() {
      let refused = 0
      const server = yield* start(sessions((channel) =>
        channel.requests.pipe(Stream.runForEach((request) =>
          Effect.gen(function*() {
            if (!isStart(request)) return yield* request.reply(true)
            if (refused++ === 0) return yield* request.reply(false)
            yield* request.reply(true)
            yield* Stream.run(Stream.map(channel.stdin, stdout), channel.output)
            yield* channel.exit(exited(0))
          })
        ))
      ))
      const raw = yield* connectRaw(server.port)
      const channel = yield* raw.open()
      channel.request("exec", true, Buffer.from("\0\0\0\x03one"))
      channel.data(text("kept"))
      channel.request("exec", true, Buffer.from("\0\0\0\x03two"))
      channel.eof()
      assert.isFalse(yield* channel.answer)
      assert.isTrue(yield* channel.answer)
      yield* eventually(() =>
        channel.types().includes(97)
      )
      assert.strictEqual(channel.received().toString(), "kept")
    }))

  it.live("completes `closed` and ends its streams when the client closes it", () =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<ReadonlyArray<string>>()
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* Stream.runDrain(channel.requests)
          const input: Array<Uint8Array> = yield* Stream.runCollect(channel.stdin)
          yield* channel.closed
          yield* Deferred.succeed(ended, input.map((_) => Buffer.from(_).toString()))
        })
      ))
      const raw = yield* connectRaw(server.port)
      const channel = yield* raw.open()
      channel.data(text("last words"))
      channel.close()
      assert.deepStrictEqual(yield* Deferred.await(ended), ["last words"])
      yield* eventually(() => channel.types().includes(97))
    }))

  it.live("fails its output at once when the client closes it while the program is silent", () =>
    Effect.gen(function*() {
      const failed = yield* Deferred.make<ChannelClosed>()
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* Deferred.succeed(failed, yield* Effect.flip(Stream.run(Stream.never, channel.output)))
        })
      ))
      const raw = yield* connectRaw(server.port)
      const channel = yield* raw.open()
      channel.close()
      assert.strictEqual((yield* Deferred.await(failed))._tag, "ChannelClosed")
    }))
})
