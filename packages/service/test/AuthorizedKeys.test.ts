import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { parse } from "../src/AuthorizedKeys.ts"

const types = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"] as const

/** A blob that starts with its type, as every public key does. */
const blobOf = (type: string, rest: Uint8Array): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(type.length)
  return Buffer.concat([length, Buffer.from(type), rest])
}

const keyArbitrary = Schema.Struct({
  type: Schema.Literals(types),
  rest: Schema.Uint8Array.check(Schema.isMinLength(1), Schema.isMaxLength(60)),
  comment: Schema.String.check(Schema.isPattern(/^([!-~]( [!-~])?){0,10}$/))
})

const ed25519 = `ssh-ed25519 ${blobOf("ssh-ed25519", Buffer.alloc(36, 7)).toString("base64")} me@home`

describe("authorized keys", () => {
  it.effect.prop("every key of a well-formed file is found, byte for byte, between comments and empty lines", {
    keys: Schema.Array(keyArbitrary).check(Schema.isMaxLength(8)),
    ending: Schema.Literals(["\n", "\r\n"])
  }, ({ ending, keys }) =>
    Effect.sync(() => {
      const lines = keys.flatMap(({ comment, rest, type }) => [
        "# a comment",
        "",
        `  ${type} ${blobOf(type, rest).toString("base64")} ${comment}`
      ])
      const found = parse(lines.join(ending))
      assert.deepStrictEqual(found.refused, [])
      assert.deepStrictEqual(
        found.keys.map((key) => [key.algorithm, Buffer.from(key.blob).toString("hex"), key.comment]),
        keys.map(({ comment, rest, type }) => [type, blobOf(type, rest).toString("hex"), comment.trim()])
      )
    }))

  it.effect.prop("a line with options is never accepted, whatever the options are", {
    name: Schema.Literals(["command", "from", "environment", "permitopen", "principals", "expiry-time"]),
    value: Schema.String.check(Schema.isPattern(/^[!-~ ]{0,30}$/)),
    more: Schema.Literals(["", ",restrict", ",no-pty", ",command=\"a\\\"b c\""])
  }, ({ more, name, value }) =>
    Effect.sync(() => {
      const quoted = value.replaceAll("\\", "").replaceAll("\"", "\\\"")
      const { keys, refused } = parse(`${name}="${quoted}"${more} ${ed25519}`)
      assert.deepStrictEqual(keys, [])
      assert.lengthOf(refused, 1)
      assert.include(refused[0]?.reason, `option "${name}" is not supported`)
    }))

  it("a bare option is refused as well", () => {
    for (const option of ["restrict", "no-pty", "cert-authority", "no-port-forwarding,no-pty"]) {
      const { keys, refused } = parse(`${option} ${ed25519}`)
      assert.deepStrictEqual(keys, [])
      assert.lengthOf(refused, 1, option)
    }
  })

  it.effect.prop(
    "no text whatever makes a key whose blob does not name its own type",
    { text: Schema.String },
    ({ text }) =>
      Effect.sync(() => {
        for (const line of [text, `ssh-ed25519 ${text}`, `${text} ${ed25519}`]) {
          for (const key of parse(line).keys) {
            assert.strictEqual(Buffer.from(key.blob).subarray(4, 4 + key.algorithm.length).toString(), key.algorithm)
          }
        }
      })
  )

  it("a key that is cut off, of another type than it says, or not base64 is refused with its line's number", () => {
    const other = blobOf("ssh-rsa", Buffer.alloc(20)).toString("base64")
    const { keys, refused } = parse(
      [ed25519, "ssh-ed25519", `ssh-ed25519 ${other}`, "ssh-ed25519 AAAA%%%", "hello"].join("\n")
    )
    assert.lengthOf(keys, 1)
    assert.deepStrictEqual(refused.map((one) => one.line), [2, 3, 4, 5])
  })

  it("certificates, DSA and security keys are refused by name", () => {
    for (const type of ["ssh-dss", "ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com"]) {
      const { keys, refused } = parse(`${type} ${blobOf(type, Buffer.alloc(9)).toString("base64")}`)
      assert.deepStrictEqual(keys, [])
      assert.include(refused[0]?.reason, type)
    }
  })

  it("what is refused is not quoted: an option's value may be a secret", () => {
    const { refused } = parse(`environment="TOKEN=hunter2" ${ed25519}\nsecret-thing`)
    assert.notInclude(JSON.stringify(refused), "hunter2")
    assert.notInclude(JSON.stringify(refused), "secret-thing")
  })
})
