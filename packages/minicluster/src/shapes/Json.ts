/** Reading JSON whose types nobody has told the compiler: what has another type reads as empty. */

export type Fields = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)
export const fieldsOf = (value: unknown): Fields => isRecord(value) ? value : {}
export const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []
export const textOf = (value: unknown): string => typeof value === "string" ? value : ""

/** What stands at a path: `at(pod, "spec", "containers", 0)`. */
export const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce((here, step) => typeof step === "number" ? listOf(here)[step] : fieldsOf(here)[step], value)

/** Not there, or Go's zero value, which a Go server takes for the same. */
export const isAbsent = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0)
