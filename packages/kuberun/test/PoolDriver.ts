/** Replicas with a pool over one cluster in memory, and connections that claim from them. */
import { Time } from "@kuberun/testkit"
import { Effect, Exit, type Fiber, Logger, Scope, SubscriptionRef } from "effect"
import { Cluster, type Config, decodeConfig, type Pod, type PodRef } from "kuberun"
import * as PodLedger from "../src/pod/PodLedger.ts"
import type { PodRequest } from "../src/pod/PodSource.ts"
import type { RunningPod } from "../src/pod/RunningPod.ts"
import * as PodPool from "../src/pool/PodPool.ts"
import { poolKey } from "../src/template/Labels.ts"

export const poolConfig = (pool: unknown, more: Record<string, unknown> = {}): Effect.Effect<Config> =>
  Effect.orDie(decodeConfig({ ...more, pool }))

export interface FakeReplica {
  readonly pool: PodPool.PodPool
  readonly drain: Effect.Effect<void>
}

/** A replica of the service, as far as the pool goes. */
export const startReplica = Effect.fn(function*(config: Config, id: string) {
  const scope = yield* Scope.make()
  const pool = yield* Scope.provide(PodPool.make(config, id), scope)
  return { pool, drain: Scope.close(scope, Exit.void) } satisfies FakeReplica
})

export const identity = (connectionId: string, username: string): PodRequest["identity"] => ({
  connectionId,
  username,
  remoteAddress: "192.0.2.1",
  remotePort: 1,
  localAddress: "",
  localPort: 0,
  metadata: {}
})

export interface FakeClaim {
  readonly fiber: Fiber.Fiber<RunningPod | undefined, unknown>
  /** The name of the pod that was got, as soon as it was. */
  readonly got: Effect.Effect<string | undefined>
  /** Pods whose deletion is this connection's duty. */
  readonly owed: Effect.Effect<ReadonlyArray<PodRef>>
  /** Ends the connection: as `ConnectionPod` does, the claim first. */
  readonly close: Effect.Effect<void>
}

/** A connection that claims a pod. */
export const connect = Effect.fn(function*(pool: PodPool.PodPool, connectionId: string, username = "alice") {
  const cluster = yield* Cluster
  const scope = yield* Scope.make()
  const podScope = yield* Scope.fork(scope)
  const activity = yield* SubscriptionRef.make("")
  const ledger = yield* PodLedger.make
  const request: PodRequest = {
    identity: identity(connectionId, username),
    activity,
    ...ledger
  }
  const fiber = yield* pool.claim(request).pipe(
    Scope.provide(podScope),
    Effect.provideService(Cluster, cluster),
    Effect.forkIn(scope, { startImmediately: true })
  )
  return {
    fiber,
    got: Effect.sync(() => {
      const exit = fiber.pollUnsafe()
      return exit !== undefined && Exit.isSuccess(exit) ? exit.value?.ref.name : undefined
    }),
    owed: ledger.pods,
    close: Scope.close(scope, Exit.void)
  } satisfies FakeClaim
})

export const freeOf = (pods: ReadonlyArray<Pod>, poolClass = "default"): ReadonlyArray<Pod> =>
  pods.filter(({ metadata }) => metadata.labels?.[poolKey] === poolClass)

export const names = (pods: ReadonlyArray<Pod>): ReadonlyArray<string> =>
  pods.map(({ metadata }) => metadata.name).toSorted()

/** Writes down what is logged for people to read. */
export const logTo = (told: Array<string>) =>
  Logger.layer([
    Logger.make(({ logLevel, message }) => {
      if (logLevel !== "Debug") told.push(`${logLevel}: ${String(message)}`)
    })
  ])

/** Until a pool of a few pods is full. */
export const untilFull = Time.pass("20 seconds")
