/**
 * Durations as kuberun's and ContainerSSH's configuration files write them: Go's `time.Duration`.
 *
 * A text such as `60s`, `1m30s`, `1.5h` or `250ms` (Go's `time.ParseDuration`), or a whole number of nanoseconds, which
 * is what Go writes into JSON.
 */
import { Duration, Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"

const nanosPerUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9
}

const term = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/y

/** Reads Go's notation. `undefined` where it is none; a sign is not accepted, since no limit here can be negative. */
export const parseGoDuration = (text: string): Duration.Duration | undefined => {
  if (text === "0") return Duration.zero
  let nanos = 0
  let end = 0
  while (end < text.length) {
    term.lastIndex = end
    const match = term.exec(text)
    if (match === null) return undefined
    nanos += Number(match[1]) * (nanosPerUnit[match[2] ?? ""] ?? Number.NaN)
    end = term.lastIndex
  }
  return end === 0 || !Number.isFinite(nanos) ? undefined : Duration.nanos(BigInt(Math.round(nanos)))
}

/** Writes a duration so that `parseGoDuration` reads the same one: seconds where they are whole, else smaller units. */
export const formatGoDuration = (duration: Duration.Duration): string => {
  const nanos = Number(Duration.toNanosUnsafe(duration))
  if (nanos % 1e9 === 0) return `${nanos / 1e9}s`
  return nanos % 1e6 === 0 ? `${nanos / 1e6}ms` : `${nanos}ns`
}

const expected = `a duration such as "60s" or "1m30s" (a number counts nanoseconds)`

/** A positive duration in a configuration file. */
export const GoDuration = Schema.Union([Schema.String, Schema.Finite]).annotate({ expected }).pipe(
  Schema.decodeTo(
    Schema.Duration,
    SchemaTransformation.transformEffect<Duration.Duration, string | number>({
      decode: (input, options) => {
        const duration = typeof input === "string"
          ? parseGoDuration(input)
          : Number.isSafeInteger(input) && input >= 0
          ? Duration.nanos(BigInt(input))
          : undefined
        return duration === undefined || Duration.isZero(duration)
          ? Effect.fail(new SchemaIssue.InvalidValue({ expected }, input, options))
          : Effect.succeed(duration)
      },
      encode: (duration) => Effect.succeed(formatGoDuration(duration))
    })
  )
)
