/** How the cluster's own parts follow its state: list, then watch, and list again after a loss. */
import { Effect, type Scope } from "effect"
import { type Change, type Store } from "./Store.ts"

export interface Observer {
  /** Compares everything that is there with what is known; runs first, and after changes were lost. */
  readonly relist: Effect.Effect<void>
  /** One change. Must only start and signal fibers, so that it does not fall behind. */
  readonly change: (change: Change) => Effect.Effect<void>
}

/** Follows the store for as long as the scope. What was written before the first listing is seen by it. */
export const inform = (store: Store, { change, relist }: Observer): Effect.Effect<void, never, Scope.Scope> => {
  const session = Effect.scoped(Effect.gen(function*() {
    const feed = yield* store.follow(yield* store.version)
    yield* relist
    // One object that is not understood must not hide the others.
    const safe = (one: Change) =>
      Effect.catchCause(change(one), (cause) => Effect.logError("a change could not be followed", cause))
    const next = Effect.flatMap(feed.next, (changes) => Effect.forEach(changes, safe, { discard: true }))
    return yield* Effect.forever(next)
  }))
  return Effect.asVoid(Effect.forkScoped(Effect.forever(Effect.ignore(session))))
}
