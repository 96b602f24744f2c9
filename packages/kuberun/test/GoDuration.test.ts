import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Schema } from "effect"
import { formatGoDuration, GoDuration, parseGoDuration } from "kuberun"

const nanosOf = (text: string): bigint | undefined => {
  const duration = parseGoDuration(text)
  return duration === undefined ? undefined : Duration.toNanosUnsafe(duration)
}

const decode = Schema.decodeUnknownEffect(GoDuration)
const accepted = (input: unknown) => Effect.map(Effect.option(decode(input)), Option.getOrUndefined)

/** The longest `time.Duration`: 2^63 - 1 nanoseconds, some 292 years. */
const longest = 2n ** 63n - 1n

describe("Go's durations", () => {
  it.effect.prop(
    "are read as they are written, to the nanosecond, however long",
    { nanos: Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 0n, maximum: longest })) },
    ({ nanos }) => Effect.sync(() => assert.strictEqual(nanosOf(formatGoDuration(Duration.nanos(nanos))), nanos)),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "are read unit by unit and added",
    {
      hours: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })),
      minutes: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
      seconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
      fraction: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999_999_999 }))
    },
    ({ fraction, hours, minutes, seconds }) =>
      Effect.sync(() =>
        assert.strictEqual(
          nanosOf(`${hours}h${minutes}m${seconds}.${String(fraction).padStart(9, "0")}s`),
          (BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds)) * 1_000_000_000n + BigInt(fraction)
        )
      ),
    { arbitrary: { runs: 500 } }
  )

  for (
    const [text, nanos] of [
      ["60s", 60_000_000_000n],
      ["1h15m30.918s", 4_530_918_000_000n],
      ["1.5h", 5_400_000_000_000n],
      ["300ms", 300_000_000n],
      ["1µs", 1000n],
      ["1\u03bcs", 1000n],
      ["1us", 1000n],
      ["1ns", 1n],
      [".5s", 500_000_000n],
      ["1.s", 1_000_000_000n],
      ["1.000000001s", 1_000_000_001n],
      ["0", 0n],
      ["9007199254740993ns", 9_007_199_254_740_993n]
    ] as const
  ) {
    it(`read ${text} as Go does`, () => {
      assert.strictEqual(nanosOf(text), nanos)
    })
  }

  for (const text of ["-1s", "1", "1 s", "", "1x", ".s", "s", "1s ", " 1s", "1e3s", "1S", "1s1", "999999999h", "1d"]) {
    it(`refuse ${JSON.stringify(text)}`, () => {
      assert.isUndefined(parseGoDuration(text))
    })
  }

  it.effect("count a number in nanoseconds in a configuration, and take only whole positive ones", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* accepted(1_500_000_000), Duration.nanos(1_500_000_000n))
      for (
        const refused of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 60, null, {}, [], true, "0s", "0", "0.1ns", "-1s"]
      ) {
        assert.isUndefined(yield* accepted(refused), `${JSON.stringify(refused)} was taken`)
      }
    }))
})
