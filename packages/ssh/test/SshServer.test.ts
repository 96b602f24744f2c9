import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Redacted, Stream } from "effect"
import { Authenticator, rejected, type SshConnection } from "kuberun"
import * as Net from "node:net"
import { generateKey, make } from "../src/index.ts"
import * as Client from "./Client.ts"
import { connect } from "./RawClient.ts"
import { eventually, hostKey, sessions, start } from "./TestServer.ts"

const failure = (options: { host?: string; port?: number; hostKeys?: ReadonlyArray<string> }) =>
  Effect.scoped(Effect.flip(make({
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    hostKeys: (options.hostKeys ?? [Redacted.value(hostKey.privateKey)]).map((key) => Redacted.make(key))
  })))

describe("an SSH server", () => {
  it.live("tells its handler who came, and from where", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<SshConnection>()
      const server = yield* start((connection) => Effect.andThen(Deferred.succeed(seen, connection), Effect.never))
      yield* Client.connect(server.port, { username: "léa" })
      const connection = yield* Deferred.await(seen)
      assert.match(connection.id, /^[0-9a-f]{32}$/)
      assert.strictEqual(connection.username, "léa")
      assert.strictEqual(connection.remoteAddress, "127.0.0.1")
      assert.isAbove(connection.remotePort, 0)
      assert.strictEqual(connection.localAddress, "127.0.0.1")
      assert.strictEqual(connection.localPort, server.port)
      assert.deepStrictEqual(connection.metadata, {})
      assert.match(connection.clientVersion, /^ssh2js/)
    }))

  it.live("hands on what the authenticator said of the user", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<SshConnection>()
      const server = yield* start(
        (connection) => Effect.andThen(Deferred.succeed(seen, connection), Effect.never),
        {
          authenticate: (request) =>
            Effect.succeed(
              request._tag === "Password" ? { _tag: "Accepted", metadata: { team: "blue", uid: "1042" } } : rejected
            )
        }
      )
      yield* Client.connect(server.port)
      assert.deepStrictEqual((yield* Deferred.await(seen)).metadata, { team: "blue", uid: "1042" })
    }))

  it.live("closes a handler's scope, and ends its streams, whichever way the client leaves", () =>
    Effect.gen(function*() {
      const finalized: Array<string> = []
      const server = yield* start((connection) =>
        Effect.gen(function*() {
          yield* Effect.addFinalizer(() => Effect.sync(() => finalized.push(connection.username)))
          yield* Stream.runForEach(connection.sessions, (channel) => channel.closed)
          return yield* Effect.never
        })
      )
      const polite = yield* Client.connect(server.port, { username: "polite" })
      polite.end()
      yield* eventually(() => finalized.includes("polite"))
      const killed = yield* connect(server.port)
      yield* killed.open()
      killed.socket.destroy()
      yield* eventually(() => finalized.includes("demo"))
      const reset = yield* Client.connect(server.port, { username: "hostile" })
      reset.destroy()
      yield* eventually(() => finalized.includes("hostile"))
      assert.strictEqual(finalized.length, 3)
    }))

  it.live("ends a connection whose handler completes or dies, and no other", () =>
    Effect.gen(function*() {
      let finalized = 0
      const server = yield* start((connection) =>
        Effect.gen(function*() {
          yield* Effect.addFinalizer(() => Effect.sync(() => finalized += 1))
          if (connection.username === "done") return
          if (connection.username === "crash") return yield* Effect.die(new Error("out of luck"))
          return yield* Effect.never
        })
      )
      const steady = yield* Client.connect(server.port, { username: "steady" })
      let steadyIsClosed = false
      steady.on("close", () => {
        steadyIsClosed = true
      })
      for (const username of ["done", "crash"]) {
        let isClosed = false
        const client = yield* Client.connect(server.port, { username })
        client.on("close", () => {
          isClosed = true
        })
        yield* eventually(() => isClosed)
      }
      assert.strictEqual(finalized, 2)
      assert.isFalse(steadyIsClosed)
      const crashes = server.log.filter((line) => line.includes("out of luck"))
      assert.strictEqual(crashes.length, 1)
      assert.match(crashes[0] ?? "", /^Error the connection crashed: out of luck .*"connectionId":"[0-9a-f]{32}"/)
      assert.notInclude(crashes[0] ?? "", "    at ")
    }))

  it.live("when interrupted, lets nobody in, closes the scopes, says goodbye, and only then completes", () =>
    Effect.gen(function*() {
      const cleaning = yield* Deferred.make<void>()
      const cleaned = yield* Deferred.make<void>()
      const server = yield* start(() =>
        Effect.andThen(
          Effect.addFinalizer(() => Effect.andThen(Deferred.succeed(cleaning, undefined), Deferred.await(cleaned))),
          Effect.never
        )
      )
      const raw = yield* connect(server.port)
      yield* Effect.forkChild(server.stop)
      yield* Deferred.await(cleaning)
      yield* Effect.flip(Client.connect(server.port))
      assert.isFalse(raw.isClosed())
      assert.isFalse(server.isStopped())
      yield* Deferred.succeed(cleaned, undefined)
      yield* eventually(() => server.isStopped() && raw.isClosed())
      assert.strictEqual(raw.disconnectText(), "the server ended the connection")
    }))

  it.live("serves those who came before it was run", () =>
    Effect.gen(function*() {
      const server = yield* make({ host: "127.0.0.1", port: 0, hostKeys: [hostKey.privateKey] })
      const socket = yield* Effect.acquireRelease(
        Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect(server.address.port, server.address.host, () => resume(Effect.succeed(socket)))
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      let greeting = ""
      socket.on("data", (data) => greeting += data.toString("latin1"))
      yield* server.run(sessions(() => Effect.never)).pipe(
        Effect.provideService(Authenticator, { methods: [], authenticate: () => Effect.succeed(rejected) }),
        Effect.forkScoped
      )
      yield* eventually(() => greeting.startsWith("SSH-2.0-"))
    }))

  it.live("shows its banner before the login", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions(() => Effect.never), { server: { banner: "Welcome to the test" } })
      const raw = yield* connect(server.port, { login: "manual" })
      const banner = yield* raw.take((_) => _[0] === 53)
      assert.include(banner.toString(), "Welcome to the test")
    }))

  it.live("names the address that it cannot listen on, and what to do", () =>
    Effect.gen(function*() {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer()
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = taken.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const inUse = yield* failure({ port })
      assert.strictEqual(inUse.reason, "AddressInUse")
      assert.include(inUse.message, `127.0.0.1:${port}`)
      const elsewhere = yield* failure({ host: "192.0.2.1" })
      assert.strictEqual(elsewhere.reason, "AddressNotAvailable")
    }))

  it.live("says what is wrong with a host key", () =>
    Effect.gen(function*() {
      const none = yield* failure({ hostKeys: [] })
      assert.include(none.message, "ssh-keygen")
      const garbage = yield* failure({ hostKeys: ["not a key"] })
      assert.deepStrictEqual([garbage.reason, garbage.message.includes("host key 1")], ["BadHostKey", true])
      const broken = yield* failure({ hostKeys: ["-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"] })
      assert.include(broken.message, "cannot be read")
      const { publicKey } = yield* generateKey("host")
      const publicOnly = yield* failure({ hostKeys: [publicKey] })
      assert.include(publicOnly.message, "not a private key")
      assert.notInclude(publicOnly.message, publicKey)
    }))
})
