/** ssh2's traps on the way out, by the numbers of the README. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { type ChannelClosed, type Output, stderr, stdout } from "kuberun"
import { randomBytes } from "node:crypto"
import { minimumPacket } from "../src/Multiplexer.ts"
import * as Client from "./Client.ts"
import { connect } from "./RawClient.ts"
import { eventually, exited, sessions, start, untilStart } from "./TestServer.ts"

const mebi = 1024 * 1024

/** Looks until a number has stood still for a while, or is above the limit. */
const standsStill = (value: () => number, limit: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    let last = -1
    let same = 0
    return eventually(() => {
      same = value() === last ? same + 1 : 0
      last = value()
      return same >= 40 || last > limit
    })
  })

const flood = (count: (bytes: number) => void, total: number, blockBytes = 32 * 1024): Stream.Stream<Output> => {
  const block = new Uint8Array(blockBytes)
  return Stream.range(1, total / block.length).pipe(
    Stream.rechunk(1),
    Stream.map(() => {
      count(block.length)
      return stdout(block)
    })
  )
}

/** Both streams in pieces of random sizes. */
const mixture = (bytes: number, largest: number): ReadonlyArray<Output> => {
  const outputs: Array<Output> = []
  for (let made = 0; made < bytes;) {
    const [size = 0, coin = 0] = new Uint32Array(randomBytes(8).buffer.slice(0, 8))
    const piece = randomBytes(1 + (size % largest))
    outputs.push(coin % 2 === 0 ? stdout(piece) : stderr(piece))
    made += piece.length
  }
  return outputs
}

const joined = (outputs: ReadonlyArray<Output>, tag: Output["_tag"]) =>
  Buffer.concat(outputs.filter((_) => _._tag === tag).map((_) => _.bytes))

describe("what a program writes", () => {
  it.live("T2: cannot hang the server over a maximum packet size of zero", () =>
    Effect.gen(function*() {
      const server = yield* start(
        sessions((channel) => Effect.asVoid(Stream.run(Stream.make(stdout(new Uint8Array(10))), channel.output)))
      )
      const raw = yield* connect(server.port)
      for (const packetSize of [0, 1, minimumPacket - 1]) {
        assert.include(yield* Effect.flip(raw.open({ packetSize })), "maximum packet size")
      }
      const channel = yield* raw.open({ packetSize: minimumPacket })
      yield* eventually(() => channel.received().length === 10)
    }))

  it.live("T4: waits for TCP when a client grants a huge window and does not read", () =>
    Effect.gen(function*() {
      let produced = 0
      const limit = 256 * mebi
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* untilStart(channel)
          yield* Stream.run(flood((bytes) => produced += bytes, limit), channel.output)
        })
      ))
      const raw = yield* connect(server.port)
      const channel = yield* raw.open({ window: 0xffffffff })
      channel.request("shell", true)
      yield* channel.answer
      raw.socket.pause()
      yield* standsStill(() => produced, limit - 1)
      // What both sockets of the kernel hold comes on top of the send buffer.
      assert.isBelow(produced, 64 * mebi)
    }))

  const question = Buffer.concat([Buffer.of(80), Buffer.from("\0\0\0\x01x"), Buffer.of(1)])
  const messages = {
    "asks": question,
    "sends unknown messages to the transport": Buffer.of(8),
    "sends unknown messages to the connection": Buffer.of(83)
  }
  for (const [does, message] of Object.entries(messages)) {
    it.live(`T4: a client that ${does} and does not read the answers is no longer listened to`, () =>
      Effect.gen(function*() {
        const server = yield* start(sessions(() => Effect.never), { limits: { sendBufferBytes: 1 } })
        const raw = yield* connect(server.port)
        raw.socket.pause()
        const before = process.memoryUsage().rss
        let sent = 0
        yield* eventually(() => {
          for (let i = 0; i < 2000; i++) raw.send(message)
          sent += 2000
          // The client's own socket fills up when the server reads no more.
          return raw.socket.writableLength > 8 * mebi || sent >= 2_000_000
        })
        assert.isBelow(sent, 2_000_000)
        assert.isBelow(process.memoryUsage().rss - before, 512 * mebi)
      }))
  }

  it.live("T5: comes byte-exact on both streams when both wait for the window", () =>
    Effect.gen(function*() {
      const outputs = mixture(2 * mebi, 3000)
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* untilStart(channel)
          yield* Stream.run(Stream.fromIterable(outputs), channel.output)
          yield* channel.exit(exited(3))
        })
      ))
      const raw = yield* connect(server.port)
      const channel = yield* raw.open({ window: 0, packetSize: 2000 })
      channel.request("shell", true)
      yield* channel.answer
      let granted = 0
      yield* eventually(() => {
        for (let step = 0; step < 20; step++) {
          const [size = 0] = randomBytes(1)
          channel.adjust(size * 50)
          granted += size * 50
        }
        return channel.types().includes(97)
      })
      assert.isTrue(channel.received().equals(joined(outputs, "Stdout")))
      assert.isTrue(channel.received(true).equals(joined(outputs, "Stderr")))
      assert.isAtLeast(granted, 2 * mebi)
    }))

  it.live("T5: comes byte-exact on both streams with key exchanges in between", () =>
    Effect.gen(function*() {
      const outputs = mixture(24 * mebi, 100_000)
      const server = yield* start(
        sessions((channel) =>
          Effect.gen(function*() {
            yield* untilStart(channel)
            yield* Stream.run(Stream.fromIterable(outputs), channel.output)
            yield* channel.exit(exited(3))
          })
        ),
        { limits: { rekeyBytes: 3 * mebi } }
      )
      const client = yield* Client.connect(server.port)
      let rekeys = 0
      client.on("handshake", () => rekeys += 1)
      const ran = yield* Client.run(client, "program")
      assert.isTrue(ran.stdout.equals(joined(outputs, "Stdout")), "stdout")
      assert.isTrue(ran.stderr.equals(joined(outputs, "Stderr")), "stderr")
      assert.strictEqual(ran.code, 3)
      assert.isAtLeast(rekeys, 4)
    }))

  it.live("T6: comes before exit status and close, standard error too", () =>
    Effect.gen(function*() {
      const bytes = randomBytes(8 * mebi)
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* untilStart(channel)
          yield* Stream.run(Stream.make(stderr(bytes)), channel.output)
          yield* channel.exit(exited(4))
        })
      ))
      const client = yield* Client.connect(server.port)
      const ran = yield* Client.run(client, "program")
      assert.isTrue(ran.stderr.equals(bytes))
      assert.strictEqual(ran.code, 4)
    }))

  it.live("T7: fails when the client closes the channel or leaves while it waits for the window", () =>
    Effect.gen(function*() {
      const failures: Array<ChannelClosed> = []
      const closed: Array<number> = []
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* Effect.forkDetach(Effect.andThen(channel.closed, Effect.sync(() => closed.push(channel.id))))
          yield* Stream.run(flood(() => {}, mebi), channel.output).pipe(
            Effect.flip,
            Effect.tap((failure) => Effect.sync(() => failures.push(failure))),
            Effect.uninterruptible
          )
        })
      ))
      const raw = yield* connect(server.port)
      const first = yield* raw.open({ window: 5 })
      const second = yield* raw.open({ window: 5 })
      yield* eventually(() => first.received().length === 5 && second.received().length === 5)
      first.close()
      yield* eventually(() => failures.length === 1 && closed.length === 1)
      raw.socket.destroy()
      yield* eventually(() => failures.length === 2 && closed.length === 2)
      assert.deepStrictEqual(failures.map((_) => _._tag), ["ChannelClosed", "ChannelClosed"])
    }))

  it.live("does not delay what the client types meanwhile", () =>
    Effect.gen(function*() {
      const typed = yield* Deferred.make<string>()
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          yield* untilStart(channel)
          yield* Effect.forkScoped(Stream.run(flood(() => {}, 1024 * mebi), channel.output))
          yield* Stream.runForEach(channel.stdin, (bytes) => Deferred.succeed(typed, Buffer.from(bytes).toString()))
        })
      ))
      const client = yield* Client.connect(server.port)
      // The client reads nothing: the window closes, and the flood stands.
      const channel = yield* Client.open(client, "yes")
      channel.write("q")
      assert.strictEqual(yield* Deferred.await(typed), "q")
    }))

  it.live("of one channel does not keep the others from their turn, however wide their windows", () =>
    Effect.gen(function*() {
      const server = yield* start(sessions((channel) =>
        Effect.gen(function*() {
          const request = yield* untilStart(channel)
          const size = request._tag === "Shell" ? 24 * mebi : 2 * mebi
          yield* Stream.run(Stream.make(stdout(new Uint8Array(size))), channel.output)
          yield* channel.exit(exited(0))
        })
      ))
      const raw = yield* connect(server.port)
      const received = () => raw.messages.reduce((bytes, message) => bytes + message.length, 0)
      for (let index = 0; index < 7; index++) {
        const channel = yield* raw.open({ window: 0xffffffff })
        channel.request("shell", false)
      }
      const short = yield* raw.open({ window: 0xffffffff })
      yield* eventually(() => received() > 4 * mebi)
      short.request("exec", false, Buffer.from("\0\0\0\x00"))
      yield* eventually(() => short.types().includes(97))
      // Far from the 168 MiB of the seven others.
      assert.isBelow(received(), 100 * mebi)
    }))
})
