/** ssh2's traps around the connection, by the numbers of the README. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Redacted } from "effect"
import { type AuthenticationRequest, rejected } from "kuberun"
import * as Net from "node:net"
import * as Link from "../src/Link.ts"
import { makeTransportServer } from "../src/Ssh2Guards.ts"
import { defaults } from "../src/SshLimits.ts"
import { string } from "../src/WireReader.ts"
import * as Client from "./Client.ts"
import { connect } from "./RawClient.ts"
import { eventually, exited, hostKey, openToPassword, sessions, start, untilStart } from "./TestServer.ts"

/** A socket that never closes its own side. */
const peer = (port: number) =>
  Effect.gen(function*() {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const state = { received: Buffer.alloc(0), isEnded: false }
    socket.on("error", () => {
      state.isEnded = true
    })
    socket.on("data", (data) => {
      state.received = Buffer.concat([state.received, data])
    })
    socket.on("end", () => {
      state.isEnded = true
    })
    return { socket, state }
  })

/** Connects until the server takes it: it refuses while its only place is taken. */
const placeIsFree = (port: number) => Effect.eventually(Effect.scoped(Effect.delay(Client.connect(port), "5 millis")))

describe("a connection", () => {
  it.live("T8: is given up after a protocol error though the client never closes it", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), {
        limits: { maxConnections: 1, closeGrace: "50 millis" }
      })
      const { socket, state } = yield* peer(server.port)
      socket.write("SSH-2.0-hostile\r\n")
      yield* eventually(() => state.received.length > 0)
      socket.write(Buffer.alloc(64, 0xff))
      yield* eventually(() => state.isEnded)
      yield* placeIsFree(server.port)
    }))

  it.live("T8: is given up after our goodbye though the client never answers", () =>
    Effect.gen(function*() {
      const server = yield* start(() => Effect.void, { limits: { maxConnections: 1, closeGrace: "50 millis" } })
      const raw = yield* connect(server.port)
      raw.socket.pause()
      yield* placeIsFree(server.port)
    }))

  it.live("T8: frees a channel whose close the client never answers", () =>
    Effect.gen(function*() {
      const server = yield* start(
        sessions((channel) => Effect.andThen(untilStart(channel), channel.exit(exited(0)))),
        { limits: { maxSessions: 1, closeGrace: "50 millis" } }
      )
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      channel.request("shell", true)
      yield* eventually(() => channel.types().includes(97))
      yield* Effect.eventually(raw.open())
    }))

  it.live("T9: ends after too many tries to log in", () =>
    Effect.gen(function*() {
      const asked: Array<AuthenticationRequest> = []
      const server = yield* start(sessions(() => Effect.never), {
        limits: { maxAuthTries: 3 },
        authenticate: (request) =>
          Effect.sync(() => {
            asked.push(request)
            return rejected
          })
      })
      const raw = yield* connect(server.port, { login: "manual" })
      const password = Buffer.concat([
        Buffer.of(50),
        string("demo"),
        string("ssh-connection"),
        string("password"),
        Buffer.of(0),
        string("wrong")
      ])
      for (let tries = 0; tries < 10; tries++) raw.send(password)
      yield* eventually(() => raw.isClosed() || asked.length === 10)
      assert.strictEqual(raw.disconnectText(), "Too many authentication failures")
      assert.strictEqual(asked.length, 3)
    }))

  it.live("T9: has so many session channels and no more", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), { limits: { maxSessions: 2 } })
      const raw = yield* connect(server.port)
      const first = yield* raw.open()
      yield* raw.open()
      assert.include(yield* Effect.flip(raw.open()), "limit")
      first.close()
      yield* raw.open()
    }))

  it.live("T9: ends when the client is silent for too long, and not while it answers", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), {
        limits: { clientAliveInterval: "250 millis", clientAliveCountMax: 2 }
      })
      const polite = yield* Client.connect(server.port)
      let politeIsClosed = false
      polite.on("close", () => {
        politeIsClosed = true
      })
      // The raw client hears the question and does not answer.
      const silent = yield* connect(server.port)
      yield* eventually(silent.isClosed)
      assert.strictEqual(silent.messages.filter((_) => _[0] === 80).length, 1)
      assert.isFalse(politeIsClosed)
    }))

  it.live("T9: ends when the client does not finish a key exchange", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), {
        limits: { rekeyInterval: "20 millis", rekeyGrace: "50 millis" }
      })
      const raw = yield* connect(server.port, { ignoresRekey: true })
      yield* eventually(raw.isClosed)
      assert.include(server.log.join("\n"), "did not finish a key exchange")
    }))

  it.live("T10: is cut when the client is silent from the start, or says half a line", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), {
        limits: { loginGraceTime: "50 millis", maxConnections: 2, closeGrace: "50 millis" }
      })
      const silent = yield* peer(server.port)
      const half = yield* peer(server.port)
      half.socket.write(Buffer.alloc(8000, "x"))
      yield* eventually(() => silent.state.isEnded && half.state.isEnded)
      // Silent peers count against the limit from the accept on.
      yield* placeIsFree(server.port)
    }))

  it.live("T10: counts those who did not log in, and refuses more than are allowed", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), { limits: { maxStartups: 1 } })
      const first = yield* peer(server.port)
      yield* eventually(() => first.state.received.length > 0)
      const second = yield* peer(server.port)
      yield* eventually(() => second.state.isEnded)
      assert.include(second.state.received.toString(), "MaxStartups")
      first.socket.destroy()
      const client = yield* Effect.eventually(Client.connect(server.port))
      yield* Client.connect(server.port)
      client.destroy()
    }))

  it.live("T11: that breaks off in the middle of a packet harms no other", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions((channel) => Effect.andThen(untilStart(channel), channel.exit(exited(5)))))
      const client = yield* Client.connect(server.port)
      for (const bytes of ["\xff\xff\xff\xff", "GET / HTTP/1.1\r\n\r\n", "\0\0\0\x0c\x0a\x14"]) {
        const { socket, state } = yield* peer(server.port)
        socket.write("SSH-2.0-hostile\r\n")
        yield* eventually(() => state.received.length > 0)
        socket.end(Buffer.from(bytes.padEnd(64, "\xff"), "latin1"))
        yield* eventually(() => state.isEnded)
      }
      assert.strictEqual((yield* Client.run(client, "x")).code, 5)
    }))

  it.live("T12: that makes us fail ends, and the reason is told as ours", () =>
    Effect.gen(function*() {
      const transport = makeTransportServer([Redacted.value(hostKey.privateKey)], undefined)
      const links: Array<Link.Link> = []
      const server = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => {
            links.push(Link.make({
              server: transport,
              socket,
              limits: defaults,
              now: Date.now,
              onMessage: () => {
                throw new Error("broken on purpose")
              },
              onEnd: () => {}
            }))
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      yield* Effect.flip(Client.connect(port))
      assert.strictEqual(links[0]?.endReason(), "a fault in the server: broken on purpose")
    }))

  it.live("refuses other channels with the reason, and honours that no more sessions come", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions((channel) => Stream.runDrain(channel.stdin)))
      const raw = yield* connect(server.port)
      const reasons = ["direct-tcpip", "x11", "nonsense"]
      for (const [index, type] of reasons.entries()) {
        raw.send(
          Buffer.of(90),
          string(type),
          Buffer.alloc(3),
          Buffer.of(index),
          Buffer.alloc(8, 0x10),
          Buffer.alloc(64)
        )
      }
      const failures = yield* Effect.forEach(reasons, () => raw.take((_) => _[0] === 92))
      assert.deepStrictEqual(failures.map((_) => _.readUInt32BE(5)), [1, 3, 3])
      yield* raw.open()
      raw.send(Buffer.of(80), string("no-more-sessions@openssh.com"), Buffer.of(1))
      yield* raw.take((_) => _[0] === 81)
      assert.include(yield* Effect.flip(raw.open()), "no more sessions")
      raw.send(Buffer.of(80), string("keepalive@openssh.com"), Buffer.of(1))
      yield* raw.take((_) => _[0] === 82)
    }))

  it.live("ends at a message of the connection protocol before the login", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), {
        authenticate: (request) => Effect.sync(() => openToPassword(request))
      })
      const raw = yield* connect(server.port, { login: "manual" })
      raw.send(Buffer.of(80), string("keepalive@openssh.com"), Buffer.of(1))
      yield* eventually(raw.isClosed)
      assert.include(raw.disconnectText(), "log in first")
    }))

  it.live("ends at a window above 2^32-1 and at a malformed request", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never))
      const first = yield* connect(server.port)
      const channel = yield* first.open({ window: 0xffffffff })
      channel.adjust(1)
      yield* eventually(first.isClosed)
      assert.include(first.disconnectText(), "window above")
      const second = yield* connect(server.port)
      const other = yield* second.open()
      other.request("env", true, Buffer.from("\0\0\0\x09short"))
      yield* eventually(second.isClosed)
      assert.include(second.disconnectText(), "malformed env request")
    }))
})
