/** Clients of the streaming protocols: a raw SPDY one, a WebSocket one with channels, and kubectl itself. */
import { type Minicluster } from "@kuberun/minicluster"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { constants, createDeflate } from "node:zlib"
import { WebSocket } from "ws"
import { dictionary } from "../../src/streams/Spdy.ts"
import { eventually } from "./Client.ts"

const authority = (cluster: Minicluster) =>
  Buffer.from(/certificate-authority-data: (\S+)/.exec(cluster.kubeconfig)?.[1] ?? "", "base64").toString()
const tokenOf = (cluster: Minicluster) => /token: (\S+)/.exec(cluster.kubeconfig)?.[1] ?? ""

const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
export const controlFrame = (type: number, body: Buffer, flags = 0) =>
  Buffer.concat([uint32(0x80030000 + type), uint32(flags * 0x1000000 + body.length), body])
export const dataFrame = (id: number, bytes: Buffer | string, fin = false) =>
  Buffer.concat([uint32(id), uint32((fin ? 0x1000000 : 0) + Buffer.from(bytes).length), Buffer.from(bytes)])
export const headerBlock = (headers: Record<string, string>) =>
  Buffer.concat([
    uint32(Object.keys(headers).length),
    ...Object.entries(headers).flat().flatMap((text) => [uint32(text.length), Buffer.from(text)])
  ])

/** A compressor for one connection's blocks. */
export const makeDeflate = () => {
  const deflater = createDeflate({ dictionary, flush: constants.Z_SYNC_FLUSH })
  return (block: Buffer) =>
    Effect.callback<Buffer>((resume) => {
      deflater.write(block, () => resume(Effect.succeed(deflater.read() ?? Buffer.alloc(0))))
    })
}
export const synStream = (id: number, block: Buffer, fin = false) =>
  controlFrame(1, Buffer.concat([uint32(id), uint32(0), Buffer.alloc(2), block]), fin ? 1 : 0)

/** Asks for an upgrade. `head` is that of the answer; what comes behind it is given to `receive`. */
export const upgrade = Effect.fnUntraced(function*(
  cluster: Minicluster,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  receive: (bytes: Buffer) => void = () => {}
) {
  const { hostname, port } = new URL(cluster.url)
  const socket = connect({ host: hostname, port: Number(port), ca: authority(cluster) })
  yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
  let head: string | undefined
  let start = Buffer.alloc(0)
  socket.on("data", (piece: Buffer) => {
    if (head !== undefined) return receive(piece)
    start = Buffer.concat([start, piece])
    const end = start.indexOf("\r\n\r\n")
    if (end < 0) return
    head = start.toString("utf8", 0, end)
    receive(start.subarray(end + 4))
  })
  socket.on("error", () => {})
  const all = { Host: "x", Authorization: `Bearer ${tokenOf(cluster)}`, Connection: "Upgrade", ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`)
  yield* eventually(() => head !== undefined)
  return { head: head ?? "", socket }
})

/** A SPDY connection, or its refusal. */
export const spdy = Effect.fnUntraced(function*(cluster: Minicluster, path: string, protocol: string) {
  let rest = Buffer.alloc(0)
  let closed = false
  const streams = new Map<number, { text: string; bytes: number; ended: boolean }>()
  const streamOf = (id: number) => {
    const found = streams.get(id) ?? { text: "", bytes: 0, ended: false }
    streams.set(id, found)
    return found
  }
  const controls: Array<{ type: number; id: number }> = []
  const receive = (piece: Buffer) => {
    rest = Buffer.concat([rest, piece])
    // A refusal's body is text.
    while (rest.length >= 8 && rest[0] !== 0x7b && rest.length >= 8 + (rest.readUInt32BE(4) & 0xffffff)) {
      const [first, second] = [rest.readUInt32BE(0), rest.readUInt32BE(4)]
      const body = rest.subarray(8, 8 + (second & 0xffffff))
      rest = rest.subarray(8 + body.length)
      if (first >= 0x80000000) controls.push({ type: first & 0xffff, id: body.readUInt32BE(0) })
      else {
        const stream = streamOf(first)
        stream.bytes += body.length
        if (stream.text.length < 1_000_000) stream.text += body.toString()
        if (second >= 0x1000000) stream.ended = true
      }
    }
  }
  const headers = { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol }
  const { head, socket } = yield* upgrade(cluster, "POST", path, headers, receive)
  socket.once("close", () => {
    closed = true
  })
  if (!head.includes(" 101 ")) yield* eventually(() => rest.at(-1) === 0x7d)
  const deflate = makeDeflate()
  let next = -1
  return {
    head,
    /** The body of a refusal. */
    body: () => rest.toString(),
    socket,
    controls,
    stream: streamOf,
    closed: () => closed,
    open: Effect.fnUntraced(function*(headers: Record<string, string>, fin = false) {
      next += 2
      socket.write(synStream(next, yield* deflate(headerBlock(headers)), fin))
      return next
    }),
    send: (id: number, bytes: Buffer | string, fin = false) => socket.write(dataFrame(id, bytes, fin))
  }
})

/** A WebSocket with channels to any path. */
export const channels = Effect.fnUntraced(function*(cluster: Minicluster, path: string, protocol: string) {
  const socket = new WebSocket(`${cluster.url.replace("https", "wss")}${path}`, [protocol], {
    ca: authority(cluster),
    headers: { authorization: `Bearer ${tokenOf(cluster)}` },
    perMessageDeflate: false
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => socket.terminate()))
  const received: Array<Buffer> = []
  let closeCode: number | undefined
  socket.on("message", (data) => {
    if (Buffer.isBuffer(data)) received.push(data)
  })
  socket.on("error", () => {})
  socket.on("close", (code) => {
    closeCode = code
  })
  return {
    socket,
    order: () => received.filter(({ length }) => length > 1).map((bytes) => bytes[0]),
    bytes: (id: number) => Buffer.concat(received.filter((bytes) => bytes[0] === id).map((bytes) => bytes.subarray(1))),
    send: (id: number, bytes: Buffer | string) => socket.send(Buffer.concat([Buffer.of(id), Buffer.from(bytes)])),
    opened: eventually(() => socket.readyState === socket.OPEN),
    closed: Effect.map(eventually(() => closeCode !== undefined), () => closeCode)
  }
})

export const kubectlMissing = spawnSync("kubectl", ["version", "--client"]).status !== 0

/** kubectl, over SPDY from the start where it is told not to use WebSockets. */
export const kubectlFor = (cluster: Minicluster, webSockets: boolean) =>
  Effect.gen(function*() {
    const home = mkdtempSync(join(tmpdir(), "minicluster-kubectl-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(home, { recursive: true, force: true })))
    writeFileSync(join(home, "config"), cluster.kubeconfig)
    const env = {
      PATH: process.env["PATH"] ?? "",
      HOME: home,
      KUBECONFIG: join(home, "config"),
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(webSockets),
      KUBECTL_PORT_FORWARD_WEBSOCKETS: String(webSockets)
    }
    /** Started, and killed with the scope. */
    const start = Effect.fnUntraced(function*(args: ReadonlyArray<string>, input = "") {
      const child = spawn("kubectl", [...args], { env, stdio: "pipe" })
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill()))
      const said = { out: "", err: "" }
      let code: number | undefined
      child.stdout.on("data", (piece) => (said.out += String(piece)))
      child.stderr.on("data", (piece) => (said.err += String(piece)))
      child.once("close", (found) => {
        code = found ?? -1
      })
      child.stdin.on("error", () => {})
      child.stdin.end(input)
      return {
        said,
        ended: Effect.map(
          eventually(() => code !== undefined, () => said.err),
          () => ({ code: code ?? -1, ...said })
        )
      }
    })
    const run = (args: ReadonlyArray<string>, input = "") =>
      Effect.scoped(Effect.flatMap(start(args, input), ({ ended }) => ended))
    return { start, run }
  })
