/**
 * Which pod a session channel gets: the configured mode, with what it keeps running for all connections.
 */
import { Effect, type Scope } from "effect"
import type { Cluster } from "./Cluster.ts"
import type { Config } from "./Config.ts"
import { type Mode, shared } from "./ConnectionPod.ts"
import { ownPod } from "./PodSource.ts"

/** The mode of a configuration. What it keeps in the background, and in the cluster, ends with the scope. */
export const make = Effect.fn("PodMode.make")(function*(
  config: Config
): Effect.fn.Return<Mode, never, Cluster | Scope.Scope> {
  return yield* Effect.succeed(shared(config, ownPod(config)))
})
