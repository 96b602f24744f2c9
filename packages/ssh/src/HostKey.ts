/**
 * The server's own keys.
 */
import { Effect, Redacted } from "effect"
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import ssh2 from "ssh2"
import { SshServerError } from "./SshServerError.ts"
import { string, uint32 } from "./WireReader.ts"

/**
 * A new ed25519 key pair in OpenSSH's formats: a private key file, and a line as in `id_ed25519.pub`.
 *
 * Made here because ssh2's generator drops leading zeros of the public key: one of its keys in 256 cannot be read.
 */
export const generateKey = (
  comment: string
): Effect.Effect<{ readonly privateKey: Redacted.Redacted<string>; readonly publicKey: string }> =>
  Effect.sync(() => fromEd25519(generateKeyPairSync("ed25519").privateKey, comment))

const fromEd25519 = (key: KeyObject, comment: string) => {
  const { d = "", x = "" } = key.export({ format: "jwk" })
  return encodeKey(Buffer.from(d, "base64url"), Buffer.from(x, "base64url"), comment)
}

const algorithm = "ssh-ed25519"

/** Seed and public key, 32 bytes each, as files (OpenSSH's PROTOCOL.key, without encryption). */
export const encodeKey = (seed: Uint8Array, publicKey: Uint8Array, comment: string) => {
  const wireKey = Buffer.concat([string(algorithm), string(publicKey)])
  // A reader recognises a wrong passphrase by two check numbers that differ.
  const check = randomBytes(4)
  const secret = Buffer.concat([
    check,
    check,
    string(algorithm),
    string(publicKey),
    string(Buffer.concat([seed, publicKey])),
    string(comment)
  ])
  const padding = Uint8Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1)
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    string("none"),
    string("none"),
    string(""),
    uint32(1),
    string(wireKey),
    string(Buffer.concat([secret, padding]))
  ])
  const lines = file.toString("base64").replace(/(.{70})/g, "$1\n").trimEnd()
  return {
    privateKey: Redacted.make(`-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`),
    publicKey: `${algorithm} ${wireKey.toString("base64")} ${comment}`.trimEnd()
  }
}

/** Fails with a sentence for what ssh2 cannot read. The texts leave their `Redacted` here and go to ssh2 alone. */
export const readHostKeys = (
  keys: ReadonlyArray<Redacted.Redacted<string>>
): Effect.Effect<ReadonlyArray<string>, SshServerError> =>
  Effect.gen(function*() {
    if (keys.length === 0) return yield* badHostKey("no host key is given; make one with: ssh-keygen -t ed25519")
    return yield* Effect.forEach(keys, (key, index) => readHostKey(Redacted.value(key), index + 1))
  })

const readHostKey = (given: string, number: number): Effect.Effect<string, SshServerError> => {
  const text = fromPkcs8(given)
  const parsed = ssh2.utils.parseKey(text)
  if (parsed instanceof Error) {
    return badHostKey(`host key ${number} cannot be read (${parsed.message}); it must be an OpenSSH private key file`)
  }
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  if (key === undefined || !key.isPrivateKey()) {
    return badHostKey(`host key ${number} is not a private key; give the file without .pub`)
  }
  return Effect.succeed(text)
}

const badHostKey = (message: string) => Effect.fail(new SshServerError({ reason: "BadHostKey", message }))

/**
 * PKCS#8 (`BEGIN PRIVATE KEY`, as OpenSSL and Node write) in a form that ssh2 reads: it knows OpenSSH's own, PKCS#1 and
 * SEC1. Everything else comes back as it is.
 */
const fromPkcs8 = (text: string): string => {
  if (!text.includes("-----BEGIN PRIVATE KEY-----")) return text
  try {
    const key = createPrivateKey(text)
    switch (key.asymmetricKeyType) {
      case "ed25519":
        return Redacted.value(fromEd25519(key, "").privateKey)
      case "rsa":
        return key.export({ type: "pkcs1", format: "pem" }).toString()
      case "ec":
        return key.export({ type: "sec1", format: "pem" }).toString()
      default:
        return text
    }
  } catch {
    return text
  }
}
