import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { generateKeyPairSync, sign } from "node:crypto"
import ssh2 from "ssh2"
import { encodeKey } from "../src/HostKey.ts"
import { generateKey, parsePublicKey } from "../src/index.ts"
import { isSignedBy } from "../src/PublicKey.ts"
import { string } from "../src/WireReader.ts"
import * as Client from "./Client.ts"
import { sessions, start } from "./TestServer.ts"

describe("a generated key", () => {
  it.effect("is read back by ssh2, and its two halves belong together", () =>
    Effect.gen(function*() {
      const { privateKey, publicKey } = yield* generateKey("me@home")
      const read = ssh2.utils.parseKey(Redacted.value(privateKey))
      if (read instanceof Error) throw read
      const line = Option.getOrThrow(parsePublicKey(publicKey))
      assert.isTrue(read.getPublicSSH().equals(line.key))
      assert.strictEqual(read.comment, "me@home")
      assert.strictEqual(line.comment, "me@home")
      assert.notInclude(JSON.stringify({ privateKey }), "PRIVATE KEY")
    }))

  it("keeps the leading zeros of its public key, which ssh2's generator loses", () => {
    const withZero = () => {
      for (let tries = 0; tries < 20_000; tries++) {
        const pair = generateKeyPairSync("ed25519")
        const jwk = pair.privateKey.export({ format: "jwk" })
        const x = Buffer.from(jwk.x ?? "", "base64url")
        if (x[0] === 0) return { pair, x, d: Buffer.from(jwk.d ?? "", "base64url") }
      }
      throw new Error("no such key in 20000")
    }
    const { d, pair, x } = withZero()
    const { privateKey, publicKey } = encodeKey(d, x, "zero")
    assert.notInstanceOf(ssh2.utils.parseKey(Redacted.value(privateKey)), Error)
    const { key } = Option.getOrThrow(parsePublicKey(publicKey))
    const data = Buffer.from("signed")
    const signature = Buffer.concat([string("ssh-ed25519"), string(sign(null, data, pair.privateKey))])
    assert.isTrue(isSignedBy({ algorithm: "ssh-ed25519", key, data, signature }))
    assert.isFalse(isSignedBy({ algorithm: "ssh-ed25519", key, data: Buffer.from("other"), signature }))
  })
})

describe("a host key", () => {
  const pkcs8 = { type: "pkcs8", format: "pem" } as const
  const pairs = {
    ed25519: generateKeyPairSync("ed25519"),
    ecdsa: generateKeyPairSync("ec", { namedCurve: "P-384" }),
    rsa: generateKeyPairSync("rsa", { modulusLength: 2048 })
  }
  for (const [name, { privateKey }] of Object.entries(pairs)) {
    it.live(`may be in PKCS#8: ${name}`, () =>
      Effect.gen(function*() {
        const key = Redacted.make(privateKey.export(pkcs8).toString())
        const server = yield* start(sessions(() => Effect.never), { server: { hostKeys: [key] } })
        yield* Client.connect(server.port)
      }))
  }

  it.live("of RSA is not offered with SHA-1", () =>
    Effect.gen(function*() {
      const key = Redacted.make(pairs.rsa.privateKey.export(pkcs8).toString())
      const server = yield* start(sessions(() => Effect.never), { server: { hostKeys: [key] } })
      yield* Effect.scoped(Client.connect(server.port, { algorithms: { serverHostKey: ["rsa-sha2-256"] } }))
      yield* Effect.flip(Client.connect(server.port, { algorithms: { serverHostKey: ["ssh-rsa"] } }))
    }))
})
