/**
 * The face of the library: SSH connections in, pods and programs behind them.
 */
import { Context, Effect, Layer, Ref, Stream } from "effect"
import { Cluster } from "./Cluster.ts"
import type { Config } from "./Config.ts"
import * as Connection from "./Connection.ts"
import type { PodRef } from "./Pod.ts"
import type { SshConnection } from "./Ssh.ts"

/** What is open now. */
export interface KuberunStatus {
  readonly connections: number
  /** Pods that were asked for and whose deletion is not yet through. */
  readonly pods: ReadonlyArray<PodRef>
}

/**
 * How long a client may take to open a channel and hear on it that there is no pod; then its connection, which is of
 * no use any more, is closed.
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
        const open = yield* Ref.make<ReadonlyMap<string, PodRef | undefined>>(new Map())
        const remember = (id: string, pod: PodRef | undefined) =>
          Ref.update(open, (before) => new Map(before).set(id, pod))
        const forget = (id: string) =>
          Ref.update(open, (before) => new Map([...before].filter(([other]) => other !== id)))

        return Kuberun.of({
          handle: (connection) =>
            remember(connection.id, undefined).pipe(
              Effect.andThen(serve(connection, config, (pod) => remember(connection.id, pod))),
              Effect.ensuring(forget(connection.id)),
              Effect.provideContext(context)
            ),
          status: Effect.map(Ref.get(open), (connections) => ({
            connections: connections.size,
            pods: [...connections.values()].flatMap((pod) => pod === undefined ? [] : [pod])
          }))
        })
      })
    )
}

const serve = Effect.fn("Kuberun.handle")(function*(
  connection: SshConnection,
  config: Config,
  onPod: (pod: PodRef) => Effect.Effect<void>
) {
  yield* Effect.scoped(Effect.gen(function*() {
    const opened = yield* Connection.open({
      connectionId: connection.id,
      username: connection.username,
      remoteAddress: connection.remoteAddress
    }, config)
    yield* onPod(opened.pod)
    const accept = Stream.runForEach(connection.sessions, opened.serve)
    const podOver = opened.podOver.pipe(Effect.andThen(Effect.sleep(farewell)), Effect.andThen(opened.idle))
    yield* Effect.raceAllFirst([accept, podOver, opened.crashed])
  }))
})
