/**
 * What the log looks like: one line an entry on stderr, for people or as JSON, with the fields that the library sets
 * (`connectionId`, `user`, `pod`, `namespace`). Errors appear as their sentence; a stack trace only at level trace.
 */
import { Cause, type Layer, Logger, LogLevel, References } from "effect"

/** How entries are written. */
export const logFormats = ["pretty", "json"] as const
export type LogFormat = typeof logFormats[number]

type Entry = Logger.Options<unknown>

/** Control characters, which could forge a line or command a terminal: a user's name may hold them. */
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/g

/** The text on one line, with control characters as escapes. */
export const oneLine = (text: string): string =>
  text.replaceAll(
    controlCharacters,
    (character) => character === "\n" ? String.raw`\n` : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`
  )

/** A value as a text: an error as its sentence, anything that is not text as JSON. Redacted values stay so. */
const render = (value: unknown): string => {
  if (typeof value === "string") return value
  if (value instanceof Error) return value.message
  if (Cause.isCause(value)) return sentences(value)
  return JSON.stringify(value) ?? String(value)
}

/** What a cause says, without traces: its failures and defects, or that it was interrupted. */
const sentences = (cause: Cause.Cause<unknown>): string =>
  cause.reasons.map((reason) => {
    switch (reason._tag) {
      case "Fail":
        return render(reason.error)
      case "Die":
        return `unexpected fault: ${render(reason.defect)}`
      case "Interrupt":
        return "interrupted"
    }
  }).join("; ")

const messageOf = (entry: Entry): string => {
  const parts = Array.isArray(entry.message) ? entry.message : [entry.message]
  const cause = entry.cause.reasons.length === 0 ? [] : [entry.cause]
  return [...parts, ...cause].map(render).join(" ")
}

const traceOf = (entry: Entry): string | undefined => {
  const wanted = entry.fiber.getRef(References.MinimumLogLevel)
  const parts: ReadonlyArray<unknown> = Array.isArray(entry.message) ? entry.message : [entry.message]
  const cause = entry.cause.reasons.length > 0 ? entry.cause : parts.find(Cause.isCause)
  return cause !== undefined && LogLevel.isLessThanOrEqualTo(wanted, "Trace") ? Cause.pretty(cause) : undefined
}

/** A field is cut here: a user name, which anybody may send, can have tens of thousands of characters. */
const longestField = 256

/** A field's value: quoted where it would not read as one word. */
const field = (value: unknown): string => {
  const whole = oneLine(render(value))
  const text = whole.length > longestField ? `${whole.slice(0, longestField)}…` : whole
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)
}

const prettyLine = (entry: Entry): string => {
  const fields = Object.entries(entry.fiber.getRef(References.CurrentLogAnnotations))
    .map(([name, value]) => ` ${name}=${field(value)}`)
  const time = entry.date.toISOString().slice(11, 23)
  const trace = traceOf(entry)
  const line = `${time} ${entry.logLevel.toUpperCase().padEnd(5)} ${oneLine(messageOf(entry))}${fields.join("")}`
  return trace === undefined ? line : `${line}\n${trace}`
}

const jsonLine = (entry: Entry): string => {
  const trace = traceOf(entry)
  return JSON.stringify({
    ...Object.fromEntries(
      Object.entries(entry.fiber.getRef(References.CurrentLogAnnotations))
        .map(([name, value]) => [name, typeof value === "number" || typeof value === "boolean" ? value : render(value)])
    ),
    time: entry.date.toISOString(),
    level: entry.logLevel.toLowerCase(),
    message: messageOf(entry),
    ...trace === undefined ? {} : { trace }
  })
}

/** The logger of a format, on stderr: stdout is for what the program was asked to print. */
export const logger = (format: LogFormat): Logger.Logger<unknown, void> =>
  Logger.withConsoleError(Logger.make(format === "json" ? jsonLine : prettyLine))

/** Replaces the loggers that are there by default. */
export const layer = (format: LogFormat): Layer.Layer<never> => Logger.layer([logger(format)])
