/**
 * A line that is being typed: keys in, lines out, and the row of the screen that shows it. Pure.
 */

/** Longer than any line that somebody types; what goes beyond is not taken. */
export const maximumLine = 4096

/** What is typed so far, and where in a key's sequence of bytes the input stands. */
export interface LineEditor {
  readonly text: string
  readonly key: "Plain" | "Escape" | "Sequence" | "AfterReturn"
}

export const empty: LineEditor = { text: "", key: "Plain" }

/** What the keys came to. */
export type Entered =
  | { readonly _tag: "Line"; readonly text: string }
  /** ^D on an empty line, or ^C: nothing after it counts. */
  | { readonly _tag: "End" }

/**
 * Takes keys as a terminal without modes sends them: Enter, Backspace, ^U (the line) and ^W (a word), ^C and ^D. Other
 * control characters and the sequences of arrows and function keys (ECMA-48 §5.4) are passed over.
 */
export const feed = (
  editor: LineEditor,
  keys: string
): readonly [editor: LineEditor, entered: ReadonlyArray<Entered>] => {
  const entered: Array<Entered> = []
  let { key, text } = editor
  for (const character of keys) {
    const before = key
    key = nextKey(before, character)
    if (key === "Escape" || key === "Sequence" || before === "Escape" || before === "Sequence") continue
    if (character === "\r" || (character === "\n" && before !== "AfterReturn")) {
      entered.push({ _tag: "Line", text })
      text = ""
    } else if (character === "\u0003" || (character === "\u0004" && text === "")) {
      entered.push({ _tag: "End" })
      return [empty, entered]
    } else {
      text = edit(text, character)
    }
  }
  return [{ text, key }, entered]
}

const nextKey = (key: LineEditor["key"], character: string): LineEditor["key"] => {
  if (character === "\u001b") return "Escape"
  if (key === "Escape" && (character === "[" || character === "O")) return "Sequence"
  if (key === "Sequence" && !/[@-~]/.test(character)) return "Sequence"
  return character === "\r" ? "AfterReturn" : "Plain"
}

const edit = (text: string, character: string): string => {
  switch (character) {
    case "\u007f":
    case "\b":
      return text.replace(/.\p{M}*$/su, "")
    case "\u0015":
      return ""
    case "\u0017":
      return text.replace(/\S*\s*$/u, "")
    default:
      return /\p{Cc}/u.test(character) || text.length >= maximumLine ? text : text + character
  }
}

/** A text without what a terminal would obey: nobody's line may move another's cursor. New lines stay. */
export const printable = (text: string): string => text.replace(/\t/g, " ").replace(/(?!\n)\p{Cc}/gu, "")

/** What a terminal has that does not tell its size. */
const usualColumns = 80

/** Where less is left for the text, the prompt goes. */
const leastForText = 8

/** Clears the row and shows the prompt and as much of the text's end as fits in it, so that it is always one row. */
export const row = (prompt: string, text: string, columns: number): string => {
  const room = (columns === 0 ? usualColumns : columns) - 1
  const shown = room - width(prompt) >= leastForText ? prompt : ""
  let left = room - width(shown)
  const end: Array<string> = []
  for (const character of Array.from(text).toReversed()) {
    left -= width(character)
    if (left < 0) break
    end.unshift(character)
  }
  return `${clearRow}${shown}${end.join("")}`
}

/** Carriage return, and erase to the end of the line. */
export const clearRow = "\r\u001b[K"

/** In columns, rather too many than too few: what is East Asian or a picture takes two. */
const width = (text: string): number => {
  let columns = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (/\p{Mn}/u.test(character)) continue
    columns += code >= 0x2e80 || (code >= 0x1100 && code < 0x1160) ? 2 : 1
  }
  return columns
}
