/**
 * Which pod a session channel gets: the configured mode, with what it keeps running for all connections.
 */
import { Effect, type Scope } from "effect"
import type { Config } from "../config/Config.ts"
import * as Metrics from "../Metrics.ts"
import { ownPod, type PodRequest, type PodSource, randomPodName } from "../pod/PodSource.ts"
import * as PodPool from "../pool/PodPool.ts"
import { hasPool } from "../pool/PoolClasses.ts"
import type { Cluster } from "../ports/Cluster.ts"
import type { PodRef } from "../ports/Pod.ts"
import { type Mode, shared } from "./ConnectionPod.ts"
import * as PersistentPod from "./PersistentPod.ts"
import * as Replica from "./Replica.ts"
import * as SessionMode from "./SessionMode.ts"
import * as UserPods from "./UserPods.ts"

/** A mode that is ready for connections. */
export interface RunningMode {
  readonly open: Mode
  /** Pods that wait for connections and are this process's to delete when it ends. */
  readonly waiting: Effect.Effect<ReadonlyArray<PodRef>>
}

const nothingWaits = (open: Mode): RunningMode => ({ open, waiting: Effect.succeed([]) })

/** The mode of a configuration. What it keeps in the background, and in the cluster, ends with the scope. */
export const make = Effect.fn("PodMode.make")(function*(
  config: Config
): Effect.fn.Return<RunningMode, never, Cluster | Scope.Scope> {
  switch (config.pod.mode) {
    case "session":
      return nothingWaits(SessionMode.perSession(config))
    case "persistent":
      return nothingWaits(shared(config, PersistentPod.source(config)))
    case "user":
      return nothingWaits(shared(config, yield* UserPods.make(config, yield* Replica.make(config))))
    case "connection":
      return hasPool(config.pool) ? yield* pooled(config) : nothingWaits(shared(config, ownPod(config)))
  }
})

/** A pod of the pool's where one waits, else a new one. */
const pooled = Effect.fnUntraced(function*(config: Config) {
  const pool = yield* PodPool.make(config, yield* randomPodName(""))
  const own = ownPod(config)
  const source: PodSource = Effect.fnUntraced(function*(request: PodRequest) {
    return (yield* Metrics.poolClaim(pool.claim(request))) ?? (yield* own(request))
  })
  return { open: shared(config, source), waiting: pool.own } satisfies RunningMode
})
