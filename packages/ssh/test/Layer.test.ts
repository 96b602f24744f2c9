/** The package by itself: nothing else is imported but `effect`, clients apart. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Layer, Logger, Ref, Scope, Stream } from "effect"
import {
  accepted,
  Authenticator,
  eachSession,
  lineTerminal,
  type SessionChannel,
  type SessionRequest,
  SshServer,
  stdout
} from "../src/index.ts"
import * as LineEditor from "../src/LineEditor.ts"
import { string, uint32 } from "../src/WireReader.ts"
import * as Client from "./Client.ts"
import { connect } from "./RawClient.ts"
import { eventually, hostKey } from "./TestServer.ts"

class Greeting extends Context.Service<Greeting, string>()("Greeting") {}

const everyone = Layer.succeed(Authenticator, { methods: ["password"], authenticate: () => Effect.succeed(accepted) })
const options = {
  host: "127.0.0.1",
  port: 0,
  hostKeys: [hostKey.privateKey],
  limits: { closeGrace: "200 millis" }
} as const

/** Answers the requests of a channel as long as it lives, and hands on the program. */
const program = (channel: SessionChannel) =>
  Effect.gen(function*() {
    const asked = yield* Deferred.make<SessionRequest>()
    yield* Effect.forkScoped(Stream.runForEach(channel.requests, (request) =>
      Effect.andThen(request.reply(true), Deferred.succeed(asked, request))))
    const request = yield* Deferred.await(asked)
    return request._tag === "Exec" ? request.command : ""
  })

const serving = <R>(handler: Parameters<typeof SshServer.layer<R>>[1]) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(SshServer.layer(options, handler))
    return Context.get(context, SshServer).address.port
  }).pipe(Effect.provide(everyone))

describe("a server as a layer", () => {
  it.live("serves with what its handler needs for as long as it is held", () =>
    Effect.gen(function*() {
      const handler = eachSession((channel, { username }) =>
        Effect.gen(function*() {
          const greeting = yield* Greeting
          const command = yield* program(channel)
          const text = `${greeting}, ${username}: ${command}`
          yield* Stream.run(Stream.make(stdout(Buffer.from(text))), channel.output)
        })
      )
      const held = Effect.scoped(Effect.gen(function*() {
        const port = yield* serving(handler)
        const client = yield* Client.connect(port)
        const ran = yield* Client.run(client, "who")
        assert.deepStrictEqual([ran.stdout.toString(), ran.code], ["Good day, demo: who", 0])
        return port
      }))
      const port = yield* Effect.provideService(held, Greeting, "Good day")
      yield* Effect.flip(Client.connect(port))
    }))

  it.live("when it is given back, has closed the scopes of its connections and the connections", () =>
    Effect.gen(function*() {
      const finalized = yield* Ref.make(false)
      const opened = yield* Deferred.make<void>()
      const handler = () =>
        Effect.gen(function*() {
          yield* Effect.addFinalizer(() => Effect.delay(Ref.set(finalized, true), "20 millis"))
          yield* Deferred.succeed(opened, undefined)
          return yield* Effect.never
        })
      const held = yield* Scope.make()
      const raw = yield* connect(yield* Scope.provide(serving(handler), held))
      yield* Deferred.await(opened)
      yield* Scope.close(held, Exit.void)
      assert.isTrue(yield* Ref.get(finalized))
      yield* eventually(raw.isClosed)
      assert.strictEqual(raw.disconnectText(), "the server ended the connection")
    }))

  it.live("fails in a sentence when it cannot listen", () =>
    Effect.gen(function*() {
      const build = Layer.build(SshServer.layer({ ...options, hostKeys: [] }, () => Effect.never))
      const error = yield* Effect.flip(build.pipe(Effect.provide(everyone)))
      assert.strictEqual(error.reason, "BadHostKey")
    }))
})

describe("a handler of single sessions", () => {
  it.live("gives each its status, and a crash to none but itself", () =>
    Effect.gen(function*() {
      const log: Array<unknown> = []
      const logger = Logger.make<unknown, void>((entry) => {
        log.push(entry.message)
      })
      const port = yield* serving(eachSession((channel) =>
        Effect.gen(function*() {
          const command = yield* program(channel)
          if (command === "crash") return yield* Effect.die(new Error("out of luck"))
          if (command !== "") return { _tag: "Exited", code: Number(command) } as const
          return yield* Effect.never
        })
      )).pipe(Effect.provide(Logger.layer([logger])))
      const client = yield* Client.connect(port)
      const codes = yield* Effect.forEach(["3", "crash", "0", "42"], (command) =>
        Effect.map(Client.run(client, command), ({ code }) => code))
      assert.deepStrictEqual(codes, [3, 255, 0, 42])
      assert.deepStrictEqual(log.flat(), ["a session crashed: out of luck"])
    }))

  it.live("closes a session's scope when the client closes its channel, and no other's", () =>
    Effect.gen(function*() {
      const open = new Set<number>()
      const port = yield* serving(eachSession((channel) =>
        Effect.andThen(
          Effect.acquireRelease(
            Effect.sync(() => open.add(channel.id)),
            () => Effect.sync(() => open.delete(channel.id))
          ),
          Effect.never
        )
      ))
      const raw = yield* connect(port)
      const first = yield* raw.open()
      yield* raw.open()
      yield* eventually(() => open.size === 2)
      first.close()
      yield* eventually(() => open.size === 1)
      assert.deepStrictEqual([...open], [1])
      raw.socket.destroy()
      yield* eventually(() => open.size === 0)
    }))
})

describe("a terminal of lines", () => {
  it.live("is had with a shell, and with nothing else", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const port = yield* serving(eachSession((channel) =>
        Effect.gen(function*() {
          const { lines } = yield* lineTerminal(channel)
          yield* Stream.runForEach(lines, (line) => Effect.sync(() => said.push(line)))
        })
      ))
      const raw = yield* connect(port)
      const channel = yield* raw.open()
      channel.data(Buffer.from("before the shell\n"))
      for (
        const [type, data] of [["exec", "\0\0\0\u0002ls"], ["subsystem", "\0\0\0\u0004sftp"], ["shell", ""], [
          "shell",
          ""
        ]]
      ) {
        channel.request(type ?? "", true, Buffer.from(data ?? ""))
      }
      const answers = yield* Effect.replicateEffect(channel.answer, 4)
      assert.deepStrictEqual(answers, [false, false, true, false])
      channel.data(Buffer.from("and after\nwithout an end"))
      channel.eof()
      yield* eventually(() => channel.types().includes(97))
      assert.deepStrictEqual(said, ["before the shell", "and after", "without an end"])
      assert.strictEqual(channel.received().length, 0)
    }))

  it.live("shows what it is told above what is typed, and nothing that a terminal would obey", () =>
    Effect.gen(function*() {
      const port = yield* serving(eachSession((channel) =>
        Effect.gen(function*() {
          const terminal = yield* lineTerminal(channel, { prompt: "\u001b[1mme> " })
          yield* Stream.runForEach(terminal.lines, (line) => terminal.print(`heard\u001b[2J ${line}\n\u0007thanks`))
        })
      ))
      const raw = yield* connect(port)
      const channel = yield* raw.open()
      const size = Buffer.concat([20, 5, 0, 0].map(uint32))
      channel.request("pty-req", true, Buffer.concat([string("vt100"), size, string("")]))
      channel.request("shell", true)
      yield* Effect.replicateEffect(channel.answer, 2)
      channel.data(Buffer.from("x\ry"))
      yield* eventually(() => channel.received().toString().endsWith(`thanks\r\n${LineEditor.clearRow}[1mme> y`))
      channel.request("window-change", true, Buffer.concat([12, 5, 0, 0].map(uint32)))
      assert.isTrue(yield* channel.answer)
      channel.data(Buffer.from("z"))
      yield* eventually(() => channel.received().toString().endsWith("yz"))
      channel.data(Buffer.from("\u0015"))
      channel.data(Buffer.from("\u0004"))
      yield* eventually(() => channel.types().includes(97))
      const rows = channel.received().toString().split(LineEditor.clearRow)
      const expected = ["", "[1mme> ", "[1mme> x\r\n", "[1mme> y", "heard[2J x\r\nthanks\r\n", "[1mme> y", "yz", "\r\n"]
      // The two keys at the end may come as one.
      assert.deepStrictEqual(rows.filter((row, index) => row !== "" || index === 0), expected)
    }))
})
