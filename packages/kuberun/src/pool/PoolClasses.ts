/**
 * Which users' pods in waiting are whose. Pure.
 */
import type { PoolConfig } from "../config/Config.ts"

/** The class of everybody who is in no other. */
export const defaultClass = "default"

/**
 * Whether a user name fits a pattern, in which `*` stands for any text, also none, and every other character for itself.
 * Between the first and the last piece of the pattern the others are looked for one behind the other: the first place
 * where one fits is never worse than a later one.
 */
export const fitsPattern = (pattern: string, username: string): boolean => {
  const pieces = pattern.split("*")
  const first = pieces[0] ?? ""
  if (pieces.length === 1) return username === first
  const last = pieces[pieces.length - 1] ?? ""
  if (!username.startsWith(first) || !username.endsWith(last) || username.length < first.length + last.length) {
    return false
  }
  const end = username.length - last.length
  let from = first.length
  for (const piece of pieces.slice(1, -1)) {
    const place = username.indexOf(piece, from)
    if (place < 0 || place + piece.length > end) return false
    from = place + piece.length
  }
  return true
}

/** The first class that has a pattern for the user, or `default`. */
export const classOf = (pool: PoolConfig, username: string): string =>
  pool.classes.find(({ users }) => users.some((pattern) => fitsPattern(pattern, username)))?.name ?? defaultClass

/** How many pods wait for each class. */
export const poolSizes = (pool: PoolConfig): ReadonlyMap<string, number> =>
  new Map([[defaultClass, pool.size], ...pool.classes.map(({ name, size }) => [name, size] as const)])

/** Whether any pod is to wait for anybody. */
export const hasPool = (pool: PoolConfig): boolean => [...poolSizes(pool).values()].some((size) => size > 0)
