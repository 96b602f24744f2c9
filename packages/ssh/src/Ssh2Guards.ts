/**
 * The only place that knows the inside of ssh2, and the reason why its traps (T1 to T15 in this package's README) do
 * not reach anything else.
 *
 * ssh2 is used for the transport alone: identification, key exchange, ciphers (RFC 4253). Its connection layer loses
 * input that comes before a program starts (T1), hangs the process on a packet size of zero (T2, ssh2 issue 1504),
 * does not enforce the receive window (T3, ssh2 issue 1505), ignores TCP's backpressure (T4), mixes up stdout and
 * stderr (T5, T6), forgets callbacks (T7), loses terminal modes (T13) and leaves requests unanswered (T14, T15). So
 * every decrypted message from number 50 on is handed to us before ssh2 decodes it, and messages are sent as bytes. So
 * is one that ssh2's transport does not know and would say nothing about (RFC 4253 §11.4).
 *
 * That takes these private members of ssh2's Protocol, whose presence is verified when a server is made:
 * `_onPayload`, which every cipher takes over after a key exchange; `_packetRW.write` and `_cipher`, which make a
 * packet; `_decipher.inSeqno`, the number of the packet to come; `_kexinit` and `_queue`, set while a key exchange is
 * under way; `_onHandshakeComplete`, called with the new keys in use; `_kex.sessionID` and `_kex.remoteExtInfoEnabled`;
 * `_offer`; `_destruct`.
 */
import { createRequire } from "node:module"
import type { Socket } from "node:net"
import ssh2 from "ssh2"
import { offered } from "./Algorithms.ts"
import * as Messages from "./Messages.ts"
import { signatureAlgorithms } from "./PublicKey.ts"
import { SshServerError } from "./SshServerError.ts"

const { MessageNumber } = Messages

/** The messages that a transport knows outside of a key exchange (RFC 4253 §12, RFC 8308 §2.3). */
const transportMessages: ReadonlySet<number> = new Set([
  MessageNumber.disconnect,
  MessageNumber.ignore,
  MessageNumber.unimplemented,
  MessageNumber.debug,
  MessageNumber.serviceRequest,
  MessageNumber.serviceAccept,
  MessageNumber.extInfo,
  MessageNumber.kexInit,
  MessageNumber.newKeys
])

/** The one version whose inside was verified. */
const verifiedVersion = "1.17.0"

interface PacketWriter {
  readonly allocStart: number
  readonly allocStartKEX: number
  readonly alloc: (length: number, force?: boolean) => Buffer
  readonly finalize: (packet: Buffer, force?: boolean) => Buffer
}

interface AlgorithmLists {
  readonly kex: { readonly array: ReadonlyArray<string> }
  readonly serverHostKey: { readonly array: ReadonlyArray<string> }
  readonly cs: Directed
  readonly sc: Directed
}
interface Directed {
  readonly cipher: { readonly array: ReadonlyArray<string> }
  readonly mac: { readonly array: ReadonlyArray<string> }
  readonly compress: { readonly array: ReadonlyArray<string> }
}
interface Offer {
  readonly lists: AlgorithmLists
}

interface Protocol {
  _onPayload: (payload: Buffer) => unknown
  readonly _packetRW: { readonly write: PacketWriter }
  /** Undefined once the protocol is unusable. */
  readonly _destruct: unknown
  /** Our KEXINIT while a key exchange is under way. */
  readonly _kexinit: Buffer | undefined
  /** Packets that wait for the end of the key exchange. */
  readonly _queue: ReadonlyArray<Buffer> | undefined
  readonly _kex: { readonly sessionID?: Buffer; remoteExtInfoEnabled?: boolean } | undefined
  readonly _decipher: { readonly inSeqno: number } | undefined
  _onHandshakeComplete: (negotiated: unknown) => void
  _offer: Offer
}

interface Client {
  readonly _sock: Socket
  readonly _protocol: Protocol
  readonly rekey: () => void
}

interface Inside {
  readonly sendPacket: (protocol: Protocol, packet: Buffer, bypass?: boolean) => boolean
  readonly KexInit: new(lists: unknown) => Offer
  readonly nativeCiphers: boolean
}

const require = createRequire(import.meta.url)
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null
const isFunction = (value: unknown): value is (...args: ReadonlyArray<never>) => unknown => typeof value === "function"

/** Whether ssh2's cipher addon is loaded: three to five times the throughput. */
export const nativeCiphersLoaded: boolean = (() => {
  const crypto: unknown = require("ssh2/lib/protocol/crypto.js")
  return isRecord(crypto) && crypto["bindingAvailable"] === true
})()

const isProtocol = (value: unknown): value is Protocol => {
  if (!isRecord(value) || !isFunction(value["_onPayload"]) || !isFunction(value["_destruct"])) return false
  if (!isFunction(value["_onHandshakeComplete"]) || !("_decipher" in value)) return false
  const packets = value["_packetRW"]
  const offer = value["_offer"]
  if (!isRecord(packets) || !isRecord(packets["write"]) || !isRecord(offer) || !isRecord(offer["lists"])) return false
  const writer = packets["write"]
  return "_kexinit" in value && "_queue" in value && "_kex" in value &&
    typeof writer["allocStart"] === "number" && typeof writer["allocStartKEX"] === "number" &&
    isFunction(writer["alloc"]) && isFunction(writer["finalize"]) && isRecord(offer["lists"]["serverHostKey"])
}

const isClient = (value: unknown): value is Client =>
  isRecord(value) && isRecord(value["_sock"]) && isFunction(value["rekey"]) && isProtocol(value["_protocol"])

const isSendPacket = (value: unknown): value is Inside["sendPacket"] => isFunction(value) && value.length === 3
const isKexInit = (value: unknown): value is Inside["KexInit"] =>
  isFunction(value) && isRecord(value.prototype) && isFunction(value.prototype["copyAllTo"])

const property = (module: unknown, name: string): unknown => isRecord(module) ? module[name] : undefined

/** Loads ssh2's inside and compares it with what this file was written for; fails with a sentence, never half-way. */
const inside = (): Inside => {
  const version = property(require("ssh2/package.json"), "version")
  const sendPacket = property(require("ssh2/lib/protocol/utils.js"), "sendPacket")
  const KexInit = property(require("ssh2/lib/protocol/kex.js"), "KexInit")
  const Protocol: unknown = require("ssh2/lib/protocol/Protocol.js")
  const sample: unknown = isFunction(Protocol)
    ? Reflect.construct(Protocol, [{ server: true, hostKeys: {}, onWrite: () => {}, onError: () => {} }])
    : undefined
  if (version !== verifiedVersion || !isSendPacket(sendPacket) || !isKexInit(KexInit) || !isProtocol(sample)) {
    throw new SshServerError({
      reason: "IncompatibleSsh2",
      message: `ssh2 ${String(version)} is installed, whose inside differs from ssh2 ${verifiedVersion}; ` +
        `install exactly ssh2@${verifiedVersion}`
    })
  }
  return { sendPacket, KexInit, nativeCiphers: nativeCiphersLoaded }
}

/** What ssh2's transport tells about one connection. Called from socket events: must not throw (T12). */
export interface TransportEvents {
  /** The client's identification came. `version` is without `SSH-2.0-`. Nothing else was called before. */
  readonly onIdentified: (transport: Transport, version: string) => void
  /** A message from number 50 on, or of a number that no transport knows, after decryption and authentication. */
  readonly onMessage: (payload: Buffer) => void
  /** A key exchange began, by whichever side. */
  readonly onKeyExchange: () => void
  readonly onKeysTaken: () => void
  /** The transport is unusable; `isGone` if the client left. May come several times. */
  readonly onEnd: (reason: string, isGone: boolean) => void
}

/** The encrypted connection below RFC 4252 and RFC 4254. */
export interface Transport {
  /** Sends a message of the given parts, after the key exchange if one is under way. Does nothing once ended. */
  readonly send: (...parts: ReadonlyArray<Uint8Array>) => void
  /** The same at once, also within a key exchange: for SSH_MSG_DISCONNECT. */
  readonly sendUrgent: (message: Uint8Array) => void
  /** Tells the client that the message of the `onMessage` under way is not known (RFC 4253 §11.4). */
  readonly sendUnimplemented: () => void
  /** Between our or the client's SSH_MSG_KEXINIT and the new keys nothing goes out: messages queue up here. */
  readonly exchangingKeys: () => boolean
  /** How many messages wait for the end of the key exchange. */
  readonly queued: () => number
  /** RFC 4253 §7.2: what a public key's signature is bound to. */
  readonly sessionId: () => Uint8Array
  readonly rekey: () => void
}

export interface TransportServer {
  /** Speaks the SSH transport on a socket; the socket stays the caller's, also to be destroyed. */
  readonly inject: (socket: Socket, events: TransportEvents) => void
}

/** Throws `SshServerError` for a bad host key and for an ssh2 that is not the verified one. */
export const makeTransportServer = (hostKeys: ReadonlyArray<string>, banner: string | undefined): TransportServer => {
  const ssh2Inside = inside()
  const events = new WeakMap<Socket, TransportEvents>()
  const server = new ssh2.Server({
    hostKeys: [...hostKeys],
    algorithms: offered(ssh2Inside.nativeCiphers),
    ...(banner === undefined ? {} : { banner })
  })
  server.on("connection", (client: unknown, info) => {
    if (!isClient(client)) return
    const listener = events.get(client._sock)
    if (listener === undefined) return
    attach(ssh2Inside, client, listener, info.header.identRaw.replace(/^SSH-[^-]*-/, "").trimEnd())
  })
  return {
    inject: (socket, listener) => {
      events.set(socket, listener)
      // Errors before the identification reach only the socket's own events, T10: the caller watches those.
      server.injectSocket(socket)
    }
  }
}

/** Everything within runs in ssh2's 'connection' event: before the first key exchange, synchronously (T11). */
const attach = (ssh2Inside: Inside, client: Client, events: TransportEvents, version: string): void => {
  const protocol = client._protocol
  const emitter = client as unknown as NodeJS.EventEmitter
  let ended = false
  const end = (reason: string, isGone: boolean) => {
    ended = true
    events.onEnd(reason, isGone)
  }

  // T11: an 'error' event without a listener ends the process.
  emitter.on("error", (error: Error) => end(error.message, false))
  emitter.on("end", () => end("the client closed the connection", true))
  emitter.on("handshake", () => events.onKeysTaken())

  withoutSha1(ssh2Inside, protocol)

  const transportPayload = protocol._onPayload
  protocol._onPayload = (payload) => {
    if (ended) return undefined
    const type = payload[0]
    if (type !== undefined && (type >= MessageNumber.userauthRequest || !transportMessages.has(type))) {
      events.onMessage(payload)
      return undefined
    }
    if (type === MessageNumber.disconnect) {
      end("the client disconnected", true)
      return undefined
    }
    const result = transportPayload(payload)
    if (type === MessageNumber.kexInit) events.onKeyExchange()
    return result
  }

  const usable = () => !ended && protocol._destruct !== undefined
  const send: Transport["send"] = (...parts) => {
    if (!usable()) return
    const writer = protocol._packetRW.write
    let length = 0
    for (const part of parts) length += part.length
    let position = writer.allocStart
    const packet = writer.alloc(length)
    for (const part of parts) {
      packet.set(part, position)
      position += part.length
    }
    ssh2Inside.sendPacket(protocol, writer.finalize(packet))
  }
  withOwnSignatureAlgorithms(protocol, send)

  events.onIdentified({
    send,
    // The number is counted up before the message is handed on.
    sendUnimplemented: () => send(Messages.unimplemented((protocol._decipher?.inSeqno ?? 0) - 1)),
    sendUrgent: (message) => {
      if (!usable()) return
      const writer = protocol._packetRW.write
      const position = writer.allocStartKEX
      const packet = writer.alloc(message.length, true)
      packet.set(message, position)
      ssh2Inside.sendPacket(protocol, writer.finalize(packet, true), true)
    },
    exchangingKeys: () => protocol._kexinit !== undefined,
    queued: () => protocol._queue?.length ?? 0,
    sessionId: () => protocol._kex?.sessionID ?? new Uint8Array(0),
    rekey: () => {
      if (usable()) client.rekey()
    }
  }, version)
}

/**
 * ssh2's list of signature algorithms lacks a comma, so that clients sign with RSA and SHA-256 at best, and names SHA-1
 * and DSA: ours goes out in its place, right after the first NEWKEYS as RFC 8308 §2.4 demands.
 */
const withOwnSignatureAlgorithms = (protocol: Protocol, send: Transport["send"]): void => {
  const onHandshakeComplete = protocol._onHandshakeComplete
  protocol._onHandshakeComplete = (negotiated) => {
    // As the client asked for it, at the first key exchange.
    if (protocol._kex?.remoteExtInfoEnabled === true) {
      protocol._kex.remoteExtInfoEnabled = false
      send(Messages.serverSignatureAlgorithms(signatureAlgorithms))
    }
    protocol._onHandshakeComplete = onHandshakeComplete
    onHandshakeComplete(negotiated)
  }
}

/** ssh2 always offers `ssh-rsa`, that is SHA-1, when there is an RSA host key: the offer is made anew without it. */
const withoutSha1 = (ssh2Inside: Inside, protocol: Protocol): void => {
  const lists = protocol._offer.lists
  if (!lists.serverHostKey.array.includes("ssh-rsa")) return
  const directed = (side: Directed) => ({
    cipher: side.cipher.array,
    mac: side.mac.array,
    compress: side.compress.array,
    lang: []
  })
  protocol._offer = new ssh2Inside.KexInit({
    kex: lists.kex.array,
    serverHostKey: lists.serverHostKey.array.filter((name) => name !== "ssh-rsa"),
    cs: directed(lists.cs),
    sc: directed(lists.sc)
  })
}
