/** How long a fresh cluster takes: the first of a process, and the ones after it. */
import { Effect } from "effect"
import { ChildError, startChild } from "./Child.ts"

export interface Fresh {
  /** Milliseconds in ascending order: the package's import; a process' first cluster; each after the first. */
  readonly importing: ReadonlyArray<number>
  readonly first: ReadonlyArray<number>
  readonly next: ReadonlyArray<number>
}

const once = Effect.scoped(Effect.gen(function*() {
  const { told } = yield* startChild("./FreshMain.ts")
  const fresh = yield* told
  return fresh._tag === "Fresh" ? fresh : yield* new ChildError({ message: `it told ${fresh._tag}` })
}))

const ascending = (values: ReadonlyArray<number>) => values.toSorted((left, right) => left - right)

/** In so many processes, one after the other. */
export const measureFresh = (processes: number): Effect.Effect<Fresh, ChildError> =>
  Effect.map(Effect.replicateEffect(once, processes), (all) => ({
    importing: ascending(all.map(({ importMillis }) => importMillis)),
    first: ascending(all.flatMap(({ startMillis }) => startMillis.slice(0, 1))),
    next: ascending(all.flatMap(({ startMillis }) => startMillis.slice(1)))
  }))
