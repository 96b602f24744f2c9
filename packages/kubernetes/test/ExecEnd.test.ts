/**
 * How an exec begins and ends. The names say which fault of other clients each is about.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"
import { QUIET_AFTER_STATUS } from "../src/Exec.ts"
import { exitOf, frame, outputOf, request, success } from "./ExecScript.ts"
import { type Script, scripted, until } from "./ScriptedServer.ts"

/** Starts the exec and answers its output and exit as text. */
const ran = (exec: Script["exec"], subprotocol = "v5.channel.k8s.io") =>
  Effect.gen(function*() {
    const { cluster } = yield* scripted({ subprotocol, ...(exec === undefined ? {} : { exec }) })
    const process = yield* cluster.exec(request)
    return { output: yield* outputOf(process), exit: yield* exitOf(process) }
  })

const refusal = (code: number, body: string) => (_: unknown, socket: Duplex) =>
  socket.end(
    `HTTP/1.1 ${code} No\r\ncontent-length: ${body.length}\r\nlocation: /elsewhere\r\nconnection: close\r\n\r\n${body}`
  )

/** Leaves the upgrade without an answer, and hangs up when the client does. */
const neverAnswers = (_: unknown, socket: Duplex) => {
  socket.resume()
  socket.on("end", () => socket.end())
}

describe("the handshake", () => {
  it.live("offers v5 before v4, no compression, and tells who is asking", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({ exec: () => undefined })
      yield* cluster.exec(request)
      const headers = server.requests[0]?.headers
      assert.strictEqual(headers?.["sec-websocket-protocol"], "v5.channel.k8s.io,v4.channel.k8s.io")
      assert.isUndefined(headers?.["sec-websocket-extensions"])
      assert.strictEqual(headers?.authorization, "Bearer secret-token")
    }))

  const refusals: ReadonlyArray<readonly [code: number, body: string, reason: string, detail: string]> = [
    [
      403,
      "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"cannot get pods/exec\"}",
      "Forbidden",
      "cannot get pods/exec"
    ],
    [
      404,
      "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"pods p not found\"}",
      "NotFound",
      "pods p not found"
    ],
    [
      400,
      "{\"kind\":\"Status\",\"reason\":\"BadRequest\",\"message\":\"container c is not valid\"}",
      "Rejected",
      "not valid"
    ],
    [401, "", "Unauthorized", "HTTP 401"],
    [502, "<html>", "ServerFault", "HTTP 502"],
    [307, "", "Rejected", "redirect"],
    [200, "", "ProtocolViolation", "HTTP 200"]
  ]
  for (const [code, body, reason, detail] of refusals) {
    it.live(`refused with ${code} fails with ${reason} and the server's own words`, () =>
      Effect.gen(function*() {
        const { cluster, server } = yield* scripted({ upgrade: refusal(code, body) })
        const error = yield* Effect.flip(cluster.exec(request))
        assert.strictEqual(error.reason._tag, reason)
        assert.include(error.message, detail)
        assert.include(error.message, "cannot run a program in pod n/p, container c")
        yield* until(() => server.open() === 0)
      }))
  }

  it.live("refused with a body that is cut off is told by its code", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({
        upgrade: (_, socket) => socket.end("HTTP/1.1 403 No\r\ncontent-length: 99\r\n\r\n{")
      })
      assert.strictEqual((yield* Effect.flip(cluster.exec(request))).reason._tag, "Forbidden")
    }))

  it.live("that is cut is Unreachable", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({ upgrade: (_, socket) => socket.destroy() })
      assert.strictEqual((yield* Effect.flip(cluster.exec(request))).reason._tag, "Unreachable")
    }))

  it.live("that agrees on no subprotocol is a ProtocolViolation", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({ subprotocol: false, exec: () => undefined })
      assert.strictEqual((yield* Effect.flip(cluster.exec(request))).reason._tag, "ProtocolViolation")
    }))

  it.effect("that is never answered fails with CallTimedOut, and the connection is gone at once", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({ upgrade: neverAnswers }, {
        callTimeout: "10 seconds"
      })
      const call = yield* Effect.flip(cluster.exec(request)).pipe(Effect.forkChild({ startImmediately: true }))
      yield* until(() => server.requests.length === 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(call)).reason._tag, "CallTimedOut")
      yield* until(() => server.open() === 0)
    }))

  it.live("can be interrupted, and the connection is gone at once", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({ upgrade: neverAnswers })
      const call = yield* cluster.exec(request).pipe(Effect.forkChild({ startImmediately: true }))
      yield* until(() => server.requests.length === 1)
      yield* Fiber.interrupt(call)
      yield* until(() => server.open() === 0)
    }))
})

describe("the end", () => {
  it.live("is the exit code, after all the output", () =>
    Effect.gen(function*() {
      const code =
        "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"7\"}]}}"
      const result = yield* ran((socket) => {
        socket.send(frame(1, "a"))
        socket.send(frame(2, "b"))
        socket.send(frame(3, code))
        socket.close(1000)
      })
      assert.deepStrictEqual(result, { output: "o:a e:b end", exit: "7" })
    }))

  it.live("takes output that comes after the status", () =>
    Effect.gen(function*() {
      const result = yield* ran((socket) => {
        socket.send(success)
        socket.send(frame(1, "late"))
        socket.close(1000)
      })
      assert.deepStrictEqual(result, { output: "o:late end", exit: "0" })
    }))

  it.live("is proven by the status, whatever the close says", () =>
    Effect.gen(function*() {
      for (const cut of [(socket: WebSocket) => socket.close(1001), (socket: WebSocket) => socket.terminate()]) {
        const result = yield* ran((socket) => socket.send(success, () => cut(socket)))
        assert.deepStrictEqual(result, { output: "end", exit: "0" })
      }
    }))

  it.live("without a status is StreamLost, after what had come: close 1000 proves nothing", () =>
    Effect.gen(function*() {
      const result = yield* ran((socket) => {
        socket.send(frame(1, "a"))
        socket.close(1000)
      })
      assert.deepStrictEqual(result, { output: "o:a StreamLost", exit: "StreamLost" })
    }))

  it.live("by a cut of the connection is StreamLost, after what had come", () =>
    Effect.gen(function*() {
      const result = yield* ran((socket) => socket.send(frame(1, "a"), () => socket.terminate()))
      assert.deepStrictEqual(result, { output: "o:a StreamLost", exit: "StreamLost" })
    }))

  it.live("by a runtime's refusal is NotStarted with its words", () =>
    Effect.gen(function*() {
      const result = yield* ran((socket) => {
        socket.send(frame(3, "{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"no such file\"}"))
        socket.close(1000)
      })
      assert.deepStrictEqual(result, { output: "end", exit: "not started: no such file" })
    }))

  it.live("may be told in pieces, also of one character", () =>
    Effect.gen(function*() {
      const status = "{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"schlüssel €\"}"
      const result = yield* ran((socket) => {
        for (const byte of Buffer.from(status)) socket.send(frame(3, Uint8Array.of(byte)))
        socket.close(1000)
      })
      assert.deepStrictEqual(result, { output: "end", exit: "not started: schlüssel €" })
    }))

  const violations: ReadonlyArray<readonly [string, (socket: WebSocket) => void]> = [
    ["a status that is no JSON", (socket) => socket.send(frame(3, "exit 7"), () => socket.close(1000))],
    ["a status that is no Status", (socket) => socket.send(frame(3, "{\"status\":\"Perhaps\"}"))],
    ["a status without an end", (socket) => socket.send(frame(3, "x".repeat(70_000)))],
    ["a text message", (socket) => socket.send("text")],
    ["a message without a channel", (socket) => socket.send(Buffer.alloc(0))],
    ["a message over the limit", (socket) => socket.send(frame(1, Buffer.alloc(1024 * 1024)))],
    ["bytes that are no frame", (socket) => Reflect.get(socket, "_socket").write(Buffer.of(0xff, 0xff, 0xff))]
  ]
  for (const [name, act] of violations) {
    // By the test's clock: nothing of this may be left to a time limit.
    it.effect(`by ${name} is a ProtocolViolation, and the process lives on`, () =>
      Effect.gen(function*() {
        const result = yield* ran(act)
        assert.deepStrictEqual(result, { output: "ProtocolViolation", exit: "ProtocolViolation" })
      }))
  }

  it.live("is not disturbed by unknown channels, by 255, nor by empty messages on known ones", () =>
    Effect.gen(function*() {
      const result = yield* ran((socket) => {
        for (const channel of [0, 1, 2, 3, 4, 5, 17, 255]) socket.send(frame(channel, ""))
        socket.send(frame(9, "what"))
        socket.send(frame(255, Buffer.of(1)))
        socket.send(frame(1, "a"))
        socket.send(success)
        socket.close(1000)
      })
      assert.deepStrictEqual(result, { output: "o:a end", exit: "0" })
    }))

  it.effect("is made by us when the server does not close after the status, but not while it still sends", () =>
    Effect.gen(function*() {
      let socket: WebSocket | undefined
      const { cluster, server } = yield* scripted({
        exec: (opened) => {
          socket = opened
          opened.send(success)
        }
      })
      const process = yield* cluster.exec(request)
      const pieces: Array<string> = []
      const output = yield* Stream.runForEach(process.output, (each) =>
        Effect.sync(() => {
          pieces.push(Buffer.from(each.bytes).toString())
        })).pipe(Effect.forkChild({ startImmediately: true }))
      assert.strictEqual(yield* exitOf(process), "0")
      yield* TestClock.adjust("4 seconds")
      socket?.send(frame(1, "still here"))
      yield* until(() => pieces.length === 1)
      yield* TestClock.adjust("1 second")
      assert.isUndefined(output.pollUnsafe())
      yield* TestClock.adjust(QUIET_AFTER_STATUS)
      yield* Fiber.join(output)
      yield* until(() => server.open() === 0)
    }))
})

describe("the scope", () => {
  it.live("closes the socket in good order", () =>
    Effect.gen(function*() {
      let code = 0
      const { cluster, server } = yield* scripted({
        exec: (socket) =>
          socket.on("close", (given) => {
            code = given
          })
      })
      yield* Effect.scoped(cluster.exec(request))
      assert.strictEqual(server.open(), 0)
      assert.strictEqual(code, 1000)
    }))

  it.live("cuts the socket when the server does not answer the close, also while the reader stands still", () =>
    Effect.gen(function*() {
      let flooding: WebSocket | undefined
      const { cluster, server } = yield* scripted({
        exec: (socket) => {
          flooding = socket
          for (let count = 0; count < 64; count += 1) socket.send(frame(1, Buffer.alloc(32 * 1024)))
        }
      })
      const scope = yield* Scope.make()
      yield* Scope.provide(cluster.exec(request), scope)
      yield* until(() => flooding !== undefined)
      flooding?.pause()
      yield* Scope.close(scope, Exit.void)
      flooding?.resume()
      yield* until(() => server.open() === 0)
    }))

  it.live("closes in good order also while the reader stands still and the server sends", () =>
    Effect.gen(function*() {
      const ends: Array<string> = []
      let sent = false
      const { cluster, server } = yield* scripted({
        exec: (socket, { socket: raw }) => {
          raw.on("error", () => ends.push("cut"))
          socket.on("close", (code) => ends.push(String(code)))
          for (let count = 0; count < 512; count += 1) socket.send(frame(1, Buffer.alloc(32 * 1024)))
          sent = true
        }
      })
      const scope = yield* Scope.make()
      yield* Scope.provide(cluster.exec(request), scope)
      yield* until(() => sent)
      yield* Effect.repeat(until(() => true), { times: 1000 })
      yield* Scope.close(scope, Exit.void)
      yield* until(() => server.open() === 0)
      assert.deepStrictEqual(ends, ["1000"])
    }))

  it.live("when closed, ends an output that is waited for", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({ exec: () => undefined })
      const scope = yield* Scope.make()
      const process = yield* Scope.provide(cluster.exec(request), scope)
      const output = yield* outputOf(process).pipe(Effect.forkChild({ startImmediately: true }))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(output), "StreamLost")
    }))
})
