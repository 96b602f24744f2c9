import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { labelValue, longestLabel } from "../src/template/SafeText.ts"
import { isValidLabel, nastyText } from "./TemplateDriver.ts"

const text = Schema.Array(Schema.Union([
  Schema.String,
  Schema.Literals(["@", "-", ".", "_", ":", "/", "a", "B", "7", "é", "日", "😀", "\n", " ", "x".repeat(30)])
])).check(Schema.isMaxLength(8))

const validText = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][-A-Za-z0-9_.]{0,40}[A-Za-z0-9]$/))

describe("a label value", () => {
  it.effect.prop(
    "is one that Kubernetes takes, whatever the text",
    { pieces: text },
    ({ pieces }) =>
      Effect.sync(() => {
        const value = labelValue(pieces.join(""))
        assert.isTrue(isValidLabel(value), value)
      }),
    { arbitrary: { runs: 1000 } }
  )

  it.effect.prop(
    "is the text itself where Kubernetes takes that",
    { text: validText },
    ({ text: valid }) => Effect.sync(() => assert.strictEqual(labelValue(valid), valid)),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "tells apart any two texts that had to be changed",
    { left: text, right: text, shared: Schema.String },
    ({ left, right, shared }) =>
      Effect.sync(() => {
        const [one, other] = [`${shared}@${left.join("")}`, `${shared}@${right.join("")}`]
        if (one !== other) assert.notStrictEqual(labelValue(one), labelValue(other))
      }),
    { arbitrary: { runs: 1000 } }
  )

  it("tells apart texts that differ only where they were cut off, or in a character replaced", () => {
    const texts = ["a@b", "a b", "a:b", "a/b", "@", ":", "-", "", ...["x", "y"].map((end) => "u".repeat(100) + end)]
    assert.lengthOf([...new Set(texts.map(labelValue))], texts.length)
  })

  it.effect.prop(
    "is not the one that another text became, also where it looks like that",
    { username: nastyText },
    ({ username }) =>
      Effect.sync(() => {
        const value = labelValue(username)
        if (value !== username) assert.notStrictEqual(labelValue(value), value)
      }),
    { arbitrary: { runs: 300 } }
  )

  it("keeps enough of the text for a person to know it by", () => {
    assert.match(labelValue("alice@example.com"), /^alice-example\.com-[0-9a-z]+$/)
    assert.match(labelValue("2001:db8::1"), /^2001-db8--1-[0-9a-z]+$/)
    assert.match(labelValue("::1"), /^1-[0-9a-z]+$/)
    assert.strictEqual(labelValue("x".repeat(longestLabel)), "x".repeat(longestLabel))
    assert.lengthOf(labelValue("x".repeat(longestLabel + 1)), longestLabel)
  })
})
