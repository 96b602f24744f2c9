import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { defaultConfig } from "kuberun"
import { isEnvironmentName, program, type ProgramContext } from "../src/session/Program.ts"

const { pod } = defaultConfig

const context = (environment: Iterable<readonly [string, string]> = []): ProgramContext => ({
  environment: new Map(environment),
  terminal: undefined
})

describe("a program", () => {
  it("is refused where there is none: an empty shell command, a subsystem that is not configured", () => {
    assert.deepStrictEqual(program({ _tag: "Shell" }, context([["A", "b"]]), { ...pod, shellCommand: [] }), {
      _tag: "Refuse",
      detail: "Shells are switched off here: name a program to run."
    })
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "", "SFTP"]) {
      assert.deepStrictEqual(program({ _tag: "Subsystem", name }, context(), pod), {
        _tag: "Refuse",
        detail: `There is no subsystem ${JSON.stringify(name)} here.`
      })
    }
  })

  it("is refused where a NUL would cut an argument short", () => {
    const terminal = { term: "xterm\0", modes: new Map() }
    for (
      const asked of [
        program({ _tag: "Exec", command: "rm a\0b" }, context(), pod),
        program({ _tag: "Exec", command: "rm a\0b" }, context([["A", "b"]]), pod),
        program({ _tag: "Shell" }, context([["A", "b\0c"]]), pod),
        program({ _tag: "Shell" }, { ...context(), terminal }, pod)
      ]
    ) {
      assert.deepStrictEqual(asked, {
        _tag: "Refuse",
        detail: "A program's arguments and environment cannot hold a NUL character."
      })
    }
  })

  it.effect.prop(
    "is refused in one printable line, whatever the subsystem is called",
    {
      pieces: Schema.Array(Schema.Union([Schema.String, Schema.Literals(["\u001b[2J", "\u009b31m", "\u007f", "\n"])]))
    },
    ({ pieces }) =>
      Effect.sync(() => {
        const asked = program({ _tag: "Subsystem", name: `x${pieces.join("")}` }, context(), pod)
        assert.strictEqual(asked._tag, "Refuse")
        if (asked._tag === "Refuse") assert.match(asked.detail, /^There is no subsystem "\P{Cc}*" here\.$/u)
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("a variable", () => {
  it("takes no variable that a shell would evaluate", () => {
    for (const name of ["HISTCMD", "LINENO", "OPTIND", "RANDOM", "SECONDS", "SRANDOM"]) {
      assert.isFalse(isEnvironmentName(name))
    }
  })

  it.effect.prop(
    "takes as names of variables what a shell can export, and nothing else",
    { name: Schema.Union([Schema.String, Schema.String.check(Schema.isPattern(/^[A-Z_][A-Z0-9_]{0,8}[\n=-]?$/))]) },
    ({ name }) =>
      Effect.sync(() => {
        const plain = name !== "" && Array.from(name).every((letter) => /[A-Za-z0-9_]/.test(letter)) &&
          !/[0-9]/.test(name[0] ?? "")
        assert.strictEqual(isEnvironmentName(name), plain)
      }),
    { arbitrary: { runs: 500 } }
  )
})
