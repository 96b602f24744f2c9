import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { decodeConfig } from "kuberun"
import { classOf, fitsPattern, hasPool, poolSizes } from "../src/pool/PoolClasses.ts"

const pieces = Schema.Array(Schema.String.check(Schema.isMaxLength(4))).check(Schema.isMaxLength(5))

describe("users' classes", () => {
  it("a star stands for any text, also none", () => {
    const fits = [["alice", "alice"], ["*", ""], ["*", "x"], ["a*", "a"], ["*e", "alice"], ["a*c*e", "abcde"], [
      "a**e",
      "ae"
    ]]
    const not = [
      ["alice", "alic"],
      ["a*", "ba"],
      ["*e", "eve2"],
      ["aba*aba", "aba"],
      ["a*b*c", "acb"],
      ["*b*b*", "ab"],
      ["", "a"]
    ]
    for (const [pattern, name] of fits) assert.isTrue(fitsPattern(pattern ?? "", name ?? ""), `${pattern} ${name}`)
    for (const [pattern, name] of not) assert.isFalse(fitsPattern(pattern ?? "", name ?? ""), `${pattern} ${name}`)
  })

  it("every other character of a pattern stands for itself", () => {
    assert.isFalse(fitsPattern("a.c", "abc"))
    assert.isFalse(fitsPattern("(a+)+$", "aaaa"))
    assert.isTrue(fitsPattern("[a-z]*", "[a-z]1"))
    assert.isFalse(fitsPattern("a|b", "a"))
    assert.isFalse(fitsPattern("A", "a"))
  })

  it.effect.prop(
    "a pattern fits what comes of it when its stars are replaced by anything",
    { pieces, fillings: pieces },
    ({ fillings, pieces }) =>
      Effect.sync(() => {
        const literal = pieces.map((piece) => piece.replaceAll("*", "?"))
        const name = literal.map((piece, place) => place === 0 ? piece : `${fillings[place - 1] ?? ""}${piece}`).join(
          ""
        )
        assert.isTrue(fitsPattern(literal.length === 0 ? "*" : literal.join("*"), name))
        const mark = "\u0001"
        if (literal.some((piece) => piece !== "")) assert.isFalse(fitsPattern(`${literal.join("*")}${mark}`, name))
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect("the first class that has a fitting pattern counts, and everybody else is in `default`", () =>
    Effect.gen(function*() {
      const { pool } = yield* decodeConfig({
        pool: {
          size: 1,
          classes: [
            { name: "staff", users: ["dean", "prof-*"], size: 2 },
            { name: "students", users: ["*-x", "prof-*"], size: 3 }
          ]
        }
      })
      assert.deepStrictEqual(
        ["prof-x", "dean", "max-x", "max"].map((name) => classOf(pool, name)),
        ["staff", "staff", "students", "default"]
      )
      assert.deepStrictEqual([...poolSizes(pool)], [["default", 1], ["staff", 2], ["students", 3]])
    }))

  it.effect("there is a pool when any class has a size", () =>
    Effect.gen(function*() {
      const classes = [{ name: "staff", users: ["*"], size: 1 }]
      assert.isFalse(hasPool((yield* decodeConfig({})).pool))
      assert.isTrue(hasPool((yield* decodeConfig({ pool: { size: 2 } })).pool))
      assert.isTrue(hasPool((yield* decodeConfig({ pool: { classes } })).pool))
    }))
})
