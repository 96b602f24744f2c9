import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as LineEditor from "../src/LineEditor.ts"

const feed = (keys: string) => LineEditor.feed(LineEditor.empty, keys)
const typed = (keys: string) => feed(keys)[0].text
const lines = (keys: string) => feed(keys)[1].map((one) => one._tag === "Line" ? one.text : one._tag)

const key = Schema.Literals([
  "a",
  "é",
  "☕",
  "한",
  " ",
  "\r",
  "\n",
  "\u007f",
  "\u0015",
  "\u0017",
  "\t",
  "\u001b[A",
  "\u001bOP"
])

describe("a line that is being typed", () => {
  it("ends with Enter, in any of its forms, once", () => {
    assert.deepStrictEqual(lines("one\rtwo\nthree\r\n\r\rfour"), ["one", "two", "three", "", ""])
    assert.strictEqual(typed("one\rtwo"), "two")
  })

  it("loses its last character, its last word or all of it", () => {
    assert.strictEqual(typed("cafe\u0301\u007f"), "caf")
    assert.strictEqual(typed("a🙂\b"), "a")
    assert.strictEqual(typed("\u007f\u0017\u0015x"), "x")
    assert.strictEqual(typed("two words  \u0017"), "two ")
    assert.strictEqual(typed("two words\u0015x"), "x")
  })

  it("is not touched by keys that have no meaning, whole or in pieces", () => {
    assert.strictEqual(typed("a\u001b[1;5Db\u001bOPc\u001bxd\u0001\u0000e"), "abcde")
    const [half] = feed("a\u001b[1;")
    assert.strictEqual(LineEditor.feed(half, "5Db")[0].text, "ab")
  })

  it("is the last with ^C, or with ^D when it is empty", () => {
    assert.deepStrictEqual(lines("a\u0004b\rc\u0003d\r"), ["ab", "End"])
    assert.deepStrictEqual(lines("a\r\u0004b\r"), ["a", "End"])
  })

  it("does not grow without end", () => {
    assert.strictEqual(typed("x".repeat(10 * LineEditor.maximumLine)).length, LineEditor.maximumLine)
  })

  it.effect.prop("comes out the same however its bytes arrive", {
    keys: Schema.Array(key).check(Schema.isMaxLength(40)),
    cut: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 }))
  }, ({ cut, keys }) =>
    Effect.sync(() => {
      const all = keys.join("")
      const [whole, entered] = feed(all)
      const [first, before] = feed(all.slice(0, cut))
      const [second, after] = LineEditor.feed(first, all.slice(cut))
      assert.deepStrictEqual([second, [...before, ...after]], [whole, entered])
    }), { arbitrary: { runs: 300 } })
})

describe("the row that shows it", () => {
  const shown = (prompt: string, text: string, columns: number) =>
    LineEditor.row(prompt, text, columns).replace(LineEditor.clearRow, "")

  it("has the prompt and the end of the text, in less than the terminal's columns", () => {
    assert.strictEqual(shown("me: ", "hello", 80), "me: hello")
    assert.strictEqual(shown("me: ", "0123456789", 13), "me: 23456789")
    assert.strictEqual(shown("me: ", "한한한한한", 14), "me: 한한한한")
    assert.strictEqual(shown("me: ", "hello", 0), "me: hello")
  })

  it("goes without a prompt that leaves no room", () => {
    assert.strictEqual(shown("somebody: ", "hello", 12), "hello")
  })
})

describe("what is printed", () => {
  it.effect.prop("has no control character but new lines", { text: Schema.String }, ({ text }) =>
    Effect.sync(() => {
      const noise = `${text}\u001b[2J\u0007${text}\u009b1m\r\n\t${text}`
      assert.notMatch(LineEditor.printable(noise).replaceAll("\n", ""), /\p{Cc}/u)
      assert.strictEqual(LineEditor.printable("a\nb\tc é☕"), "a\nb c é☕")
    }), { arbitrary: { runs: 300 } })
})
