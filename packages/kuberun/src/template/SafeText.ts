/**
 * Texts that anybody may have chosen, made fit for the places that Kubernetes has for them. Pure.
 *
 * A text that fits is kept. Any other gets its odd characters replaced, is cut, and ends in a fingerprint of the
 * original; so does one that only looks as if it did. So no two texts become the same one.
 */
import { fingerprint, fingerprintLength, isMarked } from "./Fingerprint.ts"

/** The longest label value, and the longest DNS label. */
export const longestLabel = 63

/** The longest DNS subdomain (RFC 1123), which names objects. */
export const longestName = 253

/** A label value with at least one character (`apimachinery`, `validation.IsValidLabelValue`). */
const labelPattern = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/

/** A DNS label (RFC 1123 §2.1, `validation.IsDNS1123Label`), but for its length. */
const dnsPattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/** Whether Kubernetes takes the text as a label's value. */
export const isLabelValue = (text: string): boolean =>
  text === "" || (text.length <= longestLabel && labelPattern.test(text))

/** Whether the text is a DNS label. */
export const isDnsLabel = (text: string): boolean => text.length <= longestLabel && dnsPattern.test(text)

/** Whether the text is a DNS subdomain: labels, each of any length, with dots between them. */
export const isDnsSubdomain = (text: string): boolean =>
  text.length <= longestName && text.split(".").every((label) => dnsPattern.test(label))

/** The beginning of a text of letters and digits with others between them, then a fingerprint of `original`. */
export const markedText = (text: string, original: string, longest: number): string => {
  const kept = text.replace(/^[^A-Za-z0-9]+/, "").slice(0, longest - fingerprintLength - 1)
    .replace(/[^A-Za-z0-9]+$/, "")
  return `${kept === "" ? "x" : kept}-${fingerprint(original)}`
}

/** As much of a text as a label value can show. */
export const labelCharacters = (text: string): string => text.replaceAll(/[^A-Za-z0-9._-]/g, "-")

/** As much of a text as a DNS label can show. */
export const dnsCharacters = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")

/** A valid label value for any text: at most 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends; empty for an empty one. */
export const labelValue = (text: string): string =>
  isLabelValue(text) && !isMarked(text) ? text : markedText(labelCharacters(text), text, longestLabel)

/** A valid DNS label for any text, also an empty one: `bob` stays, `Bob` does not become it. */
export const dnsLabel = (text: string): string =>
  isDnsLabel(text) && !isMarked(text)
    ? text
    : markedText(dnsCharacters(text), text, longestLabel)
