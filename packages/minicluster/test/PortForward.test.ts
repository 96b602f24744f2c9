import { assert, describe, it, layer } from "@effect/vitest"
import { layer as clusterLayer, make, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { createServer as createHttpServer } from "node:http"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { call, eventually, podBody, pods, refusedExec, runningPod, textAt } from "./support/Client.ts"
import { channels, kubectlFor, kubectlMissing, spdy, upgrade } from "./support/Streams.ts"

const listening = (server: Server) =>
  Effect.gen(function*() {
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    yield* Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    })
    return (server.address() as AddressInfo).port
  })

/** A server on the pods' network, and the connections that it has had. */
const tcpServer = Effect.fnUntraced(function*(serve: (socket: Socket) => void) {
  const sockets: Array<Socket> = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on("error", () => {})
    serve(socket)
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
  return { port: yield* listening(server), sockets }
})

/** Answers only once the client has half-closed. */
const counts = (socket: Socket) => {
  let length = 0
  socket.on("data", (piece) => (length += piece.length))
  socket.on("end", () => socket.end(`${length} bytes`))
}

const unused = Effect.map(
  Effect.scoped(tcpServer(() => {})),
  ({ port }) => port
)

const path = (pod: string, query = "") => `${pods}/${pod}/portforward${query}`

/** A pod with a client of its own; `another` connects once more. */
const forwarding = Effect.fnUntraced(function*(port: number) {
  yield* runningPod(yield* MiniclusterService, podBody("forward"))
  return yield* another(port)
})

const another = Effect.fnUntraced(function*(port: number) {
  const cluster = yield* MiniclusterService
  const client = yield* spdy(cluster, path("forward"), "portforward.k8s.io")
  let count = 0
  /** Opens the two streams of one connection, as kubectl does. */
  const dial = Effect.gen(function*() {
    const headers = { port: String(port), requestid: String(count++) }
    const error = yield* client.open({ streamtype: "error", ...headers }, true)
    const data = yield* client.open({ streamtype: "data", ...headers })
    return { error: client.stream(error), data: client.stream(data), id: data }
  })
  return { client, dial }
})

const refusedWords = (port: number) =>
  new RegExp(
    `^error forwarding port ${port} to pod \\S+, uid : failed to execute portforward in network namespace "host": failed to connect to localhost:${port} inside namespace "\\S+", IPv4: dial tcp4 127.0.0.1:${port}: connect: connection refused IPv6 dial tcp6 \\[::1\\]:${port}: connect: `
  )

layer(clusterLayer(), { excludeTestServices: true })("a forwarded port", (it) => {
  it.effect("half-closes both ways", () =>
    Effect.gen(function*() {
      const { port } = yield* tcpServer(counts)
      const { client, dial } = yield* forwarding(port)
      const { data, error, id } = yield* dial
      client.send(id, "some")
      client.send(id, "thing", true)
      yield* eventually(() => data.ended && error.ended)
      assert.deepStrictEqual([data.text, error.text], ["9 bytes", ""])
    }))

  it.effect("that nobody listens on is told on the error stream, and both streams end", () =>
    Effect.gen(function*() {
      const port = yield* unused
      const { client, dial } = yield* forwarding(port)
      const { data, error } = yield* dial
      yield* eventually(() => data.ended && error.ended)
      assert.match(error.text, refusedWords(port))
      assert.isFalse(client.closed())
      assert.strictEqual(data.bytes, 0)
    }))

  it.effect("is found on ::1 too", () =>
    Effect.gen(function*() {
      const server = createServer((socket) => void socket.end("six"))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const has = yield* Effect.callback<boolean>((resume) => {
        server.once("error", () => resume(Effect.succeed(false)))
        server.listen(0, "::1", () => resume(Effect.succeed(true)))
      })
      // A machine without IPv6 has nothing to show here.
      if (!has) return
      const { dial } = yield* forwarding((server.address() as AddressInfo).port)
      const { data } = yield* dial
      yield* eventually(() => data.text === "six")
    }))

  it.effect("lets go of the server when the client resets the stream, or leaves", () =>
    Effect.gen(function*() {
      const { port, sockets } = yield* tcpServer((socket) => socket.resume().on("end", () => socket.end()))
      const { client, dial } = yield* forwarding(port)
      const { id } = yield* dial
      yield* eventually(() => sockets.length === 1)
      client.socket.write(Buffer.from([0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, id, 0, 0, 0, 5]))
      yield* eventually(() => sockets[0]?.closed === true)
      yield* dial
      yield* eventually(() => sockets.length === 2)
      client.socket.destroy()
      yield* eventually(() => sockets[1]?.closed === true)
    }))

  it.effect("stalls a server whose client does not read", () =>
    Effect.gen(function*() {
      const flood = Buffer.alloc(1024 * 1024)
      const { port, sockets } = yield* tcpServer((socket) => {
        const more = () => {
          while (socket.writable && socket.bytesWritten < 256 * flood.length && socket.write(flood));
        }
        socket.on("drain", more)
        more()
      })
      const { client, dial } = yield* forwarding(port)
      client.socket.pause()
      yield* dial
      yield* eventually(() => (sockets[0]?.writableLength ?? 0) > 0)
      // It stays where it is: a whole other connection comes and goes meanwhile.
      const { client: other, dial: dialOther } = yield* another(port)
      const { data } = yield* dialOther
      yield* eventually(() => data.bytes > 64 * flood.length)
      other.socket.destroy()
      assert.isAbove(sockets[0]?.writableLength ?? 0, 0)
      assert.isBelow((sockets[0]?.bytesWritten ?? 0) - (sockets[0]?.writableLength ?? 0), 32 * flood.length)
    }))

  it.effect("stalls a client whose server does not read, until it does", () =>
    Effect.gen(function*() {
      const { port, sockets } = yield* tcpServer((socket) => socket.pause())
      const { client, dial } = yield* forwarding(port)
      const { id } = yield* dial
      yield* eventually(() => sockets.length === 1)
      const piece = Buffer.alloc(1024 * 1024)
      for (let n = 0; n < 64; n++) client.send(id, piece)
      client.send(id, "", true)
      // As much goes through another connection, and this one has still not gone through.
      const { client: other, dial: dialOther } = yield* another((yield* tcpServer(counts)).port)
      const second = yield* dialOther
      for (let n = 0; n < 64; n++) other.send(second.id, piece)
      other.send(second.id, "", true)
      yield* eventually(() => second.data.text === `${64 * piece.length} bytes`)
      assert.isAbove(client.socket.writableLength, 32 * piece.length)
      let received = 0
      sockets[0]?.on("data", (bytes) => (received += bytes.length)).on("end", () => sockets[0]?.end()).resume()
      yield* eventually(() => received === 64 * piece.length)
    }))

  it.effect("in plain channels: two for each port, each beginning with its number", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("plain"))
      const { port } = yield* tcpServer((socket) =>
        void socket.once("data", (bytes) => socket.end(`got ${String(bytes)}`))
      )
      const closed = yield* unused
      const client = yield* channels(cluster, path("plain", `?ports=${port},${closed}`), "v4.channel.k8s.io")
      yield* client.opened
      yield* eventually(() => client.bytes(3).length > 2)
      client.send(0, "this")
      assert.strictEqual(yield* client.closed, 1000)
      const number = (id: number) => client.bytes(id).readUInt16LE(0)
      assert.deepStrictEqual([0, 1, 2, 3].map(number), [port, port, closed, closed])
      assert.strictEqual(client.bytes(0).toString("utf8", 2), "got this")
      assert.match(client.bytes(3).toString("utf8", 2), refusedWords(closed))
    }))

  it.effect("is offered as a tunnel, whose name has a slash, by a WebSocket", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("tunnel"))
      const name = "SPDY/3.1+portforward.k8s.io"
      const { head } = yield* upgrade(cluster, "GET", path("tunnel"), {
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": Buffer.alloc(16).toString("base64"),
        "Sec-WebSocket-Protocol": `other, ${name}`
      })
      assert.match(head, /^HTTP\/1\.1 101 /)
      assert.include(head, `\r\nSec-WebSocket-Protocol: ${name}`)
    }))

  it.effect("is refused in the same words for both upgrades", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("ports"))
      yield* call(cluster, "POST", pods, { body: podBody("slow", "", {}, "kuberun.test/slow-30s") })
      yield* Effect.repeat(call(cluster, "GET", `${pods}/slow`), {
        until: ({ body }) => textAt(body, "spec", "nodeName") !== ""
      })
      const notRunning = `Internal error occurred: unable to upgrade connection: pod not found ("slow_default")`
      for (const [pod, code, message] of [["none", 404, `pods "none" not found`], ["slow", 500, notRunning]] as const) {
        const overWebSocket = yield* refusedExec(cluster, path(pod), [])
        assert.deepStrictEqual([overWebSocket.code, textAt(overWebSocket.body, "message")], [code, message])
        const overSpdy = yield* spdy(cluster, path(pod), "portforward.k8s.io")
        assert.include(overSpdy.head, `HTTP/1.1 ${code} `)
        assert.deepStrictEqual(JSON.parse(overSpdy.body()), overWebSocket.body)
      }
      for (const ports of ["0", "65536", "x", "80,"]) {
        const { body, code } = yield* refusedExec(cluster, path("ports", `?ports=${ports}`), ["v4.channel.k8s.io"])
        assert.strictEqual(code, 400)
        assert.include(textAt(body, "message"), `invalid ports "${ports}"`)
      }
      const unknown = yield* spdy(cluster, path("ports"), "other.k8s.io")
      assert.include(unknown.body(), "client supports [other.k8s.io], server accepts [portforward.k8s.io]")
      yield* call(cluster, "DELETE", `${pods}/slow?gracePeriodSeconds=0`)
    }))
})

describe.skipIf(kubectlMissing)("kubectl port-forward", () => {
  for (const webSockets of [true, false]) {
    it.live(`serves 100 requests at once over ${webSockets ? "the WebSocket tunnel" : "SPDY"}, and tells a refusal`, () =>
      Effect.gen(function*() {
        const cluster = yield* make()
        yield* runningPod(cluster, podBody("web"))
        const page = "x".repeat(100_000)
        const server = createHttpServer((request, response) => {
          let length = 0
          request.on("data", (piece: Buffer) => (length += piece.length))
          request.on("end", () => response.end(`${length} ${page}`))
        })
        const port = yield* listening(server)
        const kubectl = yield* kubectlFor(cluster, webSockets)
        const forward = Effect.fnUntraced(function*(remote: number) {
          const { ended, said } = yield* kubectl.start(["port-forward", "web", `0:${remote}`])
          yield* eventually(() => /127\.0\.0\.1:\d+ ->/.test(said.out), () => said.err)
          return { ended, local: Number(/127\.0\.0\.1:(\d+)/.exec(said.out)?.[1]) }
        })
        const { local } = yield* forward(port)
        const answers = yield* Effect.forEach(
          Array.from({ length: 100 }),
          (_, index) =>
            Effect.promise(() =>
              fetch(`http://127.0.0.1:${local}/`, { method: "POST", body: "y".repeat(1000 * index) })
                .then((response) => response.text())
            ),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(answers, answers.map((_, index) => `${1000 * index} ${page}`))
        const closed = yield* unused
        const refused = yield* forward(closed)
        connect(refused.local, "127.0.0.1").on("error", () => {})
        const { code, err } = yield* refused.ended
        assert.strictEqual(code, 1)
        assert.include(err, `failed to connect to localhost:${closed} inside namespace`)
      }))
  }
})
