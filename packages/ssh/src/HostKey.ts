/**
 * The server's own keys.
 */
import { Effect, Redacted } from "effect"
import ssh2 from "ssh2"
import { SshServerError } from "./SshServerError.ts"

/** A new ed25519 key pair in OpenSSH's formats: a private key file, and a line as in `id_ed25519.pub`. */
export const generateKey = (
  comment: string
): Effect.Effect<{ readonly privateKey: Redacted.Redacted<string>; readonly publicKey: string }> =>
  Effect.sync(() => {
    const pair = ssh2.utils.generateKeyPairSync("ed25519", { comment })
    return { privateKey: Redacted.make(pair.private), publicKey: pair.public }
  })

/** Fails with a sentence for what ssh2 cannot read. The texts leave their `Redacted` here and go to ssh2 alone. */
export const readHostKeys = (
  keys: ReadonlyArray<Redacted.Redacted<string>>
): Effect.Effect<ReadonlyArray<string>, SshServerError> =>
  Effect.gen(function*() {
    if (keys.length === 0) return yield* badHostKey("no host key is given; make one with: ssh-keygen -t ed25519")
    return yield* Effect.forEach(keys, (key, index) => readHostKey(Redacted.value(key), index + 1))
  })

const readHostKey = (text: string, number: number): Effect.Effect<string, SshServerError> => {
  if (text.includes("BEGIN PRIVATE KEY")) {
    return badHostKey(
      `host key ${number} is in PKCS#8 format, which is not read; convert the file with: ssh-keygen -p -N '' -f FILE`
    )
  }
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
