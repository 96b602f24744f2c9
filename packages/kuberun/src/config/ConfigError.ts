/**
 * What is wrong with a configuration, for the person who wrote it: every fault at once, each with the path of its key,
 * the value found there and what is allowed.
 */
import { Schema, SchemaIssue } from "effect"
import type { ConfigPath } from "../template/TemplatePlaces.ts"
import { missing, unknownKey } from "./PodSpecCheck.ts"

/** One fault. `path` is written as in the file: `pod.podSpec.containers[0].name`. */
export interface ConfigFault {
  readonly path: string
  readonly message: string
}

/** A configuration that cannot be used. Its message has one line for each fault and shows no secret. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  faults: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    return this.faults.map((fault) => `${fault.path}: ${fault.message}`).join("\n")
  }
}

/** Keys whose values are never shown, wherever they stand. */
const secretKeys: ReadonlySet<PropertyKey> = new Set(["password", "key", "bearerToken"])

/** Values below these keys may hold secrets of the user's own (an environment variable of a container, say). */
const opaqueKeys: ReadonlySet<PropertyKey> = new Set(["env", "podSpec", "spec"])

/** Maps that hold secrets. A text in the place of one, as a wrong indent makes it of the keys below, may hold them too. */
const secretMaps: ReadonlySet<PropertyKey | undefined> = new Set([undefined, "connection", "pod"])

const renderPath = (path: ReadonlyArray<PropertyKey>): string =>
  path.length === 0
    ? "(the whole file)"
    : path.map((key, index) => typeof key === "number" ? `[${key}]` : index === 0 ? String(key) : `.${String(key)}`)
      .join("")

const valueAt = (input: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    input
  )

const longestValueShown = 80

const renderValue = (value: unknown, path: ReadonlyArray<PropertyKey>): string => {
  if (path.some((key) => secretKeys.has(key))) return "a secret value"
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "a map"
  if (secretMaps.has(path.at(-1)) || path.some((key) => opaqueKeys.has(key))) {
    if (typeof value === "string") return "a text"
    if (typeof value === "number") return "a number"
    if (typeof value === "boolean") return "a boolean"
  }
  // JSON has no word for the numbers that are not finite.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value) ?? "nothing"
  return text.length > longestValueShown ? `${text.slice(0, longestValueShown)}…` : text
}

const allowedKeys = (issue: SchemaIssue.UnexpectedKey): string => {
  const names = "propertySignatures" in issue.ast
    ? issue.ast.propertySignatures.map((signature) => String(signature.name))
    : []
  return names.length === 0 ? "" : `; allowed here: ${names.join(", ")}`
}

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    switch (issue._tag) {
      case "MissingKey":
        return missing
      case "UnexpectedKey":
        return `${unknownKey}${allowedKeys(issue)}`
      default:
        return SchemaIssue.defaultLeafHook(issue)
    }
  }
})

/** A fault before it is put into words for the file's author. A `whole` message is all that is to be said. */
export interface Finding {
  readonly path: ConfigPath
  readonly message: string
  readonly whole: boolean
}

/** The schema's findings. */
export const findings = (issue: SchemaIssue.Issue): ReadonlyArray<Finding> =>
  format(issue).issues.map(({ message, path: segments }) => {
    const path = (segments ?? []).map((segment) => typeof segment === "object" ? segment.key : segment)
    return {
      path: path.map((key) => typeof key === "number" ? key : String(key)),
      message: message.replace(/^Expected /, "expected "),
      whole: message === missing || message.startsWith(unknownKey)
    }
  })

/** Puts findings about `input` into sentences for its author. A fault that is found twice is told once. */
export const fromFindings = (found: ReadonlyArray<Finding>, input: unknown): ConfigError => {
  const sentence = ({ message, path, whole }: Finding): string => {
    const value = valueAt(input, path)
    if (whole) return message
    // A default may be what is wrong beside another key.
    return value === undefined ? `is left out: ${message}` : `${renderValue(value, path)} is not allowed: ${message}`
  }
  const faults = found.map((finding) => ({ path: renderPath(finding.path), message: sentence(finding) }))
  const told = new Set<string>()
  return new ConfigError({
    faults: faults.filter(({ message, path }) => {
      const line = `${path}: ${message}`
      const first = !told.has(line)
      told.add(line)
      return first
    })
  })
}
