import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Identity } from "kuberun"
import {
  choosesVariable,
  expandLabel,
  expandName,
  expandPath,
  expandText,
  expandVariable,
  hasPlaceholder,
  placeholderFault,
  valuesOf
} from "../src/template/Placeholders.ts"
import { dnsLabel, isDnsLabel, isDnsSubdomain, isLabelValue, labelValue } from "../src/template/SafeText.ts"
import { expandReferences, nastyText } from "./TemplateDriver.ts"

const identity = (username: string, team = "blue"): Identity => ({
  connectionId: "0123456789abcdef0123456789abcdef",
  username,
  remoteAddress: "2001:db8::1",
  remotePort: 50_000,
  localAddress: "",
  localPort: 0,
  metadata: { team }
})

const values = (username: string, team?: string) => valuesOf(identity(username, team))

/** Texts that an attacker would try: what the other one became, by itself or as a part. */
const derived = (text: string): ReadonlyArray<string> => [
  dnsLabel(text),
  labelValue(text),
  text.toLowerCase(),
  text.toUpperCase(),
  text.normalize("NFD"),
  text.normalize("NFKC"),
  `${text} `,
  dnsLabel(dnsLabel(text))
]

describe("a placeholder", () => {
  it("stands for what is known of the user, with or without blanks in its braces", () => {
    const all = "{{username}} {{ connectionId }} {{remoteAddress}} {{metadata.team}} {{metadata.other}}."
    assert.strictEqual(
      expandText(all, values("alice")),
      "alice 0123456789abcdef0123456789abcdef 2001:db8::1 blue ."
    )
  })

  it("is not looked for in what was put in", () => {
    assert.strictEqual(expandText("{{username}}", values("{{connectionId}}")), "{{connectionId}}")
    assert.strictEqual(expandVariable("{{username}}{{metadata.team}}", values("{{", "username}}")), "{{username}}")
    assert.strictEqual(expandText("{{metadata.team}}", values("a", "$&$1$$")), "$&$1$$")
  })

  it("is of the user's own metadata only, not of what every object has", () => {
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
      assert.strictEqual(expandText(`<{{metadata.${name}}}>`, values("a")), "<>")
    }
  })

  it("is not what is quoted, and braces of other kinds stay", () => {
    assert.strictEqual(
      expandText("{{\"{{\"}} .Names {{\"}}\"}} {\"a\":{\"b\":{}}}", values("a")),
      "{{ .Names }} {\"a\":{\"b\":{}}}"
    )
    assert.isFalse(hasPlaceholder("{{\"{{\"}}username}}"))
    assert.isUndefined(placeholderFault("{\"a\":{\"b\":{}}}"))
    assert.isUndefined(placeholderFault("{{\"{{\"}} {{username}}"))
  })

  for (const text of ["{{user}}", "{{}}", "{{ }}", "{{username", "a {{ {{username}}", "{{.Names}}", "{{metadata.}}"]) {
    it(`is a fault as ${text}`, () => assert.isDefined(placeholderFault(text)))
  }
})

describe("what is put into a name or a path", () => {
  it.effect.prop(
    "is a DNS label for every text, and another one for every other text",
    { left: nastyText, right: nastyText },
    ({ left, right }) =>
      Effect.sync(() => {
        for (const other of [right, ...derived(left)]) {
          const [one, two] = ["{{username}}", "home-{{username}}", "{{username}}.d"].map((template) => [
            expandName(template, values(left), 253),
            expandName(template, values(other), 253)
          ]).flatMap(([a = "", b = ""]) => {
            assert.isTrue(isDnsSubdomain(a), a)
            if (left !== other) assert.notStrictEqual(a, b)
            return [a, b]
          })
          assert.isTrue(isDnsLabel(one ?? ""), one)
          if (left !== other) assert.notStrictEqual(one, two)
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it("is the text itself where that is a DNS label", () => {
    assert.strictEqual(expandName("desk-{{username}}", values("alice"), 63), "desk-alice")
    assert.strictEqual(expandPath("homes/{{username}}/data", values("bob-2")), "homes/bob-2/data")
    assert.match(expandName("desk-{{username}}", values("Alice@Example.com"), 63), /^desk-alice-example-com-\w{20}$/)
  })

  it("is cut where it would be too long, and two that are cut alike stay two", () => {
    const [one, other] = ["a", "b"].map((end) => expandName("desk-{{username}}", values("u".repeat(60) + end), 63))
    assert.lengthOf(one ?? "", 63)
    assert.isTrue(isDnsLabel(one ?? ""))
    assert.notStrictEqual(one, other)
  })

  it("is cut to a valid name also behind a dot", () => {
    for (const length of [112, 113, 114, 115, 116]) {
      const name = expandName(`${"a.".repeat(length)}b{{username}}`, values("u".repeat(63)), 253)
      assert.isTrue(isDnsSubdomain(name), name)
    }
  })

  it("is changed where it looks by chance as if it had been", () => {
    const [one = "", other = ""] = ["bcdfghjklmnpqrstvwx", "bcdfghjklmnpqrstvw"].map((username) =>
      expandName("home-z{{username}}", values(username), 63)
    )
    assert.match(one, /^home-zbcdfghjklmnpqrstvwx-[a-z0-9]{20}$/)
    assert.strictEqual(other, "home-zbcdfghjklmnpqrstvw")
  })

  it("is changed where two values could be told apart in two ways, by what overlaps too", () => {
    for (
      const [expand, one, other] of [
        [expandLabel, ["a-", "b"], ["", "-ab"]],
        [expandName, ["a-b", "c"], ["a", "b-c"]],
        [expandPath, ["a-b", "c"], ["a", "b-c"]]
      ] as const
    ) {
      const template = expand === expandLabel ? "x-{{username}}a-a{{metadata.team}}" : "{{username}}-{{metadata.team}}"
      assert.notStrictEqual(
        expand(template, values(one[0], one[1]), 63),
        expand(template, values(other[0], other[1]), 63)
      )
    }
    assert.strictEqual(expandName("{{username}}-{{metadata.team}}", values("alice", "blue"), 63), "alice-blue")
  })

  it.effect.prop(
    "cannot leave the place of its segment",
    { username: nastyText, team: nastyText },
    ({ team, username }) =>
      Effect.sync(() => {
        const template = "homes/{{username}}/x-{{metadata.team}}-{{remoteAddress}}"
        const segments = expandPath(template, values(username, team)).split("/")
        assert.lengthOf(segments, 3)
        for (const segment of segments) assert.match(segment, /^[a-z0-9][a-z0-9-]*$/)
        for (const other of derived(username)) {
          if (other !== username) {
            assert.notStrictEqual(
              expandPath("{{username}}", values(other)),
              expandPath("{{username}}", values(username))
            )
          }
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  const short = Schema.String.check(Schema.isPattern(/^[ab-]{0,4}$/))
  for (
    const template of [
      "{{username}}-{{metadata.team}}",
      "{{username}}{{metadata.team}}",
      "x-{{username}}a-a{{metadata.team}}-y",
      "{{metadata.team}}-a-{{username}}-{{username}}"
    ]
  ) {
    it.effect.prop(
      `is not the same for two users in ${template}, wherever one value might end`,
      { users: Schema.Array(Schema.Tuple([short, short])).check(Schema.isMaxLength(12)) },
      ({ users }) =>
        Effect.sync(() => {
          const distinct = new Map(users.map((user) => [user.join("\0"), user]))
          for (const expand of [expandName, expandPath, expandLabel]) {
            const names = [...distinct.values()].map(([username, team]) => expand(template, values(username, team), 63))
            assert.strictEqual(new Set(names).size, distinct.size, names.join(" "))
          }
        }),
      { arbitrary: { runs: 300 } }
    )
  }
})

describe("what is put into a label", () => {
  it.effect.prop(
    "makes a valid one, and two users another each",
    { left: nastyText, right: nastyText },
    ({ left, right }) =>
      Effect.sync(() => {
        for (const template of ["{{username}}", "team-{{username}}", "{{username}}.{{metadata.team}}"]) {
          const value = expandLabel(template, values(left))
          assert.isTrue(isLabelValue(value), value)
          for (const other of [right, ...derived(left)]) {
            if (other !== left) assert.notStrictEqual(expandLabel(template, values(other)), value)
          }
        }
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("what is put into a variable", () => {
  const pieces = Schema.Array(
    Schema.Literals([
      "{{username}}",
      "{{metadata.team}}",
      "$",
      "$$",
      "(",
      ")",
      "$(HOME)",
      "$(",
      "HOME",
      "x",
      "/",
      "{{\"{{\"}}"
    ])
  ).check(Schema.isMaxLength(8))
  const names = Schema.Array(Schema.Literals(["$", "(", ")", "HOME", "$(HOME)", "$$", "é", "\0", " ", "x"])).check(
    Schema.isMaxLength(6)
  )
  const variables = (name: string): string | undefined => name === "HOME" ? "/root" : undefined

  it.effect.prop(
    "arrives as it is, and what Kubernetes expands is what it would expand without it",
    { pieces, user: names, team: names },
    ({ pieces: parts, team, user }) =>
      Effect.sync(() => {
        const template = parts.join("")
        if (choosesVariable(template)) return
        const [username, metadata] = [user.join(""), team.join("")]
        const value = expandVariable(template, values(username, metadata))
        // Characters that mean nothing to Kubernetes, in the place of the values.
        const neutral = expandReferences(expandText(template, values("\ue000", "\ue001")), variables)
        const held = (text: string) => text.replaceAll("\0", "\ufffd")
        assert.strictEqual(
          expandReferences(value, variables),
          neutral.split("\ue000").join(held(username)).split("\ue001").join(held(metadata))
        )
      }),
    { arbitrary: { runs: 1000 } }
  )

  it("is refused where it would choose a variable", () => {
    for (const text of ["$({{username}})", "$(A_{{username}}", "$$$({{username}})"]) {
      assert.isTrue(choosesVariable(text), text)
    }
    for (const text of ["${{username}}", "$$({{username}})", "$(A) {{username}}", "({{username}})"]) {
      assert.isFalse(choosesVariable(text), text)
    }
  })
})
