/**
 * The messages of the connection protocol (RFC 4254) that a server gets and sends. Pure: bytes in, values out.
 */
import { string, uint32, WireReader } from "./WireReader.ts"

/** Message numbers of RFC 4250 §4.1.2. */
export const MessageNumber = {
  disconnect: 1,
  ignore: 2,
  unimplemented: 3,
  debug: 4,
  serviceRequest: 5,
  serviceAccept: 6,
  extInfo: 7,
  kexInit: 20,
  newKeys: 21,
  userauthRequest: 50,
  userauthFailure: 51,
  userauthSuccess: 52,
  userauthPkOk: 60,
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100
} as const

/** Reasons of SSH_MSG_DISCONNECT (RFC 4253 §11.1). */
export const DisconnectReason = {
  protocolError: 2,
  serviceNotAvailable: 7,
  connectionLost: 10,
  byApplication: 11,
  tooManyConnections: 12,
  noMoreAuthMethodsAvailable: 14
} as const

/** Reasons of SSH_MSG_CHANNEL_OPEN_FAILURE (RFC 4254 §5.1). */
export const OpenFailure = {
  administrativelyProhibited: 1,
  connectFailed: 2,
  unknownChannelType: 3,
  resourceShortage: 4
} as const

/** Data type code of SSH_MSG_CHANNEL_EXTENDED_DATA (RFC 4254 §5.2). */
const extendedDataStderr = 1

export type ConnectionMessage =
  | { readonly _tag: "GlobalRequest"; readonly name: string; readonly wantReply: boolean }
  | {
    readonly _tag: "ChannelOpen"
    readonly type: string
    readonly sender: number
    readonly window: number
    readonly packetSize: number
  }
  | { readonly _tag: "WindowAdjust"; readonly recipient: number; readonly bytes: number }
  | { readonly _tag: "Data"; readonly recipient: number; readonly data: Buffer }
  | { readonly _tag: "ExtendedData"; readonly recipient: number; readonly data: Buffer }
  | { readonly _tag: "Eof"; readonly recipient: number }
  | { readonly _tag: "Close"; readonly recipient: number }
  | {
    readonly _tag: "ChannelRequest"
    readonly recipient: number
    readonly type: string
    readonly wantReply: boolean
    readonly data: Buffer
  }
  /** An answer to something that we asked: nothing follows from it. */
  | { readonly _tag: "Answer" }
  /** A number that nobody knows. */
  | { readonly _tag: "Unknown" }

/** Decodes one message; `undefined` when it is cut short. */
export const decode = (payload: Uint8Array): ConnectionMessage | undefined => {
  const reader = new WireReader(payload, 1)
  const message = decodeFields(payload[0] ?? 0, reader)
  return reader.ok ? message : undefined
}

const decodeFields = (type: number, reader: WireReader): ConnectionMessage => {
  switch (type) {
    case MessageNumber.globalRequest:
      return { _tag: "GlobalRequest", name: reader.text(), wantReply: reader.boolean() }
    case MessageNumber.channelOpen:
      return {
        _tag: "ChannelOpen",
        type: reader.text(),
        sender: reader.uint32(),
        window: reader.uint32(),
        packetSize: reader.uint32()
      }
    case MessageNumber.channelWindowAdjust:
      return { _tag: "WindowAdjust", recipient: reader.uint32(), bytes: reader.uint32() }
    case MessageNumber.channelData:
      return { _tag: "Data", recipient: reader.uint32(), data: reader.string() }
    case MessageNumber.channelExtendedData: {
      const recipient = reader.uint32()
      reader.uint32()
      return { _tag: "ExtendedData", recipient, data: reader.string() }
    }
    case MessageNumber.channelEof:
      return { _tag: "Eof", recipient: reader.uint32() }
    case MessageNumber.channelClose:
      return { _tag: "Close", recipient: reader.uint32() }
    case MessageNumber.channelRequest:
      return {
        _tag: "ChannelRequest",
        recipient: reader.uint32(),
        type: reader.text(),
        wantReply: reader.boolean(),
        data: reader.rest()
      }
    case MessageNumber.requestSuccess:
    case MessageNumber.requestFailure:
    case MessageNumber.channelOpenConfirmation:
    case MessageNumber.channelOpenFailure:
    case MessageNumber.channelSuccess:
    case MessageNumber.channelFailure:
      return { _tag: "Answer" }
    default:
      return { _tag: "Unknown" }
  }
}

const numbered = (type: number, ...fields: ReadonlyArray<Uint8Array>): Buffer =>
  Buffer.concat([Buffer.of(type), ...fields])

export const requestSuccess: Buffer = numbered(MessageNumber.requestSuccess)
export const requestFailure: Buffer = numbered(MessageNumber.requestFailure)

/** The question whether the other side lives, as OpenSSH asks it: any answer will do (OpenSSH's PROTOCOL, §2). */
export const keepalive: Buffer = numbered(
  MessageNumber.globalRequest,
  string("keepalive@openssh.com"),
  Buffer.of(1)
)

export const channelOpenConfirmation = (remote: number, local: number, window: number, packetSize: number): Buffer =>
  numbered(
    MessageNumber.channelOpenConfirmation,
    uint32(remote),
    uint32(local),
    uint32(window),
    uint32(packetSize)
  )

export const channelOpenFailure = (remote: number, reason: number, description: string): Buffer =>
  numbered(MessageNumber.channelOpenFailure, uint32(remote), uint32(reason), string(description), string(""))

export const channelWindowAdjust = (remote: number, bytes: number): Buffer =>
  numbered(MessageNumber.channelWindowAdjust, uint32(remote), uint32(bytes))

export const channelEof = (remote: number): Buffer => numbered(MessageNumber.channelEof, uint32(remote))
export const channelClose = (remote: number): Buffer => numbered(MessageNumber.channelClose, uint32(remote))
export const channelSuccess = (remote: number): Buffer => numbered(MessageNumber.channelSuccess, uint32(remote))
export const channelFailure = (remote: number): Buffer => numbered(MessageNumber.channelFailure, uint32(remote))

/** What stands before the bytes of SSH_MSG_CHANNEL_DATA, so that they need not be copied into a message first. */
export const channelDataHeader = (remote: number, length: number): Buffer => {
  const header = Buffer.allocUnsafe(9)
  header[0] = MessageNumber.channelData
  header.writeUInt32BE(remote, 1)
  header.writeUInt32BE(length, 5)
  return header
}

/** The same for standard error. */
export const channelStderrHeader = (remote: number, length: number): Buffer => {
  const header = Buffer.allocUnsafe(13)
  header[0] = MessageNumber.channelExtendedData
  header.writeUInt32BE(remote, 1)
  header.writeUInt32BE(extendedDataStderr, 5)
  header.writeUInt32BE(length, 9)
  return header
}

/** The client is not to do flow control with ^S and ^Q itself: they are for the program (RFC 4254 §6.8). */
export const xonXoffOff = (remote: number): Buffer =>
  numbered(MessageNumber.channelRequest, uint32(remote), string("xon-xoff"), Buffer.of(0), Buffer.of(0))

export const exitStatus = (remote: number, code: number): Buffer =>
  numbered(MessageNumber.channelRequest, uint32(remote), string("exit-status"), Buffer.of(0), uint32(code))

export const exitSignal = (remote: number, signal: string, message: string): Buffer =>
  numbered(
    MessageNumber.channelRequest,
    uint32(remote),
    string("exit-signal"),
    Buffer.of(0),
    string(signal),
    Buffer.of(0),
    string(message),
    string("")
  )

/** Which of the other side's messages is not known here, by its sequence number (RFC 4253 §11.4). */
export const unimplemented = (sequenceNumber: number): Buffer =>
  numbered(MessageNumber.unimplemented, uint32(sequenceNumber))

/** With which algorithms a user's key may sign (RFC 8308 §3.1). */
export const serverSignatureAlgorithms = (algorithms: ReadonlyArray<string>): Buffer =>
  numbered(MessageNumber.extInfo, uint32(1), string("server-sig-algs"), string(algorithms.join(",")))

export const disconnect = (reason: number, description: string): Buffer =>
  numbered(MessageNumber.disconnect, uint32(reason), string(description), string(""))
