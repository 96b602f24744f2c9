/**
 * What the tests of templates share: texts of the worst kind, and Kubernetes' own expansion of variables.
 */
import { Arbitrary, Effect, Schema } from "effect"
import { decodeConfig, type Identity } from "kuberun"

const pieces = Schema.Array(Schema.Union([
  Schema.String,
  Schema.Literals([
    "..",
    "/",
    "\\",
    "../..",
    "~",
    "$(HOME)",
    "$",
    "{{username}}",
    "Bob",
    "bob",
    "a-b",
    "-",
    ".",
    "_",
    "@example.com",
    "\0",
    "\n",
    "\u00e9",
    "e\u0301",
    "\u212a",
    "\u0130",
    "\ud800",
    "\u{1f600}",
    "\u65e5\u672c",
    "\u202e",
    " ",
    "x".repeat(40),
    "2001:db8::1"
  ])
])).check(Schema.isMaxLength(6))

/** User names as an attacker, or a far country, would choose them. */
export const nastyText = Arbitrary.map(Arbitrary.schema(pieces), (parts) => parts.join(""))

/**
 * What Kubernetes makes of the value of a variable, of `command` and of `args`
 * (`third_party/forked/golang/expansion/expand.go`).
 */
export const expandReferences = (text: string, variables: (name: string) => string | undefined): string => {
  let result = ""
  let at = 0
  while (at < text.length) {
    const next = text[at + 1]
    const end = text.indexOf(")", at + 2)
    if (text[at] !== "$" || next === undefined) {
      result += text[at]
      at += 1
    } else if (next === "$") {
      result += "$"
      at += 2
    } else if (next === "(" && end >= 0) {
      const name = text.slice(at + 2, end)
      result += variables(name) ?? `$(${name})`
      at = end + 1
    } else {
      result += `$${next}`
      at += 2
    }
  }
  return result
}

const longestLabel = 63

/** Kubernetes' own rule (`apimachinery`, `validation.IsValidLabelValue`). */
const validLabel = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/

/** Whether Kubernetes takes the text as the value of a label. */
export const isValidLabel = (value: string): boolean => value.length <= longestLabel && validLabel.test(value)

/** Somebody whom nothing is odd about. */
export const owner: Identity = {
  connectionId: "0123456789abcdef0123456789abcdef",
  username: "demo",
  remoteAddress: "192.0.2.1",
  remotePort: 50_000,
  localAddress: "192.0.2.2",
  localPort: 22,
  metadata: {}
}

/** A configuration with this `pod`. */
export const config = Effect.fnUntraced(function*(pod: unknown = {}, instance = "kuberun") {
  return yield* decodeConfig({ pod, instance })
})
