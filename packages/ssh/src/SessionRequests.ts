/**
 * The requests on a session channel (RFC 4254 §6), decoded from the wire. Pure.
 *
 * ssh2's own decoder loses the terminal modes and kills connections over them (trap T13): nothing here passes it.
 */
import type { SessionRequest, TerminalModes, TerminalSize } from "kuberun"
import { isSignalName } from "./SignalName.ts"
import { WireReader } from "./WireReader.ts"

type WithoutReply<Request> = Request extends unknown ? Omit<Request, "reply"> : never

/** A `SessionRequest` that cannot be answered yet. */
export type DecodedRequest = WithoutReply<SessionRequest>

/** Decodes the type-specific data of a channel request; `undefined` when it is cut short. */
export const decode = (type: string, data: Uint8Array): DecodedRequest | undefined => {
  const reader = new WireReader(data)
  const request = decodeFields(type, reader)
  return reader.ok ? request : undefined
}

const decodeFields = (type: string, reader: WireReader): DecodedRequest => {
  switch (type) {
    case "env":
      return { _tag: "Environment", name: reader.text(), value: reader.byteText() }
    case "pty-req": {
      const term = reader.text()
      const size = decodeSize(reader)
      return { _tag: "Terminal", term, size, modes: decodeModes(reader.string()) }
    }
    case "shell":
      return { _tag: "Shell" }
    case "exec":
      return { _tag: "Exec", command: reader.byteText() }
    case "subsystem":
      return { _tag: "Subsystem", name: reader.text() }
    case "window-change":
      return { _tag: "WindowChange", size: decodeSize(reader) }
    case "signal": {
      // RFC 4254 §6.9 has no prefix; clients that send one mean the same.
      const name = reader.text().replace(/^SIG/, "")
      return isSignalName(name) ? { _tag: "Signal", name } : { _tag: "Unknown", type }
    }
    case "break":
      return { _tag: "Break", milliseconds: reader.uint32() }
    default:
      return { _tag: "Unknown", type }
  }
}

/** Four numbers: characters first, then pixels, of which two zeros say that they are not known (RFC 4254 §6.2). */
const decodeSize = (reader: WireReader): TerminalSize => {
  const size = { columns: reader.uint32(), rows: reader.uint32() }
  const pixels = { width: reader.uint32(), height: reader.uint32() }
  return pixels.width === 0 && pixels.height === 0 ? size : { ...size, pixels }
}

/** From this opcode on the length of an argument is not known (RFC 4254 §8): decoding stops there. */
const firstUndefinedOpcode = 160

/**
 * Opcode and uint32 argument in turn, up to TTY_OP_END, an opcode that is not defined, or the end: what is readable
 * counts, as in OpenSSH, which never refuses a terminal for its modes.
 */
export const decodeModes = (encoded: Uint8Array): TerminalModes => {
  const reader = new WireReader(encoded)
  const modes = new Map<number, number>()
  while (reader.available >= 5) {
    const opcode = reader.uint8()
    if (opcode === 0 || opcode >= firstUndefinedOpcode) break
    modes.set(opcode, reader.uint32())
  }
  return modes
}
