import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { TestConsole } from "effect/testing"
import { execFileSync } from "node:child_process"
import { fingerprint, make, offeredMethods } from "../src/Authentication.ts"
import type { AuthorizedKey } from "../src/AuthorizedKeys.ts"
import * as Logging from "../src/Logging.ts"

const from = { connectionId: "0".repeat(32), username: "anybody", remoteAddress: "127.0.0.1", remotePort: 1 }
const key = (bytes: Uint8Array): AuthorizedKey => ({ algorithm: "ssh-ed25519", blob: bytes, comment: "" })

const password = (said: string) => ({ ...from, _tag: "Password" as const, password: Redacted.make(said) })
const publicKey = (bytes: Uint8Array, signed: boolean) => ({
  ...from,
  _tag: "PublicKey" as const,
  algorithm: "ssh-ed25519",
  key: bytes,
  signed
})

describe("authentication", () => {
  it.effect.prop("a password is accepted exactly when it is the one", {
    right: Schema.NonEmptyString,
    said: Schema.String
  }, ({ right, said }) =>
    Effect.gen(function*() {
      const authenticator = make({ keys: [], password: Redacted.make(right) })
      assert.strictEqual((yield* authenticator.authenticate(password(right)))._tag, "Accepted")
      const expected = said === right ? "Accepted" : "Rejected"
      assert.strictEqual((yield* authenticator.authenticate(password(said)))._tag, expected)
    }))

  it.effect.prop("a key is accepted exactly when it is authorized, and the question gets the login's answer", {
    authorized: Schema.Array(Schema.Uint8Array),
    other: Schema.Uint8Array
  }, ({ authorized, other }) =>
    Effect.gen(function*() {
      const authenticator = make({ keys: authorized.map(key) })
      for (const signed of [false, true]) {
        for (const bytes of authorized) {
          assert.strictEqual((yield* authenticator.authenticate(publicKey(bytes.slice(), signed)))._tag, "Accepted")
        }
        const known = authorized.some((bytes) => Buffer.from(bytes).equals(other))
        const answer = yield* authenticator.authenticate(publicKey(other, signed))
        assert.strictEqual(answer._tag, known ? "Accepted" : "Rejected")
      }
    }))

  it.effect("nobody enters without a method, or by one that is not set up", () =>
    Effect.gen(function*() {
      const authenticator = make({ keys: [] })
      for (const request of [{ ...from, _tag: "None" as const }, password(""), publicKey(new Uint8Array(), true)]) {
        assert.strictEqual((yield* authenticator.authenticate(request))._tag, "Rejected")
      }
    }))

  it.effect("each login is logged once with its key's fingerprint, a question never, a password never", () =>
    Effect.gen(function*() {
      const authenticator = make({ keys: [key(new Uint8Array([1]))], password: Redacted.make("hunter2") })
      yield* Effect.forEach([
        { ...from, _tag: "None" as const },
        publicKey(new Uint8Array([1]), false),
        publicKey(new Uint8Array([1]), true),
        password("hunter2"),
        password("hunter3")
      ], authenticator.authenticate).pipe(Effect.provide(Logging.layer("json")))
      const entries = (yield* TestConsole.errorLines).map((line) => JSON.parse(String(line)))
      assert.deepStrictEqual(entries.map((entry) => entry.message), [
        `key ${fingerprint(new Uint8Array([1]))} accepted from 127.0.0.1`,
        "password accepted from 127.0.0.1",
        "password refused from 127.0.0.1"
      ])
      for (const entry of entries) assert.include(entry, { connectionId: from.connectionId, user: "anybody" })
      assert.notInclude(JSON.stringify(entries), "hunter")
    }))

  it("prints fingerprints as ssh-keygen does", () => {
    const blob = "AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH"
    const [, expected] = execFileSync("ssh-keygen", ["-lf", "-"], {
      input: `ssh-ed25519 ${blob}\n`,
      encoding: "utf8"
    }).split(" ")
    assert.strictEqual(fingerprint(Buffer.from(blob, "base64")), expected)
  })

  it("only what has something behind it is offered", () => {
    const one = key(new Uint8Array([1]))
    assert.deepStrictEqual(offeredMethods({ keys: [one] }), ["publickey"])
    assert.deepStrictEqual(offeredMethods({ keys: [], password: Redacted.make("x") }), ["password"])
    assert.deepStrictEqual(offeredMethods({ keys: [one], password: Redacted.make("x") }), ["publickey", "password"])
  })
})
