/** Streams whose clients behave badly, and faults at their edges. */
import { assert, describe, it, layer } from "@effect/vitest"
import { layer as clusterLayer, make, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { call, eventually, exec, execPath, podBody, pods, runningPod } from "./support/Client.ts"
import { channels, spdy, upgrade } from "./support/Streams.ts"

/** A server of the machine that says `hello` and never ends by itself. */
const greeter = Effect.gen(function*() {
  const sockets: Array<Socket> = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on("error", () => {}).resume().write("hello")
  })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      sockets.forEach((socket) => socket.destroy())
    })
  )
  yield* Effect.callback<void>((resume) => {
    server.listen(0, "127.0.0.1", () => resume(Effect.void))
  })
  return { port: (server.address() as AddressInfo).port, sockets }
})

/** A connection to a port through SPDY: its two streams. */
const dial = Effect.fnUntraced(function*(client: Effect.Success<ReturnType<typeof spdy>>, port: number, id: string) {
  const headers = { port: String(port), requestid: id }
  const error = yield* client.open({ streamtype: "error", ...headers }, true)
  const data = yield* client.open({ streamtype: "data", ...headers })
  return { id: data, data: client.stream(data), error: client.stream(error) }
})

const resetOf = (id: number) => Buffer.from([0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, id, 0, 0, 0, 5])

layer(clusterLayer(), { excludeTestServices: true })("a stream", (it) => {
  it.effect("that is reset lets go of a server that would have gone on", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("reset"))
      const { port, sockets } = yield* greeter
      const client = yield* spdy(cluster, `${pods}/reset/portforward`, "portforward.k8s.io")
      const { data, error, id } = yield* dial(client, port, "0")
      yield* eventually(() => data.text === "hello")
      client.socket.write(resetOf(id))
      yield* eventually(() => error.ended)
      // Who writes to a connection that is half-closed only does so in vain for ever.
      yield* eventually(() => {
        sockets[0]?.write("more")
        return sockets[0]?.closed === true
      })
      assert.isFalse(client.closed())
    }))

  it.effect("of output that is reset stalls neither the program nor its other streams", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("deaf"))
      const script = "read go; head -c 1000000 /dev/zero; echo done >&2"
      const path = execPath("deaf", ["sh", "-c", script], "stdin=true&stdout=true&stderr=true")
      const client = yield* spdy(cluster, path, "v4.channel.k8s.io")
      const open = (streamtype: string) => client.open({ streamtype })
      const [error, stdin, stdout, stderr] = yield* Effect.forEach(["error", "stdin", "stdout", "stderr"], open)
      client.socket.write(resetOf(stdout ?? 0))
      client.send(stdin ?? 0, "go\n")
      yield* eventually(() => client.stream(error ?? 0).text.includes("Success"))
      assert.strictEqual(client.stream(stderr ?? 0).text, "done\n")
    }))

  it.effect("to a port of a pod that is gone meets nobody, whoever else listens there", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("gone"))
      const { port, sockets } = yield* greeter
      const client = yield* spdy(cluster, `${pods}/gone/portforward`, "portforward.k8s.io")
      const first = yield* dial(client, port, "0")
      yield* eventually(() => first.data.text === "hello")
      yield* call(cluster, "DELETE", `${pods}/gone?gracePeriodSeconds=0`)
      yield* Effect.repeat(call(cluster, "GET", `${pods}/gone`), { until: ({ code }) => code === 404 })
      const second = yield* dial(client, port, "1")
      yield* eventually(() => second.data.ended && second.error.ended)
      assert.match(
        second.error.text,
        new RegExp(`^error forwarding port ${port} to pod \\S+, uid : network namespace for sandbox "\\S+" is closed$`)
      )
      assert.strictEqual(sockets.length, 1)
    }))

  it.effect("whose client sends pings and reads no pong is not answered without end", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("pings"))
      const { socket } = yield* upgrade(cluster, "GET", execPath("pings", ["cat"], "stdin=true&stdout=true"), {
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": Buffer.alloc(16).toString("base64"),
        "Sec-WebSocket-Protocol": "v5.channel.k8s.io"
      })
      let received = 0
      socket.on("data", (bytes) => (received += bytes.length))
      socket.pause()
      // Masked with nothing, 125 bytes each.
      const ping = Buffer.concat([Buffer.of(0x89, 0xfd, 0, 0, 0, 0), Buffer.alloc(125)])
      const many = Buffer.concat(Array.from({ length: 10_000 }, () => ping))
      for (let n = 0; n < 64; n++) {
        yield* Effect.callback<void>((resume) => void socket.write(many, () => resume(Effect.void)))
      }
      // The last of the input is echoed, behind all pongs that were kept.
      socket.write(Buffer.concat([Buffer.of(0x82, 0x85, 0, 0, 0, 0, 0), Buffer.from("last")]))
      let tail = Buffer.alloc(0)
      socket.on("data", (bytes: Buffer) => (tail = Buffer.concat([tail, bytes]).subarray(-200)))
      socket.resume()
      yield* eventually(() => tail.includes("last"))
      assert.isBelow(received, many.length * 32)
    }))
})

it.live("a protocol that a client would like, and nobody here speaks, is ignored", () =>
  Effect.gen(function*() {
    const cluster = yield* make()
    for (const path of ["/version", pods]) {
      const { head } = yield* upgrade(cluster, "GET", path, { Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__" })
      assert.match(head, /^HTTP\/1\.1 200 /, path)
    }
  }))

describe("a fault", () => {
  it.live("of an exec cut at no byte leaves no status, also of a program that says nothing", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ faults: { rules: [{ exec: { _tag: "Cut", afterBytes: 0 } }] } })
      yield* runningPod(cluster, podBody("cut"))
      for (const script of ["true", "echo something"]) {
        const session = yield* exec(cluster, "cut", ["sh", "-c", script], "stdout=true&stderr=true")
        const { code, status } = yield* session.end
        assert.deepStrictEqual([code, status, session.output(1)], [1006, undefined, ""], script)
      }
    }))

  it.live("of an exec cut after so many bytes lets each of them arrive, however slowly they are read", () =>
    Effect.gen(function*() {
      const afterBytes = 8_000_001
      const cluster = yield* make({ faults: { rules: [{ exec: { _tag: "Cut", afterBytes } }] } })
      yield* runningPod(cluster, podBody("cut"))
      const client = yield* channels(
        cluster,
        execPath("cut", ["sh", "-c", "head -c 20000000 /dev/zero"], "stdout=true"),
        "v5.channel.k8s.io"
      )
      yield* client.opened
      assert.strictEqual(yield* client.closed, 1006)
      assert.strictEqual(client.bytes(1).length, afterBytes)
    }))

  it.live("of a status that is first loses no output of two streams at once", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ faults: { rules: [{ exec: { _tag: "StatusFirst" } }] } })
      yield* runningPod(cluster, podBody("first"))
      const script = "head -c 8000000 /dev/zero & head -c 8000000 /dev/zero >&2; wait"
      const client = yield* channels(
        cluster,
        execPath("first", ["sh", "-c", script], "stdout=true&stderr=true"),
        "v5.channel.k8s.io"
      )
      assert.strictEqual(yield* client.closed, 1000)
      assert.deepStrictEqual([client.bytes(1).length, client.bytes(2).length], [8_000_000, 8_000_000])
      assert.notStrictEqual(client.order().at(-1), 3)
    }))

  it.live("of 429 says when to come again, also to an upgrade", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      yield* runningPod(cluster, podBody("later"))
      yield* cluster.faults.set({ rules: [{ subresources: ["exec"], error: { code: 429, retryAfterSeconds: 7 } }] })
      const { head } = yield* upgrade(cluster, "POST", execPath("later", ["true"], "stdout=true"), {
        Upgrade: "SPDY/3.1",
        "X-Stream-Protocol-Version": "v4.channel.k8s.io"
      })
      assert.match(head, /^HTTP\/1\.1 429 [^]*\r\nRetry-After: 7(\r\n|$)/i)
    }))
})
