import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { fingerprint, isMarked, sha256 } from "../src/template/Fingerprint.ts"

describe("a fingerprint", () => {
  it.effect.prop(
    "is by SHA-256 as others compute it, for every length of a last block",
    { bytes: Schema.Uint8Array.check(Schema.isMaxLength(300)) },
    ({ bytes }) =>
      Effect.sync(() => {
        const words = [...sha256(bytes)].map((word) => word.toString(16).padStart(8, "0")).join("")
        assert.strictEqual(words, createHash("sha256").update(bytes).digest("hex"))
      }),
    { arbitrary: { runs: 500 } }
  )

  it("is by SHA-256 around the ends of blocks", () => {
    for (const length of [0, 55, 56, 57, 63, 64, 65, 119, 120, 1000]) {
      const bytes = new Uint8Array(length).fill(0xa5)
      const words = [...sha256(bytes)].map((word) => word.toString(16).padStart(8, "0")).join("")
      assert.strictEqual(words, createHash("sha256").update(bytes).digest("hex"), `${length} bytes`)
    }
  })

  it("stays what it is: names of users' pods and claims are made of it", () => {
    assert.strictEqual(fingerprint("alice"), "kx6dffmqr42kb6brm4k4")
    assert.strictEqual(fingerprint(""), "mk2wzhmg8nwzzr79rnqs")
  })

  it("tells apart broken texts that are the same in UTF-8", () => {
    assert.notStrictEqual(fingerprint("\ud800"), fingerprint("\ud801"))
    assert.notStrictEqual(fingerprint("\ud800"), fingerprint("\ufffd"))
  })

  it("tells apart a letter with its accent and the same in two characters", () => {
    assert.notStrictEqual(fingerprint("\u00e9"), fingerprint("e\u0301"))
  })

  it("is known at the end of a text, and words are not taken for one", () => {
    assert.isTrue(isMarked(`a-${fingerprint("b")}`))
    assert.isFalse(isMarked(fingerprint("b")))
    assert.isFalse(isMarked("dev-internationalization"))
    assert.isFalse(isMarked("0b4b7cf6-4a4c-4b0e-8f4f-0123456789ab"))
  })
})
