/**
 * The face of the library: SSH connections in, pods and programs behind them.
 */
import { Config, Context, Effect, Layer, Ref, Stream } from "effect"
import type { Config as KuberunConfig } from "./config/Config.ts"
import * as Connection from "./Connection.ts"
import * as Metrics from "./Metrics.ts"
import type { ConnectionPod, Mode } from "./modes/ConnectionPod.ts"
import * as PodMode from "./modes/PodMode.ts"
import * as PodLedger from "./pod/PodLedger.ts"
import { idleTimeout } from "./policy/IdleTimeout.ts"
import { maxLifetime } from "./policy/MaxLifetime.ts"
import { apply, type ConnectionHandler, type Policy } from "./policy/Policy.ts"
import { Cluster } from "./ports/Cluster.ts"
import { identityOf } from "./ports/Identity.ts"
import type { PodRef } from "./ports/Pod.ts"
import type { SshConnection } from "./ports/Ssh.ts"
import { trace } from "./Tracing.ts"

/** What is open now. */
export interface KuberunStatus {
  readonly connections: number
  /**
   * Pods that were asked for and whose deletion is not through, whether it is still to come or has failed: of
   * connections, and of the pool as far as this process made them.
   */
  readonly pods: ReadonlyArray<PodRef>
}

/**
 * How long a client may take to open a channel and hear on it that there is no pod, and again until its last channel is
 * closed; then its connection, which is of no use any more, is.
 */
const farewell = "10 seconds"

/** Serves SSH connections with pods. */
export class Kuberun extends Context.Service<Kuberun, {
  /**
   * Serves one authenticated connection: asks for its pod at once, runs a program in it for each session channel, and
   * completes when the connection is gone, or its pod is and its sessions have been told. In every case, also when it
   * is interrupted or crashes, its programs have ended and its pod, where it is the connection's own, was deleted (or
   * that was given up within the configured `timeout`, and logged) before it completes.
   *
   * It is the innermost handler for policies: `apply(kuberun.handle, maxSessions(4))`.
   */
  readonly handle: ConnectionHandler
  readonly status: Effect.Effect<KuberunStatus>
}>()("kuberun/Kuberun") {
  /**
   * The library over a `Cluster`, with one configuration for all connections. What a mode keeps for all of them (the
   * pool, this replica's Lease, pods that linger) is given back when the layer's scope closes.
   */
  static readonly layer = (config: KuberunConfig): Layer.Layer<Kuberun, never, Cluster> =>
    Layer.effect(Kuberun, make(config))

  /**
   * The same with a configuration from Effect's `Config`, read when the layer is built: `configFrom()` takes all of it
   * from the `ConfigProvider`.
   */
  static readonly layerConfig = (
    config: Config.Wrap<KuberunConfig>
  ): Layer.Layer<Kuberun, Config.ConfigError, Cluster> =>
    Layer.effect(Kuberun, Effect.flatMap(Config.unwrap(config), make))
}

const make = Effect.fnUntraced(function*(config: KuberunConfig) {
  const cluster = yield* Cluster
  const mode = yield* PodMode.make(config)
  const connections = yield* Ref.make(0)
  const ledger = yield* PodLedger.make
  const handle: ConnectionHandler = (connection) =>
    Effect.acquireUseRelease(
      Ref.update(connections, (count) => count + 1),
      () => serve(connection, config, mode.open, ledger),
      () => Ref.update(connections, (count) => count - 1)
    ).pipe(Effect.provideService(Cluster, cluster))
  return Kuberun.of({
    handle: apply(handle, trace, Metrics.observe),
    status: Effect.all({
      connections: Ref.get(connections),
      pods: Effect.map(Effect.all([ledger.pods, mode.waiting]), (pods) => pods.flat())
    })
  })
})

/** The limits in time that are configured. A user's pod has a beginning of its own. */
const limits = (config: KuberunConfig, pod: ConnectionPod): ReadonlyArray<Policy> => {
  const { idleTimeout: idle, maxLifetime: longest, warning } = config.pod
  return [
    ...longest === undefined ? [] : [maxLifetime({ after: longest, warning, since: () => pod.since })],
    ...idle === undefined ? [] : [idleTimeout({ after: idle, warning })]
  ]
}

const serve = Effect.fn("Kuberun.handle")(function*(
  connection: SshConnection,
  config: KuberunConfig,
  mode: Mode,
  ledger: PodLedger.PodLedger
) {
  yield* Effect.scoped(Effect.gen(function*() {
    const opened = yield* Connection.open(config, mode, { identity: identityOf(connection), ...ledger })
    const accept: ConnectionHandler = ({ sessions }) => Stream.runForEach(sessions, opened.serve)
    const podOver = opened.pod.over.pipe(
      Effect.andThen(Effect.sleep(farewell)),
      Effect.andThen(Effect.timeoutOption(opened.idle, farewell))
    )
    yield* Effect.raceAllFirst([
      apply(accept, ...limits(config, opened.pod))(connection),
      podOver,
      opened.crashed
    ])
  }))
})
