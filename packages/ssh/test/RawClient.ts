/**
 * A client that speaks the protocol message by message, so that a test can break it: ssh2's client does the transport,
 * the test does the rest through ssh2's private members.
 */
import { Effect, type Scope } from "effect"
import { createRequire } from "node:module"
import type { Socket } from "node:net"
import ssh2 from "ssh2"
import { string, uint32, WireReader } from "../src/WireReader.ts"
import { eventually } from "./TestServer.ts"

interface Internals {
  readonly _sock: Socket
  readonly _protocol: {
    _onPayload: (payload: Buffer) => unknown
    readonly _kex: { readonly sessionID: Buffer }
    readonly _cipher: { readonly outSeqno: number }
    readonly _packetRW: {
      readonly write: {
        readonly allocStart: number
        readonly alloc: (length: number) => Buffer
        readonly finalize: (packet: Buffer) => Buffer
      }
    }
    readonly rekey: () => void
  }
}

const sendPacket: (protocol: unknown, packet: Buffer) => void =
  createRequire(import.meta.url)("ssh2/lib/protocol/utils.js").sendPacket

export interface RawClient {
  readonly socket: Socket
  readonly send: (...parts: ReadonlyArray<Uint8Array>) => void
  /** Everything from number 50 on, and SSH_MSG_DISCONNECT, UNIMPLEMENTED and EXT_INFO, in order. */
  readonly messages: ReadonlyArray<Buffer>
  /** The first message not taken yet that fits; it is taken. */
  readonly take: (fits: (message: Buffer) => boolean) => Effect.Effect<Buffer>
  readonly isClosed: () => boolean
  readonly disconnectText: () => string | undefined
  readonly sessionId: () => Buffer
  /** The sequence number of the packet that is sent next. */
  readonly nextNumber: () => number
  readonly open: (options?: { window?: number; packetSize?: number }) => Effect.Effect<RawChannel, string>
  /** Completes when everything sent before was handled by the server. */
  readonly handled: Effect.Effect<void>
}

export interface RawChannel {
  readonly local: number
  readonly request: (type: string, wantReply: boolean, data?: Uint8Array) => void
  readonly data: (bytes: Uint8Array) => void
  readonly eof: () => void
  readonly close: () => void
  readonly adjust: (bytes: number) => void
  /** The next answer to a request: true for success. */
  readonly answer: Effect.Effect<boolean>
  /** What came on stdout (no code) or stderr (1) so far. */
  readonly received: (stderr?: boolean) => Buffer
  readonly types: () => ReadonlyArray<number>
}

export const channelOpen = (local: number, window: number, packetSize: number, type = "session"): Buffer =>
  Buffer.concat([Buffer.of(90), string(type), uint32(local), uint32(window), uint32(packetSize)])

export const globalRequest = (name: string, wantReply: boolean): Buffer =>
  Buffer.concat([Buffer.of(80), string(name), Buffer.of(wantReply ? 1 : 0)])

export const connect = (port: number, options: {
  /** "manual" sends no request to log in. */
  readonly login?: "password" | "manual"
  /** SSH_MSG_KEXINIT of the server's rekeying is not answered. */
  readonly ignoresRekey?: boolean
} = {}): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.gen(function*() {
    const manual = options.login === "manual"
    const client = new ssh2.Client()
    yield* Effect.addFinalizer(() => Effect.sync(() => client.destroy()))
    let ready = false
    let closed = false
    const messages: Array<Buffer> = []
    const taken = new Set<Buffer>()
    client.on("error", () => {}).on("close", () => {
      closed = true
    }).on("ready", () => {
      ready = true
    }).on("handshake", () => {
      ready ||= manual
    })
    client.connect({
      host: "127.0.0.1",
      port,
      username: "demo",
      ...(manual ? { authHandler: () => {} } : { password: "secret" })
    })
    const inside = client as unknown as Internals
    const original = inside._protocol._onPayload
    inside._protocol._onPayload = (payload) => {
      const type = payload[0] ?? 0
      if (type === 20 && options.ignoresRekey === true) return undefined
      if (type >= 50 || type === 1 || type === 3 || type === 7) messages.push(Buffer.from(payload))
      if (type >= 80 || (manual && type >= 50)) return undefined
      return original(payload)
    }
    yield* eventually(() => ready || closed)

    const send: RawClient["send"] = (...parts) => {
      if (closed) return
      const writer = inside._protocol._packetRW.write
      const payload = Buffer.concat(parts)
      const packet = writer.alloc(payload.length)
      packet.set(payload, writer.allocStart)
      sendPacket(inside._protocol, writer.finalize(packet))
    }
    const take: RawClient["take"] = (fits) =>
      Effect.suspend(() => {
        const find = () => messages.find((message) => !taken.has(message) && fits(message))
        return Effect.map(eventually(() => find() !== undefined), () => {
          const message = find() ?? Buffer.alloc(0)
          taken.add(message)
          return message
        })
      })
    let nextLocal = 100
    const open: RawClient["open"] = ({ packetSize = 32768, window = 2 ** 21 } = {}) =>
      Effect.gen(function*() {
        const local = nextLocal++
        send(channelOpen(local, window, packetSize))
        const answer = yield* take((_) => (_[0] === 91 || _[0] === 92) && _.readUInt32BE(1) === local)
        if (answer[0] === 92) return yield* Effect.fail(new WireReader(answer, 9).text())
        return rawChannel(local, answer.readUInt32BE(5), { send, take, messages })
      })
    return {
      socket: inside._sock,
      send,
      messages,
      take,
      open,
      isClosed: () => closed,
      disconnectText: () => {
        const message = messages.find((_) => _[0] === 1)
        return message === undefined ? undefined : new WireReader(message, 5).text()
      },
      sessionId: () => inside._protocol._kex.sessionID,
      nextNumber: () => inside._protocol._cipher.outSeqno,
      handled: Effect.suspend(() => {
        send(globalRequest("are-you-there@test", true))
        return Effect.asVoid(take((_) => _[0] === 82))
      })
    }
  })

const rawChannel = (
  local: number,
  remote: number,
  client: Pick<RawClient, "send" | "take" | "messages">
): RawChannel => {
  const { messages, send, take } = client
  const mine = () => messages.filter((_) => _[0] !== undefined && _[0] > 92 && _.readUInt32BE(1) === local)
  return {
    local,
    request: (type, wantReply, data = new Uint8Array(0)) =>
      send(Buffer.of(98), uint32(remote), string(type), Buffer.of(wantReply ? 1 : 0), data),
    data: (bytes) => send(Buffer.of(94), uint32(remote), string(bytes)),
    eof: () => send(Buffer.of(96), uint32(remote)),
    close: () => send(Buffer.of(97), uint32(remote)),
    adjust: (bytes) => send(Buffer.of(93), uint32(remote), uint32(bytes)),
    answer: Effect.map(
      take((_) => (_[0] === 99 || _[0] === 100) && _.readUInt32BE(1) === local),
      (_) => _[0] === 99
    ),
    received: (stderr = false) =>
      Buffer.concat(
        mine().filter((_) => _[0] === (stderr ? 95 : 94)).map((_) => new WireReader(_, stderr ? 9 : 5).string())
      ),
    types: () => mine().map((_) => _[0] ?? 0)
  }
}
