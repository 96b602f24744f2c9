/**
 * Placeholders: what the configuration of a pod can say of the user that it is made for. Pure.
 *
 * | Placeholder         | Stands for |
 * | ------------------- | ---------- |
 * | `{{username}}`      | the name that the user logged in with |
 * | `{{connectionId}}`  | the connection's id, 32 hexadecimal digits |
 * | `{{remoteAddress}}` | the client's address, without the port |
 * | `{{metadata.NAME}}` | what the authenticator said of the user under NAME; empty where it said nothing |
 * | `{{"{{"}}`          | two opening braces (`{{"}}"}}`: two closing ones) |
 *
 * Blanks inside of the braces do not matter. In a pod that several connections use, the connection is the one that the
 * pod was made for.
 *
 * They may stand in these places, and what is put in is made safe for each:
 *
 * | Place                                          | What is put in |
 * | ---------------------------------------------- | -------------- |
 * | `pod.name`, a volume's `claimName`             | a DNS label: `alice` stays, `Alice@example.com` becomes `alice-example-com-` and a fingerprint |
 * | a mount's `subPath`                            | the same: one segment of a path, never empty, with no `/` and no `..` |
 * | a value in `pod.labels`                        | the text, if the whole is a valid value; else the whole is changed and ends in a fingerprint |
 * | a value in `pod.annotations`                   | the text |
 * | a container's and init container's `env` value | the text, in which Kubernetes expands no `$(NAME)` |
 *
 * Elsewhere they are faults, as are unknown names; and a variable with a placeholder may not be put into a script or a
 * path by `$(NAME)` (`VariableFaults.ts`).
 *
 * Two users never get the same name, claim, path or label by a text that holds `{{username}}`: where two values stand in
 * one text and it could be read in two ways ("a-b" and "c", "a" and "b-c"), the whole ends in a fingerprint of them.
 */
import type { Identity } from "../ports/Identity.ts"
import { fingerprint, isMarked } from "./Fingerprint.ts"
import { dnsLabel, isLabelValue, labelCharacters, longestLabel, markedText } from "./SafeText.ts"

/** What is put in for the name in a placeholder. */
export type PlaceholderValues = (name: string) => string

/** A piece of a text: itself, or the name of what is put in its place. */
type Piece =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Value"; readonly name: string }

const names: ReadonlySet<string> = new Set(["username", "connectionId", "remoteAddress"])

const isName = (name: string): boolean => names.has(name) || /^metadata\.[^\s]+$/.test(name)

/** Two braces of either kind in quotes, or a name. */
const braces = /\{\{\s*(?:"(\{\{|\}\})"|([^{}"]*?))\s*\}\}/g

/** Takes a text apart. What is in braces and no name is text; `placeholderFault` knows. */
const parse = (template: string): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  let end = 0
  for (const match of template.matchAll(braces)) {
    const [whole, quoted, name = ""] = match
    pieces.push({ _tag: "Text", text: template.slice(end, match.index) })
    pieces.push(
      quoted === undefined && isName(name) ? { _tag: "Value", name } : { _tag: "Text", text: quoted ?? whole }
    )
    end = match.index + whole.length
  }
  pieces.push({ _tag: "Text", text: template.slice(end) })
  return pieces
}

/** Whether a value is put into this text. */
export const hasPlaceholder = (template: string): boolean => parse(template).some((piece) => piece._tag === "Value")

/** What is wrong with the braces of a text in which placeholders may stand, in words; `undefined`: nothing. */
export const placeholderFault = (template: string): string | undefined => {
  const unknown = [...template.matchAll(braces)].find(([, quoted, name = ""]) => quoted === undefined && !isName(name))
  const known = "{{username}}, {{connectionId}}, {{remoteAddress}} or {{metadata.NAME}}"
  if (unknown !== undefined) return `${unknown[0]} is no placeholder; expected ${known}`
  return template.replaceAll(braces, "").includes("{{")
    ? `{{ is not followed by }}; expected ${known}, or {{"{{"}} for the braces themselves`
    : undefined
}

const ofMetadata = "metadata."

/** The values of a connection's user. */
export const valuesOf = (identity: Identity): PlaceholderValues => (name) => {
  switch (name) {
    case "username":
    case "connectionId":
    case "remoteAddress":
      return identity[name]
    default: {
      const key = name.slice(ofMetadata.length)
      return Object.hasOwn(identity.metadata, key) ? identity.metadata[key] ?? "" : ""
    }
  }
}

interface Filled {
  readonly text: string
  /** The values that were put in, before they were made safe. */
  readonly originals: ReadonlyArray<string>
  /** No other values make the same text. */
  readonly clear: boolean
}

/** A text with its values put in, each made safe by itself. */
const fill = (template: string, values: PlaceholderValues, safe: (text: string) => string): Filled => {
  const originals: Array<string> = []
  const put: Array<string> = []
  /** The texts before the first value, between two, and after the last. */
  const between = [""]
  for (const piece of parse(template)) {
    if (piece._tag === "Text") between[put.length] = `${between[put.length]}${piece.text}`
    else {
      const original = values(piece.name)
      originals.push(original)
      put.push(safe(original))
      between.push("")
    }
  }
  const text = between.map((literal, index) => `${literal}${put[index] ?? ""}`).join("")
  // Each value ends where the text behind it is found first: who reads from the left finds the same ones.
  const readable = put.slice(0, -1).every((value, index) => {
    const next = between[index + 1] ?? ""
    return next !== "" && `${value}${next}`.indexOf(next) === value.length
  })
  const markedByValue = between.at(-1) === "" && isMarked(put.at(-1) ?? "")
  return { text, originals, clear: readable && (markedByValue || !isMarked(text)) }
}

const same = (text: string): string => text

/** A name with its values put in, at most so long. */
export const expandName = (template: string, values: PlaceholderValues, longest: number): string => {
  const { clear, originals, text } = fill(template, values, dnsLabel)
  return originals.length === 0 || (clear && text.length <= longest)
    ? text
    : markedText(text, JSON.stringify(originals), longest)
}

/** A path with its values put in, each a segment or a part of one. */
export const expandPath = (template: string, values: PlaceholderValues): string => {
  const { clear, originals, text } = fill(template, values, dnsLabel)
  return clear || originals.length === 0 ? text : `${text}-${fingerprint(JSON.stringify(originals))}`
}

/** A label's value. */
export const expandLabel = (template: string, values: PlaceholderValues): string => {
  const { clear, originals, text } = fill(template, values, same)
  return originals.length === 0 || (clear && isLabelValue(text))
    ? text
    : markedText(labelCharacters(text), JSON.stringify(originals), longestLabel)
}

/** A text as it is, with the values as they are. */
export const expandText = (template: string, values: PlaceholderValues): string => fill(template, values, same).text

/**
 * Kubernetes' own syntax in the value of a variable (`third_party/forked/golang/expansion`), read up to the end of a
 * text: nothing is open, or a `$` that may begin something, or a `$(` whose `)` has not come.
 */
type Expansion = "none" | "dollar" | "reference"

const afterText = (before: Expansion, text: string): Expansion => {
  let state = before
  for (const character of text) {
    if (state === "reference") state = character === ")" ? "none" : "reference"
    else if (state === "dollar") state = character === "(" ? "reference" : "none"
    else state = character === "$" ? "dollar" : "none"
  }
  return state
}

/** A text as the value of a variable, in which Kubernetes expands nothing. No environment can hold a NUL. */
const variableText = (text: string): string => text.replaceAll("\0", "\ufffd").replaceAll("$", "$$$$")

/** The value of a variable: no `$` of a value's, and no `$` before one, begins a reference to another variable. */
export const expandVariable = (template: string, values: PlaceholderValues): string => {
  let state: Expansion = "none"
  let result = ""
  for (const piece of parse(template)) {
    if (piece._tag === "Text") {
      result += piece.text
      state = afterText(state, piece.text)
    } else {
      result += `${state === "dollar" ? "$" : ""}${variableText(values(piece.name))}`
      state = "none"
    }
  }
  return result
}

/** Whether a user's text would stand inside of a `$(NAME)` and choose which variable is meant. */
export const choosesVariable = (template: string): boolean => {
  let state: Expansion = "none"
  for (const piece of parse(template)) {
    if (piece._tag === "Text") state = afterText(state, piece.text)
    else if (state === "reference") return true
    else state = "none"
  }
  return false
}
