/**
 * The format of `authorized_keys` (sshd(8), AUTHORIZED_KEYS FILE FORMAT), read so that it never grants more than it
 * says: a line whose options (`command="…"`, `from="…"`, `restrict`, …) are not honoured here is refused as a whole.
 * Pure.
 */
import { Option } from "effect"

/** A key that may log in. */
export interface AuthorizedKey {
  readonly algorithm: string
  /** The public key in SSH wire format (RFC 4253 §6.6). */
  readonly blob: Uint8Array
  readonly comment: string
}

/** A line that grants nothing, and why. It quotes nothing of the line but the name of an option or a key type. */
export interface RefusedLine {
  /** From 1. */
  readonly line: number
  readonly reason: string
}

export interface AuthorizedKeys {
  readonly keys: ReadonlyArray<AuthorizedKey>
  readonly refused: ReadonlyArray<RefusedLine>
}

/** Key types that a login with a plain signature can use here. */
const keyTypes: ReadonlySet<string> = new Set([
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa"
])

const looksLikeKeyType = (word: string): boolean => /^(sk-)?(ssh|ecdsa)-[a-z0-9-]+(@openssh\.com)?$/.test(word)

/** The length that the first field of the line has: up to a space outside of double quotes. */
const firstField = (line: string): string => {
  let quoted = false
  for (let index = 0; index < line.length; index++) {
    const character = line[index]
    if (quoted && character === "\\" && line[index + 1] === "\"") index++
    else if (character === "\"") quoted = !quoted
    else if (!quoted && (character === " " || character === "\t")) return line.slice(0, index)
  }
  return line
}

const optionName = (options: string): string => /^[A-Za-z0-9-]+/.exec(options)?.[0] ?? "unreadable"

/** The key type that stands in the blob itself, as its first string. */
const blobType = (blob: Uint8Array): Option.Option<string> => {
  if (blob.length < 4) return Option.none()
  const length = new DataView(blob.buffer, blob.byteOffset, blob.length).getUint32(0)
  return length > 0 && 4 + length < blob.length
    ? Option.some(new TextDecoder("latin1").decode(blob.subarray(4, 4 + length)))
    : Option.none()
}

const decodeBase64 = (text: string): Option.Option<Uint8Array> =>
  /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0
    ? Option.some(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))
    : Option.none()

type ParsedLine =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Key"; readonly key: AuthorizedKey }
  | { readonly _tag: "Refused"; readonly reason: string }

const refused = (reason: string): ParsedLine => ({ _tag: "Refused", reason })

const parseLine = (raw: string): ParsedLine => {
  const line = raw.trim()
  if (line === "" || line.startsWith("#")) return { _tag: "Nothing" }
  const algorithm = firstField(line)
  if (!looksLikeKeyType(algorithm)) {
    return looksLikeKeyType(firstField(line.slice(algorithm.length).trim()))
      ? refused(`its option "${optionName(algorithm)}" is not supported here, so that the whole line is not used`)
      : refused("it is not a public key")
  }
  if (!keyTypes.has(algorithm)) return refused(`keys of type ${algorithm} are not supported`)
  const [encoded = "", ...comment] = line.slice(algorithm.length).trim().split(/[ \t]+/)
  const blob = decodeBase64(encoded)
  if (Option.isNone(blob)) return refused("its key is not valid base64")
  if (Option.getOrUndefined(blobType(blob.value)) !== algorithm) {
    return refused(`its key is cut off, or is not of the type ${algorithm} that the line says`)
  }
  return { _tag: "Key", key: { algorithm, blob: blob.value, comment: comment.join(" ") } }
}

/** Reads a file's text. */
export const parse = (text: string): AuthorizedKeys => {
  const keys: Array<AuthorizedKey> = []
  const refusedLines: Array<RefusedLine> = []
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const parsed = parseLine(raw)
    if (parsed._tag === "Key") keys.push(parsed.key)
    if (parsed._tag === "Refused") refusedLines.push({ line: index + 1, reason: parsed.reason })
  }
  return { keys, refused: refusedLines }
}
