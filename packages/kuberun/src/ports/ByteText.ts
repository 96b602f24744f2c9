/**
 * Texts of a client's that need not be UTF-8: a command or a variable may hold any bytes, a file's name in Latin-1, say.
 *
 * A byte that is no part of UTF-8 stands in a string as half of a surrogate pair, U+DC00 and the byte's value, which no
 * text in UTF-8 has (PEP 383, "surrogateescape"). So each sequence of bytes is a string of its own, and texts in UTF-8
 * are what they always are.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

const decoded = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** How many bytes a character in UTF-8 has that begins with this one; 1 where none does. */
const lengthFrom = (first: number): number => first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1

/** The string for these bytes, whatever they are. */
export const fromBytes = (bytes: Uint8Array): string => {
  const whole = decoded(bytes)
  if (whole !== undefined) return whole
  let text = ""
  let place = 0
  while (place < bytes.length) {
    const first = bytes[place] ?? 0
    const length = lengthFrom(first)
    const character = decoded(bytes.subarray(place, place + length))
    text += character ?? String.fromCharCode(0xdc00 + first)
    place += character === undefined ? 1 : length
  }
  return text
}

const rawBytes = /[\udc80-\udcff]/u

/** Whether the text stands for bytes that are not UTF-8. */
export const hasRawBytes = (text: string): boolean => rawBytes.test(text)

/** The text with each of these bytes replaced. Everything else stays as it is. */
export const replaceRawBytes = (text: string, replacement: (byte: number) => string): string =>
  text.replaceAll(/[\udc80-\udcff]/gu, (half) => replacement(half.charCodeAt(0) - 0xdc00))

/** The bytes that `fromBytes` was given. */
export const toBytes = (text: string): Uint8Array => {
  const parts = text.split(/([\udc80-\udcff])/u).map((part) =>
    hasRawBytes(part) ? Uint8Array.of(part.charCodeAt(0) - 0xdc00) : encoder.encode(part)
  )
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let place = 0
  for (const part of parts) {
    bytes.set(part, place)
    place += part.length
  }
  return bytes
}
