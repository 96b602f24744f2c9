/**
 * Durations as kuberun's and ContainerSSH's configuration files write them: Go's `time.Duration`.
 *
 * A text such as `60s`, `1m30s`, `1.5h` or `250ms` (Go's `time.ParseDuration`), or a whole number of nanoseconds, which
 * is what Go writes into JSON.
 */
import { Duration, Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"

const nanosPerUnit: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  // The micro sign and the Greek letter: Go takes both.
  ["\u00b5s", 1_000n],
  ["\u03bcs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n]
])

/** The longest `time.Duration`, some 292 years: an int64 of nanoseconds. */
const longest = 2n ** 63n - 1n

const term = /(?:(\d+)(?:\.(\d*))?|\.(\d+))(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y

/**
 * Reads Go's notation, exactly; what is less than a nanosecond is dropped. `undefined` where it is none; a sign is not
 * accepted, since no limit here can be negative.
 */
export const parseGoDuration = (text: string): Duration.Duration | undefined => {
  if (text === "0") return Duration.zero
  let nanos = 0n
  let end = 0
  while (end < text.length) {
    term.lastIndex = end
    const match = term.exec(text)
    if (match === null) return undefined
    const unit = nanosPerUnit.get(match[4] ?? "") ?? 0n
    const fraction = match[2] ?? match[3] ?? ""
    nanos += BigInt(match[1] ?? "0") * unit + BigInt(`0${fraction}`) * unit / 10n ** BigInt(fraction.length)
    end = term.lastIndex
  }
  return end === 0 || nanos > longest ? undefined : Duration.nanos(nanos)
}

/** Writes a duration so that `parseGoDuration` reads the same one: seconds where they are whole, else smaller units. */
export const formatGoDuration = (duration: Duration.Duration): string => {
  const nanos = Duration.toNanosUnsafe(duration)
  if (nanos % 1_000_000_000n === 0n) return `${nanos / 1_000_000_000n}s`
  return nanos % 1_000_000n === 0n ? `${nanos / 1_000_000n}ms` : `${nanos}ns`
}

const expected = `a duration such as "60s" or "1m30s" (a number counts nanoseconds)`
const expectedLonger = expected.replace("such as", "longer than 0s, such as")

const schema = (accepts: (duration: Duration.Duration) => boolean) =>
  Schema.Union([Schema.String, Schema.Finite]).annotate({ expected }).pipe(
    Schema.decodeTo(
      Schema.Duration,
      SchemaTransformation.transformEffect<Duration.Duration, string | number>({
        decode: (input, options) => {
          const duration = typeof input === "string"
            ? parseGoDuration(input)
            : Number.isSafeInteger(input) && input >= 0
            ? Duration.nanos(BigInt(input))
            : undefined
          if (duration !== undefined && accepts(duration)) return Effect.succeed(duration)
          const wanted = duration === undefined ? expected : expectedLonger
          return Effect.fail(new SchemaIssue.InvalidValue({ expected: wanted }, input, options))
        },
        encode: (duration) => Effect.succeed(formatGoDuration(duration))
      })
    )
  )

/** A positive duration in a configuration file. */
export const GoDuration = schema((duration) => !Duration.isZero(duration))

/** The same, or none: `0s`. */
export const GoDurationOrZero = schema(() => true)
