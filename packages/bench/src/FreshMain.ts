/** A process that starts a few clusters, one after the other, and tells how long each took. */
import { Effect } from "effect"
import { performance } from "node:perf_hooks"
import { type Told } from "./Protocol.ts"

const clusters = 5

const before = performance.now()
const { make } = await import("@kuberun/minicluster")
const importMillis = performance.now() - before

const startMillis = Effect.scoped(Effect.gen(function*() {
  const before = performance.now()
  yield* make()
  return performance.now() - before
}))

const program = Effect.gen(function*() {
  const told: Told = { _tag: "Fresh", importMillis, startMillis: yield* Effect.replicateEffect(startMillis, clusters) }
  process.send?.(told)
  process.disconnect()
})

await Effect.runPromise(program)
