/**
 * The syntax of names, labels and keys: each function answers what is wrong with a text, in the sentences of
 * `k8s.io/apimachinery/pkg/util/validation`, and nothing when nothing is.
 */
import { isIP } from "node:net"

type Faults = ReadonlyArray<string>

const when = (is: boolean, sentence: string): Faults => is ? [sentence] : []
const longer = (value: string, limit: number) => when(value.length > limit, `must be no more than ${limit} characters`)

/** The sentence about a pattern, as `validation.RegexError` puts it together. */
const such = (sentence: string, pattern: string, ...examples: ReadonlyArray<string>): string =>
  `${sentence} (e.g. ${examples.map((one) => `'${one}', `).join(" or ")}regex used for validation is '${pattern}')`
const matching = (pattern: string, sentence: string, ...examples: ReadonlyArray<string>) => {
  const whole = new RegExp(`^(?:${pattern})$`)
  return (value: string): Faults => when(!whole.test(value), such(sentence, pattern, ...examples))
}

const lower = "a lowercase RFC 1123"
const ends = "and must start and end with an alphanumeric character"
const dnsPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
const keyPattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
const keySigns = `must consist of alphanumeric characters, '-', '_' or '.', ${ends}`
const keyExamples = ["MyName", "my.name", "123-abc"]

const dnsLabel = matching(
  dnsPattern,
  `${lower} label must consist of lower case alphanumeric characters or '-', ${ends}`,
  "my-name",
  "123-abc"
)
const dnsSubdomain = matching(
  `${dnsPattern}(\\.${dnsPattern})*`,
  `${lower} subdomain must consist of lower case alphanumeric characters, '-' or '.', ${ends}`,
  "example.com"
)
const namePart = matching(keyPattern, `name part ${keySigns}`, ...keyExamples)
const valueSyntax = matching(
  `(${keyPattern})?`,
  `a valid label must be an empty string or ${keySigns.slice("must ".length)}`,
  "MyValue",
  "my_value",
  "12345"
)
const configSyntax = matching(
  "[-._a-zA-Z0-9]+",
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  "key.name",
  "KEY_NAME",
  "key-name"
)

/** A DNS subdomain, such as a pod's name. */
export const subdomain = (value: string): Faults => [...longer(value, 253), ...dnsSubdomain(value)]

/** A DNS label, such as a container's name. */
export const label = (value: string): Faults => {
  const faults = dnsLabel(value)
  const hasDots = faults.length > 0 && dnsSubdomain(value).length === 0
  return [...longer(value, 63), ...(hasDots ? ["must not contain dots"] : faults)]
}

/** The key of a label, a condition or a resource: a name, or a domain and a name. */
export const key = (value: string): Faults => {
  const parts = value.split("/")
  if (parts.length > 2) {
    const sentence = such(`a qualified name ${keySigns}`, keyPattern, ...keyExamples)
    return [`${sentence} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  }
  const name = parts.at(-1) ?? ""
  const prefix = parts.length === 1 ? undefined : parts[0]
  const ofPrefix = prefix === undefined ? [] : prefix === "" ? ["must be non-empty"] : subdomain(prefix)
  return [
    ...ofPrefix.map((fault) => `prefix part ${fault}`),
    ...when(name === "", "name part must be non-empty"),
    ...longer(name, 63).map((fault) => `name part ${fault}`),
    ...namePart(name)
  ]
}

export const labelValue = (value: string): Faults => [...longer(value, 63), ...valueSyntax(value)]

/** A key of a ConfigMap or a Secret, which becomes a file's name. */
export const configKey = (value: string): Faults => [
  ...longer(value, 253),
  ...configSyntax(value),
  ...when(value === "." || value === "..", `must not be '${value}'`),
  ...when(value.startsWith("..") && value !== "..", "must not start with '..'")
]

/** The name of a variable, by the relaxed rule that 1.32 has (KEP-4369). */
export const variable = (value: string): Faults =>
  when(
    !/^[ -<>-~]*$/.test(value),
    "a valid environment variable name must consist only of printable ASCII characters other than '='"
  )

/** The name of a container's port. */
export const port = (value: string): Faults => [
  ...longer(value, 15),
  ...when(!/^[-a-z0-9]+$/.test(value), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
  ...when(!/[a-z]/.test(value), "must contain at least one letter (a-z)"),
  ...when(value.includes("--"), "must not contain consecutive hyphens"),
  ...when(/^-|-$/.test(value), "must not begin or end with a hyphen")
]

export const header = matching(
  "[-A-Za-z0-9]+",
  "a valid HTTP header must consist of alphanumeric characters or '-'",
  "X-Header-Name"
)

export const address = (value: string): Faults =>
  when(isIP(value) === 0, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")

/** A name that has to fit into a URL and is free otherwise, as the names of roles are. */
export const segment = (value: string): Faults => [
  ...when(value === "." || value === "..", `may not be '${value}'`),
  ...["/", "%"].flatMap((character) => when(value.includes(character), `may not contain '${character}'`))
]

/** A path that stays below where it starts. */
export const noBacksteps = (value: string): Faults => when(value.split("/").includes(".."), "must not contain '..'")
export const descending = (value: string): Faults => [
  ...when(value.startsWith("/"), "must be a relative path"),
  ...noBacksteps(value)
]

/** The path of a file in a volume that the node writes; names with two dots in front are the node's own. */
export const file = (value: string): Faults => [
  ...descending(value),
  ...when(/^\.\.(?!\/|$)/.test(value), "must not start with '..'")
]

const alphabet = "bcdfghjklmnpqrstvwxz2456789"

/** A name for `generateName`: the base, cut to 58 characters, and five random ones. */
export const generatedName = (base: string): string => {
  const suffix = Array.from({ length: 5 }, () => alphabet[Math.floor(Math.random() * alphabet.length)])
  return base.slice(0, 58) + suffix.join("")
}
