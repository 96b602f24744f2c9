/**
 * The configuration file: YAML, of which JSON is a part, in the shape of the library's `Config` or of ContainerSSH's. Every fault is told
 * at once, with the file's name, and with line and column where the text itself is wrong. Nothing of the text is
 * quoted: it may hold secrets.
 */
import type { KubernetesOptions } from "@kuberun/kubernetes"
import { Effect, FileSystem, Result } from "effect"
import { Config, decodeConfig, isContainerSsh } from "kuberun"
import { LineCounter, parseDocument } from "yaml"
import { type StartError, startError } from "./StartError.ts"
import { fileTrouble } from "./SystemTrouble.ts"
import { yamlFault } from "./YamlFault.ts"

/** A map of the file's top level, before its values are looked at. */
export type RawConfig = Readonly<Record<string, unknown>>

const isMap = (value: unknown): value is RawConfig =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The keys of the top level, in words. */
export const configKeys = `${Object.keys(Config.fields).slice(0, -1).join(", ")} and ${
  Object.keys(Config.fields).at(-1) ?? ""
}`

/** Parses the text. An empty file is an empty map. Fails with one line for each fault. */
export const parse = (
  file: string,
  text: string,
  keys = configKeys
): Result.Result<RawConfig, string> => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, merge: true })
  const faults = [...document.errors, ...document.warnings].map((fault) => {
    const { col, line } = lines.linePos(fault.pos[0])
    return `${file}:${line}:${col}: ${yamlFault(fault.code)}`
  })
  if (faults.length > 0) return Result.fail(faults.join("\n"))
  return Result.try({
    try: (): unknown => document.toJS(),
    catch: () => `${file}: it has an alias without its anchor, too many of them, or << before what is no map`
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

/** Changes the map under a key; what is no map is left, to be refused. */
const within = (raw: RawConfig, key: string, change: (map: RawConfig) => RawConfig): RawConfig => {
  const map = raw[key] ?? {}
  return isMap(map) ? { ...raw, [key]: change(map) } : raw
}

const withDefaults = (raw: RawConfig, podDefaults: RawConfig): RawConfig =>
  within(raw, "pod", (pod) => ({ ...podDefaults, ...pod }))

/** The same keys of a pod as ContainerSSH calls them. */
const ofContainerSsh = ({ podSpec, ...others }: RawConfig): RawConfig =>
  podSpec === undefined ? others : { ...others, spec: podSpec }

/** The keys under `connection` that the file names, in either shape. */
const connectionKeys = (raw: RawConfig): ReadonlyArray<string> | undefined => {
  const of = isContainerSsh(raw) ? raw["kubernetes"] : raw
  if (!isMap(of) || !("connection" in of)) return undefined
  return isMap(of["connection"]) ? Object.keys(of["connection"]) : []
}

/** Whether the file says how to reach a cluster. */
export const namesConnection = (raw: RawConfig): boolean => connectionKeys(raw) !== undefined

/** The keys under `connection` that say how to call a cluster, whichever it is. */
const callKeys: ReadonlySet<string> = new Set(["qps", "burst", "timeout"])

/** Whether the file says more of a cluster than how to call it. */
export const namesOtherCluster = (raw: RawConfig): boolean =>
  connectionKeys(raw)?.some((key) => !callKeys.has(key)) === true

/** How to call a cluster that the file does not name: as it says, and without a limit where it says nothing. */
export const calls = (raw: RawConfig, { connection }: Config): KubernetesOptions => ({
  callTimeout: connection.timeout,
  limit: connectionKeys(raw)?.some((key) => key === "qps" || key === "burst") === true
    ? { qps: connection.qps, burst: connection.burst }
    : undefined
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
  const input = isContainerSsh(raw)
    ? within(raw, "kubernetes", (kubernetes) => withDefaults(kubernetes, ofContainerSsh(podDefaults)))
    : withDefaults(raw, podDefaults)
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
