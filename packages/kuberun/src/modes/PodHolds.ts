/**
 * The holds of a replica on pods that others hold as well, and what they have in common.
 */
import { Effect, Ref, type Semaphore } from "effect"
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
  /** A text that no release of any replica's before had. */
  readonly newRelease: Effect.Effect<string>
  /** What this replica writes as the value of its holders now. */
  readonly value: Effect.Effect<string>
}

export const make = Effect.fn("PodHolds.make")(function*(config: Config, replica: Replica, linger: Linger) {
  const count = yield* Ref.make(0)
  return {
    config,
    replica,
    linger,
    open: yield* Ref.make<ReadonlyMap<string, Hold>>(new Map()),
    newRelease: Effect.map(Ref.updateAndGet(count, (before) => before + 1), (place) => `${replica.id}-${place}`),
    value: Effect.map(replica.leased, (leased) => holderValue(replica.id, leased))
  } satisfies Holds
})
