import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { progressLine } from "../src/session/Progress.ts"

const wipe = "\r\u001b[K"

/** Cells that a terminal needs at most: two for what may be wide, none saved for what may be narrow. */
const cells = (text: string): number =>
  Array.from(text).reduce(
    (sum, character) => sum + ((character.codePointAt(0) ?? 0) < 0x1100 || character === "…" ? 1 : 2),
    0
  )

const piece = Schema.Union([
  Schema.String,
  Schema.Literals(["\r", "\n", "\t", "\u001b[2J", "\u0000", "\u007f", "\u009b31m", "\u0085", "日本", "😀", "é", " "])
])

describe("the progress line", () => {
  it.effect.prop(
    "is shorter than the terminal is wide and moves no cursor but by its own wipe, whatever the pod does",
    {
      pieces: Schema.Array(piece).check(Schema.isMaxLength(60)),
      seconds: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 })),
      columns: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 }))
    },
    ({ columns, pieces, seconds }) =>
      Effect.sync(() => {
        const line = progressLine(pieces.join(""), seconds, columns)
        assert.isTrue(line.startsWith(wipe))
        const text = line.slice(wipe.length)
        assert.notMatch(text, /\p{Cc}/u)
        assert.isBelow(cells(text), columns)
        assert.isTrue(text.isWellFormed() || !pieces.join("").isWellFormed(), "a character was cut in half")
      }),
    { arbitrary: { runs: 500 } }
  )

  it("says what goes on and for how long, cut where there is no room for it", () => {
    assert.strictEqual(progressLine("waiting for a node", 12, 80), `${wipe}waiting for a node, 12 s`)
    assert.strictEqual(progressLine("waiting for a node", 12, 20), `${wipe}waiting for …, 12 s`)
    assert.strictEqual(progressLine("waiting for a node", 12, 4), `${wipe}, …`)
  })

  it("takes a width of zero, which means not known, for eighty columns", () => {
    assert.lengthOf(progressLine("x".repeat(200), 1, 0), wipe.length + 79)
  })
})
