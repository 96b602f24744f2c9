/** What ssh2's transport leaves out or says wrongly. */
import { assert, describe, it } from "@effect/vitest"
import { Process } from "@kuberun/testkit"
import { Effect } from "effect"
import { accepted, rejected } from "kuberun"
import { writeFileSync } from "node:fs"
import ssh2 from "ssh2"
import { WireReader } from "../src/WireReader.ts"
import { connect } from "./RawClient.ts"
import { exited, openSsh, sessions, start, temporaryFolder, untilStart } from "./TestServer.ts"

const idle = sessions(() => Effect.never)

describe("the transport", () => {
  it.live("answers each message that it does not know with that message's number, and goes on", () =>
    Effect.gen(function*() {
      const server = yield* start(idle)
      const raw = yield* connect(server.port)
      const channel = yield* raw.open()
      for (const type of [0, 8, 19, 29, 30, 49, 52, 60, 79, 83, 101, 127, 192, 255]) {
        const number = raw.nextNumber()
        raw.send(Buffer.of(type, 1, 2, 3))
        const answer = yield* raw.take((message) => message[0] === 3)
        assert.strictEqual(answer.readUInt32BE(1), number, `type ${type}`)
      }
      yield* raw.handled
      assert.isFalse(raw.isClosed())
      assert.deepStrictEqual(channel.types(), [])
    }))

  it.live("does so before the login too", () =>
    Effect.gen(function*() {
      const server = yield* start(idle)
      const raw = yield* connect(server.port, { login: "manual" })
      const number = raw.nextNumber()
      raw.send(Buffer.of(61, 0, 0, 0, 0))
      const answer = yield* raw.take((message) => message[0] === 3)
      assert.strictEqual(answer.readUInt32BE(1), number)
    }))

  it.live("says nothing to messages that it knows and has no use for", () =>
    Effect.gen(function*() {
      const server = yield* start(idle)
      const raw = yield* connect(server.port)
      for (
        const message of [[2, 0, 0, 0, 0], [3, 0, 0, 0, 9], [4, 0, 0, 0, 0, 0, 0, 0, 0, 0], [7, 0, 0, 0, 0], [50], [81]]
      ) {
        raw.send(Buffer.from(message))
      }
      yield* raw.handled
      assert.isEmpty(raw.messages.filter((message) => message[0] === 3))
      assert.isFalse(raw.isClosed())
    }))

  it.live("names every algorithm that a key may sign with, and no other, at once and only once", () =>
    Effect.gen(function*() {
      const server = yield* start(idle)
      const raw = yield* connect(server.port)
      const told = raw.messages.filter((message) => message[0] === 7)
      assert.strictEqual(told.length, 1)
      assert.strictEqual(raw.messages[0]?.[0], 7)
      const reader = new WireReader(told[0] ?? Buffer.alloc(0), 1)
      assert.deepStrictEqual([reader.uint32(), reader.text()], [1, "server-sig-algs"])
      assert.deepStrictEqual(reader.text().split(","), [
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-256",
        "rsa-sha2-512"
      ])
      assert.isTrue(reader.ok && reader.available === 0)
    }))

  it.live("lets OpenSSH's client sign with RSA and SHA-512, and runs its commands", () =>
    Effect.gen(function*() {
      const cwd = yield* temporaryFolder
      const algorithms = new Set<string>()
      const server = yield* start(
        sessions((channel) => Effect.andThen(untilStart(channel), channel.exit(exited(7)))),
        {
          authenticate: (request) =>
            Effect.sync(() => {
              if (request._tag !== "PublicKey") return rejected
              algorithms.add(request.algorithm)
              return accepted
            })
        }
      )
      const { private: key } = ssh2.utils.generateKeyPairSync("rsa", { bits: 2048 })
      writeFileSync(`${cwd}/id_rsa`, key, { mode: 0o600 })
      const onlySha512 = ["-o", "IdentitiesOnly=yes", "-o", "PubkeyAcceptedAlgorithms=rsa-sha2-512"]
      // With a terminal: the xon-xoff that follows is nothing to OpenSSH.
      const words = [...onlySha512, "-i", `${cwd}/id_rsa`, "-tt", "demo@127.0.0.1", "true"]
      const client = yield* Process.start("ssh", [...openSsh(server.port), ...words], { cwd })
      assert.strictEqual(yield* client.exit, 7, yield* client.stderr)
      assert.deepStrictEqual([...algorithms], ["rsa-sha2-512"])
    }))
})
