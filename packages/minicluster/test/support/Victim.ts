/** A process with a cluster in it, that is killed by a test. It prints its kubeconfig as one line of JSON. */
import { Effect } from "effect"
import { makeWith } from "../../src/Minicluster.ts"

const program = Effect.gen(function*() {
  const cluster = yield* makeWith({}, { withoutNamespaces: process.argv[2] === "shared" })
  process.stdout.write(`${JSON.stringify(cluster)}\n`)
  return yield* Effect.never
})

Effect.runFork(Effect.scoped(program))
