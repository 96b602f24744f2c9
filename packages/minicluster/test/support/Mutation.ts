/** Values, texts and bytes that are nearly right: all decided by a seed and a number, so that each can be had again. */
import { Buffer } from "node:buffer"

/** Mulberry32: small, and good enough to choose by. */
export const makeDice = (seed: number, index: number) => {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (below: number) => Math.floor(next() * below)
  return {
    /** 0 to `below` - 1. */
    int,
    chance: (share: number) => next() < share,
    pick: <A>(values: readonly [A, ...ReadonlyArray<A>] | ReadonlyArray<A>): A => values[int(values.length)] as A,
    bytes: (length: number) => Buffer.from(Array.from({ length }, () => int(256)))
  }
}
export type Dice = ReturnType<typeof makeDice>

/** None of them is the name of a program, a port that somebody listens on, or a folder that anybody misses. */
export const oddTexts: ReadonlyArray<string> = [
  "",
  " ",
  "x",
  "X_y",
  "-",
  ".",
  "..",
  "../..",
  "//",
  "%",
  "%00",
  "%2e%2e%2f",
  "\u0000",
  "\ud800",
  "\u202e",
  "é😀",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  "$(X)",
  "$($(X))",
  "$$(",
  "{{",
  "null",
  "true",
  "-1",
  "1e309",
  "0x10",
  "99999999999999999999",
  "1Ei",
  "-1m",
  "2026-13-45T99:99:99Z",
  "1970-01-01T00:00:00Z",
  "a=b,c in (d",
  "!",
  "metadata.name=x",
  "a".repeat(64),
  "a.".repeat(127),
  "é".repeat(300),
  "(".repeat(5000),
  "x".repeat(20_000)
]

const oddValue = (dice: Dice): unknown =>
  dice.pick<() => unknown>([
    () => dice.pick(oddTexts),
    () => null,
    () => dice.chance(0.5),
    () => dice.pick([0, -0, -1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 5e-324, 65536]),
    () => [],
    () => ({}),
    () => [[]],
    () => [null],
    () => ({ "": "" }),
    () => JSON.parse(`{"__proto__":{"x":1},"constructor":{"prototype":{}}}`) as unknown,
    () => nested(dice.pick([3, 50, 50, 990, 1100]), dice.chance(0.5)),
    () => Array.from({ length: dice.pick([2, 70, 1500]) }, (_, index) => ({ name: `x${index % 50}` }))
  ])()

const nested = (depth: number, lists: boolean): unknown => {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = lists ? [value] : { a: value }
  return value
}

/** Each place of a value, as the container and the key it stands under there. */
const placesOf = (root: unknown) => {
  const places: Array<readonly [Record<string, unknown>, string]> = []
  const walk = (value: unknown, depth: number) => {
    if (typeof value !== "object" || value === null || depth > 40 || places.length > 2000) return
    for (const key of Object.keys(value)) {
      const container = value as Record<string, unknown>
      places.push([container, key])
      walk(container[key], depth + 1)
    }
  }
  walk(root, 0)
  return places
}

/** Also under `__proto__`; a list has no names. */
const put = (container: object, key: string, value: unknown): void => {
  if (Array.isArray(container)) return
  Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true })
}

/** Changes a JSON value here and there. */
export const mutateJson = (dice: Dice, value: unknown, times: number): unknown => {
  const root: Record<string, unknown> = { value: structuredClone(value) }
  for (let time = 0; time < times; time++) {
    const places = placesOf(root)
    const [container, key] = dice.pick(places)
    const other = dice.pick(places)
    dice.pick<() => void>([
      () => (container[key] = oddValue(dice)),
      () => (container[key] = oddValue(dice)),
      () => (container[key] = [container[key]]),
      () => (container[key] = structuredClone(other[0][other[1]])),
      () => put(container, dice.pick(oddTexts), structuredClone(container[key])),
      () => {
        if (container !== root) delete container[key]
      },
      () => {
        const list = container[key]
        if (Array.isArray(list) && list.length > 0) list.push(...list.slice(0, 3).map((one) => structuredClone(one)))
        else container[key] = oddValue(dice)
      }
    ])()
  }
  return root["value"]
}

/** Damages bytes: flips, cuts, repeats, inserts. */
export const mutateBytes = (dice: Dice, bytes: Buffer, times: number): Buffer => {
  let result: Buffer = Buffer.from(bytes)
  for (let time = 0; time < times; time++) {
    const at = dice.int(result.length + 1)
    const end = Math.min(result.length, at + 1 + dice.int(8))
    result = dice.pick<() => Buffer>([
      () => {
        const flipped = Buffer.from(result)
        if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << dice.int(8))
        return flipped
      },
      () => result.subarray(0, at),
      () => Buffer.concat([result.subarray(0, end), result.subarray(at)]),
      () => Buffer.concat([result.subarray(0, at), result.subarray(end)]),
      () => Buffer.concat([result.subarray(0, at), dice.bytes(1 + dice.int(6)), result.subarray(at)]),
      () => Buffer.concat([result.subarray(0, at), Buffer.from(dice.pick(oddTexts)), result.subarray(at)])
    ])()
  }
  return result
}
