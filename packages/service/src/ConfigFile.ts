/**
 * The configuration file: YAML, of which JSON is a part, in the shape of the library's `Config`. Every fault is told
 * at once, with the file's name, and with line and column where the text itself is wrong. Nothing of the text is
 * quoted: it may hold secrets.
 */
import { Effect, FileSystem, Result } from "effect"
import { type Config, decodeConfig } from "kuberun"
import { LineCounter, parseDocument } from "yaml"
import { type StartError, startError } from "./StartError.ts"
import { fileTrouble } from "./SystemTrouble.ts"
import { yamlFault } from "./YamlFault.ts"

/** A map of the file's top level, before its values are looked at. */
export type RawConfig = Readonly<Record<string, unknown>>

const isMap = (value: unknown): value is RawConfig =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Parses the text. An empty file is an empty map. Fails with one line for each fault. */
export const parse = (
  file: string,
  text: string,
  keys = "connection, pod and timeout"
): Result.Result<RawConfig, string> => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  const faults = [...document.errors, ...document.warnings].map((fault) => {
    const { col, line } = lines.linePos(fault.pos[0])
    return `${file}:${line}:${col}: ${yamlFault(fault.code)}`
  })
  if (faults.length > 0) return Result.fail(faults.join("\n"))
  return Result.try({
    try: (): unknown => document.toJS(),
    catch: () => `${file}: it has an alias without its anchor, or too many of them`
  }).pipe(Result.flatMap((value) => {
    if (value === null || value === undefined) return Result.succeed({})
    return isMap(value)
      ? Result.succeed(value)
      : Result.fail(`${file}: expected a map with the keys ${keys} at the top`)
  }))
}

/** The map that the file holds. `what` it is and its `keys` are for the message. */
export const read = Effect.fn("ConfigFile.read")(function*(file: string, what = "the configuration", keys?: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const text = yield* fileSystem.readFileString(file).pipe(
    Effect.mapError((error) => startError("ConfigFile", `cannot read ${what} ${file}: ${fileTrouble(error)}`))
  )
  return yield* Effect.fromResult(parse(file, text, keys)).pipe(
    Effect.mapError((faults) => startError("ConfigFile", `${what} cannot be read:\n${indent(faults)}`))
  )
})

/**
 * Decodes what a file said, on top of defaults for the keys of `pod` that it leaves out. `file` is for the message;
 * undefined when there is no file.
 */
export const decode = (
  file: string | undefined,
  raw: RawConfig,
  podDefaults: RawConfig = {}
): Effect.Effect<Config, StartError> => {
  const pod = raw["pod"] ?? {}
  const input = isMap(pod) ? { ...raw, pod: { ...podDefaults, ...pod } } : raw
  return decodeConfig(input).pipe(
    Effect.mapError((error) =>
      startError(
        "ConfigFile",
        `the configuration${file === undefined ? "" : ` ${file}`} cannot be used:\n${indent(error.message)}`
      )
    )
  )
}

const indent = (text: string): string => text.split("\n").map((line) => `  ${line}`).join("\n")
