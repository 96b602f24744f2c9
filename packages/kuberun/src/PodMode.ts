/**
 * Which pod a session channel gets: the configured mode, with what it keeps running for all connections.
 */
import { Effect, type Scope } from "effect"
import type { Cluster } from "./Cluster.ts"
import type { Config } from "./Config.ts"
import { ownPod, type PodSource } from "./PodSource.ts"

/** The source of pods for a configuration. What it keeps in the background, and in the cluster, ends with the scope. */
export const make = (config: Config): Effect.Effect<PodSource, never, Cluster | Scope.Scope> =>
  Effect.succeed(ownPod(config))
