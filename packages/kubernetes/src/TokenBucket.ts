/**
 * A limit on the rate of calls: so many a second on average, after a burst of so many (`qps` and `burst` of client-go).
 */
import { Clock, Effect, Semaphore } from "effect"

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

/** The answer waits until a call may be made; callers go in the order in which they came. */
export const make = Effect.fn("TokenBucket.make")(function*(qps: number, burst: number) {
  const turn = yield* Semaphore.make(1)
  const size = Math.max(1, burst)
  let bucket: Bucket = { tokens: size, atMillis: yield* Clock.currentTimeMillis }
  return turn.withPermit(Effect.gen(function*() {
    bucket = refill(bucket, yield* Clock.currentTimeMillis, qps, size)
    if (bucket.tokens < 1) {
      yield* Effect.sleep(Math.ceil((1 - bucket.tokens) * 1000 / qps))
      bucket = refill(bucket, yield* Clock.currentTimeMillis, qps, size)
    }
    bucket = { ...bucket, tokens: bucket.tokens - 1 }
  }))
})
