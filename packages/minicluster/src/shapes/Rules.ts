/**
 * Rules about JSON, and what they find wrong, in the words and with the field paths of
 * `k8s.io/apimachinery/pkg/util/validation/field`. Import it whole: `Rule.needed(Rule.syntax(Names.label))`.
 *
 * A rule never throws, whatever it is given, and says nothing of a value that is absent unless that is what it is about.
 */
import { type Cause } from "../api/Status.ts"
import { type Fields, fieldsOf, isAbsent, listOf, textOf } from "./Json.ts"

export type Rule = (value: unknown, at: string) => ReadonlyArray<Cause>
export type Table = Readonly<Record<string, Rule>>
/** What is wrong with a text, in sentences. */
type Syntax = (value: string) => ReadonlyArray<string>

const cause = (reason: string, lead: string) => (field: string, what = ""): Cause => ({
  reason: `FieldValue${reason}`,
  field,
  message: what === "" ? lead : `${lead}: ${what}`
})
const withValue = (reason: string, lead: string) => (field: string, value: unknown, what = ""): Cause =>
  cause(reason, `${lead}: ${JSON.stringify(value ?? null)}`)(field, what)

/** Field, and why. */
export const required = cause("Required", "Required value")
export const forbidden = cause("Forbidden", "Forbidden")
/** Field, its value, and why. */
export const wrong = withValue("Invalid", "Invalid value")
export const duplicate = withValue("Duplicate", "Duplicate value")
export const missing = withValue("NotFound", "Not found")
export const unsupported = (field: string, value: unknown, supported: ReadonlyArray<string>): Cause => {
  const choices = supported.map((one) => JSON.stringify(one)).join(", ")
  return withValue("NotSupported", "Unsupported value")(field, value, `supported values: ${choices}`)
}
export const tooLong = (field: string, bytes: number): Cause =>
  cause("TooLong", "Too long")(field, `may not be more than ${bytes} bytes`)

export const when = (is: boolean, ...causes: ReadonlyArray<Cause>): ReadonlyArray<Cause> => is ? causes : []

export const all = (...rules: ReadonlyArray<Rule>): Rule => (value, at) => rules.flatMap((rule) => rule(value, at))
export const none: Rule = () => []

/** A rule for each field, told of in this order. */
export const fields = (table: Table): Rule => {
  const rules = Object.entries(table)
  return (value, at) => rules.flatMap(([name, rule]) => rule(fieldsOf(value)[name], at === "" ? name : `${at}.${name}`))
}
/** The same rule for some fields. */
export const these = (names: ReadonlyArray<string>, rule: Rule): Rule =>
  fields(Object.fromEntries(names.map((name) => [name, rule])))
export const each = (rule: Rule): Rule => (list, at) =>
  listOf(list).flatMap((value, index) => rule(value, `${at}[${index}]`))

export const present = (rule: Rule): Rule => (value, at) => isAbsent(value) ? [] : rule(value, at)
export const optional = (table: Table): Rule => present(fields(table))
/** Has to be there, and then to obey the rule. */
export const needed = (rule: Rule = none, what = ""): Rule => (value, at) =>
  isAbsent(value) ? [required(at, what)] : rule(value, at)
export const refused = (what: string): Rule => present((_, at) => [forbidden(at, what)])

/** Of a text, also an empty one. */
export const strictly = (faults: Syntax): Rule => (value, at) =>
  faults(textOf(value)).map((what) => wrong(at, textOf(value), what))
export const syntax = (faults: Syntax): Rule => present(strictly(faults))

export const exactly = (...supported: ReadonlyArray<string>): Rule => (value, at) =>
  when(!supported.includes(textOf(value)), unsupported(at, textOf(value), supported))
export const oneOf = (...supported: ReadonlyArray<string>): Rule => present(exactly(...supported))

export const must = (holds: (value: never) => boolean, what: string): Rule =>
  present((value, at) => when(!holds(value as never), wrong(at, value, what)))
export const between = (low: number, high: number): Rule =>
  must((value: number) => value >= low && value <= high, `must be between ${low} and ${high}, inclusive`)
export const notNegative: Rule = must((value: number) => value >= 0, "must be greater than or equal to 0")
export const positive: Rule = must((value: number) => value > 0, "must be greater than 0")

/** Tells of each that came before; once for each list, as it remembers. */
export const once = (before: Iterable<unknown> = []): Rule => {
  const seen = new Set(before)
  return present((value, at) => {
    const found = when(seen.has(value), duplicate(at, value))
    seen.add(value)
    return found
  })
}

/** Where two JSON values differ, a line each: the honest small brother of the diff that a Go server appends. */
export const differences = (before: unknown, after: unknown, at: string): ReadonlyArray<string> => {
  const isTree = (value: unknown) => typeof value === "object" && value !== null
  if (!isTree(before) || !isTree(after)) {
    const [old, next] = [before, after].map((value) => JSON.stringify(value) ?? "nothing")
    return old === next ? [] : [`  ${at}: ${old} -> ${next}`]
  }
  const [old, next] = [before as Fields, after as Fields]
  return [...new Set([...Object.keys(old), ...Object.keys(next)])].flatMap((key) =>
    differences(old[key], next[key], Array.isArray(before) ? `${at}[${key}]` : `${at}.${key}`)
  )
}
