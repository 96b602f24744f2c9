/**
 * A limit on the rate of calls: so many a second on average, after a burst of so many (`qps` and `burst` of client-go).
 */
import { Clock, Deferred, Duration, Effect, Exit } from "effect"

/** Tokens as they were at one moment. */
export interface Bucket {
  readonly tokens: number
  readonly atMillis: number
}

/** What is in the bucket now: it fills at `qps` a second and overflows at `burst`. */
export const refill = (bucket: Bucket, nowMillis: number, qps: number, burst: number): Bucket => ({
  tokens: Math.min(burst, bucket.tokens + Math.max(0, nowMillis - bucket.atMillis) * qps / 1000),
  atMillis: nowMillis
})

/** A wait from which on the log tells of it: what a person who waits for a prompt begins to notice. */
export const TOLD_WAIT = Duration.seconds(1)

/** Of the clock that no correction of the time of day moves. */
const nowMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1000n) / 1000)

/**
 * The answer waits until the call may be made; callers go in the order in which they came. Who is interrupted while it
 * waits gives its place up: no token is spent on it, and those behind go on as if it had not been there. A wait of
 * `TOLD_WAIT` or more is told in the log when it begins, with the `operation` that waits ("create pod default/x").
 */
export const make = Effect.fn("TokenBucket.make")(function*(qps: number, burst: number) {
  const size = Math.max(1, burst)
  let bucket: Bucket = { tokens: size, atMillis: yield* nowMillis }
  // Everybody who waits, in the order of coming; the first is the one whose turn it is. Not a semaphore: that would let
  // somebody who comes at the moment of its release pass those who wait.
  const line = new Set<Deferred.Deferred<void>>()

  const callFirst = () => {
    for (const place of line) return Deferred.doneUnsafe(place, Exit.void)
  }

  const refilled = Effect.map(nowMillis, (now) => {
    bucket = refill(bucket, now, qps, size)
    return bucket.tokens
  })

  const take = Effect.gen(function*() {
    while ((yield* refilled) < 1) yield* Effect.sleep(Math.ceil((1 - bucket.tokens) * 1000 / qps))
    bucket = { ...bucket, tokens: bucket.tokens - 1 }
  })

  const tell = (operation: string) =>
    Effect.flatMap(refilled, (tokens) => {
      const millis = (line.size - tokens) * 1000 / qps
      return millis < Duration.toMillis(TOLD_WAIT)
        ? Effect.void
        : Effect.logInfo(`waiting ${(millis / 1000).toFixed(1)} s for the API call limit (qps ${qps}): ${operation}`)
    })

  const queue = Effect.sync(() => {
    const place = Deferred.makeUnsafe<void>()
    line.add(place)
    if (line.size === 1) callFirst()
    return place
  })

  const leave = (place: Deferred.Deferred<void>) =>
    Effect.sync(() => {
      line.delete(place)
      callFirst()
    })

  return (operation: string): Effect.Effect<void> =>
    Effect.acquireUseRelease(
      queue,
      (place) => Effect.andThen(tell(operation), Effect.andThen(Deferred.await(place), take)),
      leave
    )
})
