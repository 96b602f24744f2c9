/** Connections that speak nearly right: raw bytes, WebSocket frames of each stream, SPDY frames of each stream. */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { type Dice, mutateBytes, oddTexts } from "./Mutation.ts"
import { controlFrame, dataFrame, headerBlock, makeDeflate, synStream } from "./Streams.ts"

/** What one connection sends: a head, and what follows, in pieces. Each piece counts as one mutated frame. */
export interface FuzzConnection {
  readonly what: string
  readonly head: Buffer
  readonly pieces: ReadonlyArray<Buffer>
  /** Whether the pieces wait for an answer to the head, which has to be a whole one then. */
  readonly waits: boolean
}

export interface Target {
  readonly pod: string
  readonly authorization: string
}

/** No port that somebody else's program listens on. */
const ports = ["1", "0", "-1", "65536", "99999999999", "1.5", "0x1", "", "x", "1,1", "1 "]

const querySets = (dice: Dice, stream: string): string => {
  const flags = ["stdin", "stdout", "stderr", "tty"].map((flag) =>
    `${flag}=${
      dice.chance(0.85) ? dice.pick(["true", "false", "1"]) : encodeURIComponent(dice.pick(oddTexts).toWellFormed())
    }`
  )
  const program = dice.pick([["true"], ["cat"], ["cat"], ["cat"], ["sleep", "0"], ["missing"], [""], []])
  const command = stream === "exec" ? program.map((word) => `command=${encodeURIComponent(word)}`) : []
  const container = dice.chance(0.1) ? [`container=${encodeURIComponent(dice.pick(oddTexts).toWellFormed())}`] : []
  const forwarded = stream === "portforward" && dice.chance(0.7)
    ? [`ports=${encodeURIComponent(dice.pick(ports))}`]
    : []
  return [...flags, ...command, ...container, ...forwarded].filter(() => dice.chance(0.9)).join("&").slice(0, 30_000)
}

const streams = ["exec", "attach", "portforward"] as const

const pathTo = (dice: Dice, { pod }: Target, stream: string) => `${pod}/${stream}?${querySets(dice, stream)}`

const headOf = (dice: Dice, lines: ReadonlyArray<string>): Pick<FuzzConnection, "head" | "waits"> => {
  const bytes = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`)
  return dice.chance(0.06)
    ? { head: mutateBytes(dice, bytes, 1), waits: false }
    : { head: bytes, waits: dice.chance(0.8) }
}

/** RFC 6455 §5.2. */
const webSocketFrame = (dice: Dice, opcode: number, payload: Buffer): Buffer => {
  const { length } = payload
  const masked = !dice.chance(0.03)
  const first = (dice.chance(0.93) ? 0x80 : 0) | (dice.chance(0.03) ? 0x40 : 0) | opcode
  const declared = dice.chance(0.02) ? dice.pick([0, 125, 70_000, 2 ** 31, 2 ** 53 - 1]) : length
  const size = declared < 126
    ? Buffer.of(declared)
    : declared < 65_536
    ? Buffer.concat([Buffer.of(126), Buffer.of(declared >> 8, declared & 255)])
    : (() => {
      const bytes = Buffer.alloc(9)
      bytes[0] = 127
      bytes.writeBigUInt64BE(BigInt(declared), 1)
      return bytes
    })()
  if (masked) size[0] = (size[0] ?? 0) | 0x80
  const mask = masked ? dice.bytes(4) : Buffer.alloc(0)
  const body = masked ? Buffer.from(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))) : payload
  return Buffer.concat([Buffer.of(first), size, mask, body])
}

const channelMessage = (dice: Dice): Buffer =>
  Buffer.concat([
    Buffer.of(dice.chance(0.8) ? dice.pick([0, 0, 0, 1, 2, 3, 4, 5, 255]) : dice.int(256)),
    dice.pick<() => Buffer>([
      () => dice.bytes(dice.int(20)),
      () => Buffer.of(dice.pick([0, 0, 1, 4, 255])),
      () =>
        Buffer.from(
          dice.pick([`{"Width":80,"Height":24}`, `{"Width":-1}`, `{"Width":1e9,"Height":0}`, "{", "[]", "null", `"x"`])
        ),
      () => Buffer.from(dice.pick(oddTexts)),
      () => Buffer.alloc(dice.pick([1, 4096, 70_000]), "x")
    ])()
  ])

const webSocketPiece = (dice: Dice): Buffer =>
  dice.pick<() => Buffer>([
    ...Array.from({ length: 8 }, () => () => webSocketFrame(dice, 2, channelMessage(dice))),
    () => webSocketFrame(dice, 1, dice.chance(0.5) ? channelMessage(dice) : Buffer.from(`0${dice.pick(oddTexts)}`)),
    () => webSocketFrame(dice, 0, dice.bytes(dice.int(10))),
    () => webSocketFrame(dice, 9, dice.bytes(dice.pick([0, 125, 126]))),
    () => webSocketFrame(dice, 10, dice.bytes(3)),
    () => dice.chance(0.3) ? webSocketFrame(dice, 8, dice.bytes(dice.pick([0, 1, 2, 40]))) : webSocketPiece(dice),
    () => dice.chance(0.3) ? webSocketFrame(dice, dice.int(16), dice.bytes(9)) : webSocketPiece(dice),
    () => dice.chance(0.3) ? mutateBytes(dice, webSocketFrame(dice, 2, channelMessage(dice)), 2) : webSocketPiece(dice)
  ])()

const webSocketProtocols = {
  exec: ["v5.channel.k8s.io", "v4.channel.k8s.io"],
  attach: ["v5.channel.k8s.io", "v4.channel.k8s.io"],
  portforward: ["SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"]
}

export const fuzzWebSocket = Effect.fnUntraced(function*(dice: Dice, target: Target, frames: number) {
  const stream = dice.pick(streams)
  const protocol = dice.chance(0.93)
    ? dice.pick(webSocketProtocols[stream])
    : dice.pick(["", "x", "v5.channel.k8s.io,,x", "v1.channel.k8s.io"])
  const tunnel = protocol.startsWith("SPDY") ? yield* spdyPieces(dice, stream, frames) : undefined
  return {
    what: `WebSocket ${stream} ${protocol}`,
    ...headOf(dice, [
      `GET ${pathTo(dice, target, stream)} HTTP/1.1`,
      "Host: x",
      `Authorization: ${target.authorization}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      `Sec-WebSocket-Version: ${dice.chance(0.98) ? 13 : dice.pick([8, 99])}`,
      `Sec-WebSocket-Key: ${dice.chance(0.98) ? dice.bytes(16).toString("base64") : "x"}`,
      ...(dice.chance(0.98) ? [`Sec-WebSocket-Protocol: ${protocol}`] : [])
    ]),
    pieces: tunnel?.map((piece) => webSocketFrame(dice, 2, piece)) ??
      Array.from({ length: frames }, () => webSocketPiece(dice))
  } satisfies FuzzConnection
})

const streamHeaders = (dice: Dice, stream: string, index: number): Record<string, string> => {
  const odd = () => dice.pick(oddTexts)
  if (stream !== "portforward") {
    const type = ["error", "stdin", "stdout", "stderr", "resize"][index % 5] ?? "error"
    return {
      [dice.chance(0.9) ? "streamtype" : "StreamType"]: dice.chance(0.9) ? type : odd(),
      ...(dice.chance(0.1) ? { [odd()]: odd() } : {})
    }
  }
  return {
    streamtype: dice.chance(0.9) ? ["error", "data"][index % 2] ?? "data" : odd(),
    port: dice.chance(0.8) ? "1" : dice.pick(ports),
    requestid: dice.chance(0.9) ? String(index >> 1) : odd()
  }
}

/** A well-formed beginning, and anything among it and after it. */
const spdyPieces = Effect.fnUntraced(function*(dice: Dice, stream: string, frames: number) {
  const deflate = makeDeflate()
  const pieces: Array<Buffer> = []
  let opened = 0
  while (pieces.length < frames) {
    const id = dice.chance(0.92) ? 2 * opened + 1 : dice.pick([0, 2, 1, 2 ** 31 - 1])
    const kind = dice.int(10)
    if (kind < 4 && opened < 200) {
      const block = yield* deflate(headerBlock(streamHeaders(dice, stream, opened)))
      pieces.push(synStream(id, dice.chance(0.97) ? block : mutateBytes(dice, block, 1), dice.chance(0.1)))
      opened++
    } else if (kind < 7) {
      const some = dice.chance(0.9) ? 2 * dice.int(opened + 1) + 1 : dice.int(2 ** 31)
      pieces.push(dataFrame(some, dice.chance(0.9) ? dice.bytes(dice.int(50)) : Buffer.alloc(40_000), dice.chance(0.2)))
    } else if (kind === 7) {
      pieces.push(controlFrame(dice.pick([3, 4, 6, 7, 8, 9, 0, 2, 65_535]), dice.bytes(dice.pick([0, 3, 4, 8, 8, 12]))))
    } else if (kind === 8 && dice.chance(0.1)) {
      // Many zeros: a block that becomes far more than it was.
      const bomb = yield* deflate(Buffer.alloc(5_000_000))
      pieces.push(synStream(id, bomb))
    } else if (dice.chance(0.15)) {
      pieces.push(mutateBytes(dice, Buffer.concat([controlFrame(1, dice.bytes(20)), dataFrame(1, "x")]), 2))
    }
  }
  return pieces
})

const spdyProtocols = { exec: "v4.channel.k8s.io", attach: "v4.channel.k8s.io", portforward: "portforward.k8s.io" }

export const fuzzSpdy = Effect.fnUntraced(function*(dice: Dice, target: Target, frames: number) {
  const stream = dice.pick(streams)
  const protocol = dice.chance(0.95)
    ? spdyProtocols[stream]
    : dice.pick(["", "x", "v1.channel.k8s.io,v4.channel.k8s.io"])
  return {
    what: `SPDY ${stream} ${protocol}`,
    ...headOf(dice, [
      `${dice.chance(0.9) ? "POST" : dice.pick(["GET", "PUT"])} ${pathTo(dice, target, stream)} HTTP/1.1`,
      "Host: x",
      `Authorization: ${target.authorization}`,
      "Connection: Upgrade",
      "Upgrade: SPDY/3.1",
      ...(dice.chance(0.98) ? [`X-Stream-Protocol-Version: ${protocol}`] : []),
      ...(dice.chance(0.1) ? [`Content-Length: ${dice.pick([0, 5, -1])}`] : [])
    ]),
    pieces: yield* spdyPieces(dice, stream, frames)
  } satisfies FuzzConnection
})

const requests = (target: Target): ReadonlyArray<string> => [
  `GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nAuthorization: ${target.authorization}\r\n\r\n`,
  `POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: ${target.authorization}\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{"metadata":{"name":"raw"}}   `,
  `POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  "GET / HTTP/1.0\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET /version HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
  "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET http://x/version HTTP/1.1\r\nHost: x\r\n\r\n"
]

/** Bytes of a connection behind its TLS handshake. */
export const fuzzRaw = (dice: Dice, target: Target, pieces: number): FuzzConnection => ({
  what: "raw bytes",
  head: Buffer.alloc(0),
  pieces: Array.from({ length: pieces }, () =>
    dice.chance(0.1)
      ? dice.bytes(dice.int(400))
      : mutateBytes(dice, Buffer.from(dice.pick(requests(target))), 1 + dice.int(4))),
  waits: false
})
