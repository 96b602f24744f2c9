import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { sttySettings } from "../src/session/TerminalModes.ts"

const one = (opcode: number, value: number): string => sttySettings(new Map([[opcode, value]])).all

/** RFC 4254 §8, opcodes of characters, by the RFC's names in lower case without the V: stty calls two otherwise. */
const characters = {
  1: "intr",
  2: "quit",
  3: "erase",
  4: "kill",
  5: "eof",
  6: "eol",
  7: "eol2",
  8: "start",
  9: "stop",
  10: "susp",
  12: "rprnt",
  13: "werase",
  14: "lnext"
}

/** RFC 4254 §8 (and RFC 8160 for iutf8), opcodes of flags, by the RFC's names in lower case. */
const flags = {
  30: "ignpar",
  31: "parmrk",
  32: "inpck",
  33: "istrip",
  34: "inlcr",
  35: "igncr",
  36: "icrnl",
  38: "ixon",
  39: "ixany",
  40: "ixoff",
  41: "imaxbel",
  42: "iutf8",
  50: "isig",
  51: "icanon",
  53: "echo",
  54: "echoe",
  55: "echok",
  56: "echonl",
  57: "noflsh",
  58: "tostop",
  59: "iexten",
  60: "echoctl",
  61: "echoke",
  70: "opost",
  72: "onlcr",
  73: "ocrnl",
  74: "onocr",
  75: "onlret",
  92: "parenb",
  93: "parodd"
}

/** What no `stty` has, no pseudo terminal needs, or no RFC knows. */
const withoutWord = [0, 11, 15, 16, 17, 18, 37, 52, 62, 71, 128, 129, 159, 160, 255, 256]

const uint32 = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 }))
const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
const modes = Schema.Array(Schema.Tuple([byte, Schema.Union([byte, uint32])]))

const hasStty = spawnSync("script", ["-qec", "stty -a", "/dev/null"], { encoding: "utf8" }).status === 0

describe("terminal modes", () => {
  for (const [opcode, name] of Object.entries(characters)) {
    it(`opcode ${opcode} is the character ${name}`, () => {
      assert.strictEqual(one(Number(opcode), 3), `${name} ^C`)
      assert.strictEqual(one(Number(opcode), 127), `${name} ^?`)
      assert.strictEqual(one(Number(opcode), 28), `${name} ^\\`)
      assert.strictEqual(one(Number(opcode), 65), `${name} A`)
      assert.strictEqual(one(Number(opcode), 255), `${name} undef`)
      assert.strictEqual(one(Number(opcode), 32), "")
      assert.strictEqual(one(Number(opcode), 128), "")
      assert.strictEqual(one(Number(opcode), 2 ** 32 - 1), "")
    })
  }

  for (const [opcode, name] of Object.entries(flags)) {
    it(`opcode ${opcode} is the flag ${name}`, () => {
      assert.strictEqual(one(Number(opcode), 1), name)
      assert.strictEqual(one(Number(opcode), 0), `-${name}`)
      assert.strictEqual(one(Number(opcode), 2 ** 32 - 1), name)
    })
  }

  it("opcodes 90 and 91 choose a character size, and choose nothing when they are off", () => {
    assert.deepStrictEqual([one(90, 1), one(90, 0), one(91, 1), one(91, 0)], ["cs7", "", "cs8", ""])
  })

  it("opcodes without a word are left out", () => {
    for (const opcode of withoutWord) assert.strictEqual(one(opcode, 1), "", `opcode ${opcode}`)
  })

  it.effect.prop(
    "give words of stty's only, whatever a client sends",
    { modes },
    ({ modes: sent }) =>
      Effect.sync(() => {
        const { all, portable } = sttySettings(new Map(sent))
        for (const word of [...all.split(" "), ...portable.split(" ")]) {
          assert.match(word, /^([a-z0-9-]*|\^[@-_?]|[!-~])$/)
        }
        const words = all === "" ? [] : all.split(" ")
        const own = new Set<string>([...Object.values(characters), ...Object.values(flags), "cs7", "cs8"])
        for (let place = 0; place < words.length; place++) {
          const name = words[place] ?? ""
          assert.isTrue(own.has(name.replace(/^-/, "")), `${name} in ${all}`)
          if (Object.values(characters).includes(name)) place++
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it("keep the order sent, and the portable ones apart for an stty that knows no others", () => {
    const sent = new Map([[53, 0], [1, 3], [42, 1], [14, 22], [51, 1], [128, 38_400]])
    assert.deepStrictEqual(sttySettings(sent), {
      all: "-echo intr ^C iutf8 lnext ^V icanon",
      portable: "-echo intr ^C icanon"
    })
  })

  it.runIf(hasStty)("are understood by the stty of this machine, every one of them", () => {
    const values = [0, 1, 3, 27, 28, 30, 31, 42, 45, 63, 91, 92, 94, 126, 127, 255]
    const every = Object.keys(characters).flatMap((opcode) => values.map((value) => one(Number(opcode), value)))
      .concat(Object.keys(flags).flatMap((opcode) => [one(Number(opcode), 0), one(Number(opcode), 1)]))
    const quoted = every.map((words) => `'${words.replaceAll("'", `'\\''`)}'`).join(" ")
    const answer = spawnSync(
      "script",
      [
        "-qec",
        `set -f; for s in ${quoted}; do stty $s 2>/dev/null || printf 'refused:%s;' "$s"; done; echo`,
        "/dev/null"
      ],
      { encoding: "utf8", input: "" }
    )
    // A pseudo terminal has no parity: the word is known, the kernel does not keep the setting.
    assert.strictEqual(answer.stdout.replaceAll(/[\r\n]/g, ""), "refused:parenb;")
  })
})
