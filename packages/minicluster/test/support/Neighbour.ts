/** A process with a cluster's folder in the one that is given, until it is killed. It prints the folder's path. */
import { Effect } from "effect"
import { makeDirectory } from "../../src/runtime/Directory.ts"

const program = Effect.gen(function*() {
  process.stdout.write(`${yield* makeDirectory(process.argv[2])}\n`)
  // Keeps Node alive.
  setInterval(() => {}, 60_000)
  return yield* Effect.never
})

Effect.runFork(Effect.scoped(program))
