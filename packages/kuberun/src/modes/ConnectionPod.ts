/**
 * The pod, or pods, behind one connection's session channels.
 */
import { Clock, Deferred, Effect, Scope, SubscriptionRef } from "effect"
import type { Config } from "../config/Config.ts"
import * as Metrics from "../Metrics.ts"
import type { PodRequest, PodSource } from "../pod/PodSource.ts"
import type { PodStartError } from "../pod/PodStartError.ts"
import type { RunningPod } from "../pod/RunningPod.ts"
import { Cluster } from "../ports/Cluster.ts"
import * as ExecLaunch from "../session/ExecLaunch.ts"
import type { SessionPod } from "../session/Launch.ts"

export interface ConnectionPod {
  /** What the next session channel gets. */
  readonly forSession: Effect.Effect<SessionPod>
  /**
   * The time from which `maxLifetime` counts, in milliseconds since 1970, once there is a pod: the user's pod's beginning
   * in mode `user`; in the others the connection's, whose pod it is, or whose pod nobody takes down.
   */
  readonly since: Effect.Effect<number>
  /** Completes when there is no pod (it failed to start) or no longer one (it ended from under its sessions). */
  readonly over: Effect.Effect<void>
}

/** Whose pod, and who is told what. */
export type ConnectionRequest = Omit<PodRequest, "activity">

/** A mode: what a connection gets when it opens. Nothing is waited for; channels do. */
export type Mode = (request: ConnectionRequest) => Effect.Effect<ConnectionPod, never, Cluster | Scope.Scope>

/** What a connection's pod is doing before the cluster says so. */
export const firstActivity = "asking for a pod"

/** A mode in which all channels of a connection are execs in one pod, which is asked for at once. */
export const shared = (config: Config, source: PodSource): Mode =>
  Effect.fn("ConnectionPod.shared")(function*(request: ConnectionRequest) {
    const cluster = yield* Cluster
    const activity = yield* SubscriptionRef.make(firstActivity)
    const started = yield* Deferred.make<RunningPod, PodStartError>()
    // Opened before the fiber that starts the pod, so that it closes after that: no request follows on the deletion.
    const podScope = yield* Scope.fork(yield* Effect.scope)
    yield* Metrics.podStart(source({ ...request, activity })).pipe(
      Effect.tap(({ ref }) => Effect.annotateLogs(Effect.logInfo("pod ready"), { pod: ref.name })),
      Effect.tapError((error) => Effect.annotateLogs(Effect.logWarning(error.message), { pod: error.pod })),
      Deferred.into(started),
      Scope.provide(podScope),
      Effect.forkScoped
    )
    const running = Deferred.await(started)
    const othersUseIt = config.pod.mode === "user" || config.pod.mode === "persistent"
    const pod: SessionPod = {
      name: Effect.gen(function*() {
        if (!(yield* Deferred.isDone(started))) return undefined
        return yield* Effect.match(running, { onSuccess: ({ ref }) => ref.name, onFailure: (error) => error.pod })
      }),
      activity,
      launch: (program, size) =>
        running.pipe(
          Effect.flatMap((ready) => ExecLaunch.launch(ready, program, size, { config, shared: othersUseIt, podScope })),
          Effect.provideService(Cluster, cluster)
        )
    }
    const openedAt = yield* Clock.currentTimeMillis
    return {
      forSession: Effect.succeed(pod),
      // A user's pod may have begun before; by the API server's clock, which need not be ours, no later than now.
      since: running.pipe(
        Effect.map(({ created }) => config.pod.mode === "user" ? Math.min(created ?? openedAt, openedAt) : openedAt),
        Effect.catch(() => Effect.never)
      ),
      over: running.pipe(Effect.flatMap(({ ended }) => ended), Effect.exit, Effect.asVoid)
    }
  })
