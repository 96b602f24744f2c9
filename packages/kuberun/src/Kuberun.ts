/**
 * The face of the library: SSH connections in, pods and programs behind them.
 */
import { Context, Effect, Layer, Ref, Stream } from "effect"
import type { Cluster } from "./Cluster.ts"
import type { Config } from "./Config.ts"
import * as Connection from "./Connection.ts"
import type { Mode } from "./ConnectionPod.ts"
import { identityOf } from "./Identity.ts"
import type { PodRef } from "./Pod.ts"
import * as PodLedger from "./PodLedger.ts"
import * as PodMode from "./PodMode.ts"
import type { SshConnection } from "./Ssh.ts"

/** What is open now. */
export interface KuberunStatus {
  readonly connections: number
  /** Pods that were asked for and whose deletion is not through, whether it is still to come or has failed. */
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
   * is interrupted or crashes, its programs have ended and its pod was deleted (or that was given up within the
   * configured `timeout`, and logged) before it completes.
   */
  readonly handle: (connection: SshConnection) => Effect.Effect<void>
  readonly status: Effect.Effect<KuberunStatus>
}>()("kuberun/Kuberun") {
  /** The library over a `Cluster`, with one configuration for all connections. */
  static readonly layer = (config: Config): Layer.Layer<Kuberun, never, Cluster> =>
    Layer.effect(
      Kuberun,
      Effect.gen(function*() {
        const context = yield* Effect.context<Cluster>()
        const mode = yield* PodMode.make(config)
        const connections = yield* Ref.make(0)
        const ledger = yield* PodLedger.make
        return Kuberun.of({
          handle: (connection) =>
            Effect.acquireUseRelease(
              Ref.update(connections, (count) => count + 1),
              () => serve(connection, config, mode, ledger),
              () => Ref.update(connections, (count) => count - 1)
            ).pipe(Effect.provideContext(context)),
          status: Effect.all({ connections: Ref.get(connections), pods: ledger.pods })
        })
      })
    )
}

const serve = Effect.fn("Kuberun.handle")(function*(
  connection: SshConnection,
  config: Config,
  mode: Mode,
  ledger: PodLedger.PodLedger
) {
  yield* Effect.scoped(Effect.gen(function*() {
    const opened = yield* Connection.open(config, mode, { identity: identityOf(connection), ...ledger })
    const accept = Stream.runForEach(connection.sessions, opened.serve)
    const podOver = opened.pod.over.pipe(
      Effect.andThen(Effect.sleep(farewell)),
      Effect.andThen(Effect.timeoutOption(opened.idle, farewell))
    )
    yield* Effect.raceAllFirst([accept, podOver, opened.crashed])
  }))
})
