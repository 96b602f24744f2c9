/**
 * The holds of a replica on pods that others hold as well, and what they have in common.
 */
import { Deferred, Duration, Effect, RcMap, Ref, Scope, Semaphore } from "effect"
import type { Config } from "../config/Config.ts"
import type { PodRef } from "../ports/Pod.ts"
import { holderValue } from "./Holders.ts"
import type { Linger } from "./Linger.ts"
import type { Replica } from "./Replica.ts"

/** How far a hold has come. */
export type HoldState =
  | { readonly _tag: "Taking" }
  | { readonly _tag: "Held"; readonly uid: string }
  | { readonly _tag: "Leaving" }

/** A hold of this replica's, from before its first request until after its last. */
export interface Hold {
  readonly key: string
  readonly ref: PodRef
  readonly state: Ref.Ref<HoldState>
  /** Whoever changes the hold in the cluster, after it was taken. */
  readonly lock: Semaphore.Semaphore
}

/** What the holds of a replica have in common. */
export interface Holds {
  readonly config: Config
  readonly replica: Replica
  readonly linger: Linger
  /** By the annotation's key. */
  readonly open: Ref.Ref<ReadonlyMap<string, Hold>>
  /**
   * Looks at the pod of this name and changes it in the state that was seen, one of this replica's connections after the
   * other: among many that come at once each would change it under the others, and but for one they would look in vain.
   */
  readonly inTurn: <A, E, R>(name: string, step: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** A text that no release of any replica's before had. */
  readonly newRelease: Effect.Effect<string>
  /** What this replica writes as the value of its holders now. */
  readonly value: Effect.Effect<string>
}

/** A step that takes longer, since a call is not answered, does not keep the others waiting. */
const turnPatience = Duration.seconds(10)

export const make = Effect.fn("PodHolds.make")(function*(
  config: Config,
  replica: Replica,
  linger: Linger
): Effect.fn.Return<Holds, never, Scope.Scope> {
  const turns = yield* RcMap.make({ lookup: (_name: string) => Semaphore.make(1) })
  const awaitTurn = Effect.fnUntraced(function*(name: string) {
    const turn = yield* RcMap.get(turns, name)
    const begun = yield* Deferred.make<void>()
    yield* Deferred.succeed(begun, undefined).pipe(
      Effect.andThen(Effect.sleep(turnPatience)),
      turn.withPermits(1),
      Effect.forkScoped
    )
    yield* Deferred.await(begun)
  })
  const count = yield* Ref.make(0)
  return {
    config,
    replica,
    linger,
    open: yield* Ref.make<ReadonlyMap<string, Hold>>(new Map()),
    inTurn: (name, step) => Effect.scopedWith((scope) => Effect.andThen(Scope.provide(awaitTurn(name), scope), step)),
    newRelease: Effect.map(Ref.updateAndGet(count, (before) => before + 1), (place) => `${replica.id}-${place}`),
    value: Effect.map(replica.leased, (leased) => holderValue(replica.id, leased))
  }
})
