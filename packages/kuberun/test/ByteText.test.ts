import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { fromBytes, hasRawBytes, toBytes } from "kuberun"

const encoder = new TextEncoder()

/** Bytes with more of UTF-8's beginnings and middles than chance would give. */
const bytes = Schema.Array(Schema.Union([
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
  Schema.Literals([
    0x41,
    0x80,
    0xbf,
    0xc0,
    0xc3,
    0xa9,
    0xe2,
    0x82,
    0xac,
    0xed,
    0xa0,
    0xf0,
    0x9f,
    0x98,
    0x80,
    0xef,
    0xbb
  ])
])).check(Schema.isMaxLength(24))

describe("a text that need not be UTF-8", () => {
  it.effect.prop("gives its bytes back, whatever they are", { bytes }, ({ bytes }) =>
    Effect.sync(() => {
      const given = Uint8Array.from(bytes)
      assert.deepStrictEqual(toBytes(fromBytes(given)), given)
    }), { arbitrary: { runs: 2000 } })

  it.effect.prop("is what UTF-8 says where it is UTF-8", { text: Schema.String }, ({ text }) =>
    Effect.sync(() => {
      const wellFormed = text.toWellFormed()
      assert.strictEqual(fromBytes(encoder.encode(wellFormed)), wellFormed)
      assert.isFalse(hasRawBytes(wellFormed))
    }), { arbitrary: { runs: 500 } })

  it("keeps what is UTF-8 beside what is not", () => {
    assert.strictEqual(fromBytes(Buffer.concat([Buffer.from("é"), Buffer.from([0xe9]), Buffer.from("€")])), "é\udce9€")
  })
})
