/**
 * Public keys in the SSH wire format (RFC 4253 §6.6) and what they signed (RFC 4252 §7). Pure.
 */
import { Option } from "effect"
import { verify } from "node:crypto"
import ssh2 from "ssh2"
import { string, WireReader } from "./WireReader.ts"

export interface PublicKey {
  readonly algorithm: string
  /** Wire format, to be compared byte by byte. */
  readonly key: Uint8Array
  readonly comment: string
}

/**
 * A line as in `id_ed25519.pub` or `authorized_keys`, without options before it: algorithm, key in base64, comment.
 * None for anything else, also for a key whose inside names another algorithm.
 */
export const parsePublicKey = (text: string): Option.Option<PublicKey> => {
  const match = /^\s*([A-Za-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+([^\r\n]*))?\s*$/.exec(text)
  const [, algorithm, base64, comment] = match ?? []
  if (algorithm === undefined || base64 === undefined) return Option.none()
  const key = Buffer.from(base64, "base64")
  const reader = new WireReader(key)
  const inner = reader.text()
  if (!reader.ok || inner !== algorithm) return Option.none()
  return Option.some({ algorithm, key: Uint8Array.from(key), comment: (comment ?? "").trim() })
}

interface SignatureScheme {
  /** The type that the key itself names. */
  readonly keyType: string
  /** Undefined where the scheme has its own. */
  readonly hash: string | undefined
  /** Size of r and of s in an ECDSA signature (RFC 5656 §3.1.2). */
  readonly coordinateBytes?: number
}

/** What is accepted: no SHA-1 (`ssh-rsa` is RSA with SHA-1), no DSA. */
const schemes = new Map<string, SignatureScheme>([
  ["ssh-ed25519", { keyType: "ssh-ed25519", hash: undefined }],
  ["ecdsa-sha2-nistp256", { keyType: "ecdsa-sha2-nistp256", hash: "sha256", coordinateBytes: 32 }],
  ["ecdsa-sha2-nistp384", { keyType: "ecdsa-sha2-nistp384", hash: "sha384", coordinateBytes: 48 }],
  ["ecdsa-sha2-nistp521", { keyType: "ecdsa-sha2-nistp521", hash: "sha512", coordinateBytes: 66 }],
  ["rsa-sha2-256", { keyType: "ssh-rsa", hash: "sha256" }],
  ["rsa-sha2-512", { keyType: "ssh-rsa", hash: "sha512" }]
])

/** The names of what is accepted, to be told to clients: they would not sign with SHA-2 and RSA otherwise. */
export const signatureAlgorithms: ReadonlyArray<string> = Array.from(schemes.keys())

/** Whether a client may log in with such a key: known algorithm, and the key is of it. */
export const isAcceptable = (algorithm: string, key: Uint8Array): boolean => {
  const reader = new WireReader(key)
  return schemes.get(algorithm)?.keyType === reader.text() && reader.ok
}

/** Whether the signature (with its algorithm before it, as on the wire) is the key's over the data. Never throws. */
export const isSignedBy = (options: {
  readonly algorithm: string
  readonly key: Uint8Array
  readonly data: Uint8Array
  readonly signature: Uint8Array
}): boolean => {
  const scheme = schemes.get(options.algorithm)
  if (scheme === undefined || !isAcceptable(options.algorithm, options.key)) return false
  const reader = new WireReader(options.signature)
  const algorithm = reader.text()
  const bytes = reader.string()
  if (!reader.ok || reader.available > 0 || algorithm !== options.algorithm) return false
  const signature = scheme.coordinateBytes === undefined ? bytes : fixedCoordinates(bytes, scheme.coordinateBytes)
  const publicKey = toPem(options.key)
  if (signature === undefined || publicKey === undefined) return false
  try {
    return verify(scheme.hash, options.data, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature)
  } catch {
    // A key that OpenSSL does not accept signed nothing.
    return false
  }
}

const toPem = (key: Uint8Array): string | undefined => {
  const parsed = ssh2.utils.parseKey(Buffer.from(key))
  return parsed instanceof Error || Array.isArray(parsed) ? undefined : parsed.getPublicPEM()
}

/** Two `mpint` (RFC 5656 §3.1.2) as two numbers of fixed size, which is what Node's `ieee-p1363` means. */
const fixedCoordinates = (bytes: Uint8Array, size: number): Buffer | undefined => {
  const reader = new WireReader(bytes)
  const coordinates = [reader.string(), reader.string()].map((mpint) => {
    const digits = mpint.subarray(mpint.findIndex((byte) => byte !== 0))
    return digits.length > size ? undefined : Buffer.concat([Buffer.alloc(size - digits.length), digits])
  })
  const [r, s] = coordinates
  return !reader.ok || r === undefined || s === undefined ? undefined : Buffer.concat([r, s])
}

/** What a login by public key signs: the session's id, and the request up to the key (RFC 4252 §7). */
export const signedData = (sessionId: Uint8Array, requestUpToKey: Uint8Array): Buffer =>
  Buffer.concat([string(sessionId), requestUpToKey])
