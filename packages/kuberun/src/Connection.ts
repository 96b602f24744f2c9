/**
 * One SSH connection: its pod and its session channels, in one scope.
 */
import { Deferred, Effect, type Fiber, FiberSet, Scope, SubscriptionRef } from "effect"
import { Cluster } from "./Cluster.ts"
import type { Config } from "./Config.ts"
import * as ExecLaunch from "./ExecLaunch.ts"
import type { Identity } from "./Identity.ts"
import type { SessionPod } from "./Launch.ts"
import type { PodRequest, PodSource } from "./PodSource.ts"
import type { PodStartError } from "./PodStartError.ts"
import type { RunningPod } from "./RunningPod.ts"
import * as Session from "./Session.ts"
import type { SessionChannel } from "./Ssh.ts"

/** A connection whose pod was asked for. */
export interface Connection {
  /** Begins to serve a session channel. The fiber ends when the channel is closed, or with the connection's scope. */
  readonly serve: (channel: SessionChannel) => Effect.Effect<Fiber.Fiber<void>>
  /** Completes as soon as no channel is open. */
  readonly idle: Effect.Effect<void>
  /** Dies when the serving of a channel died: a connection with a defect in it is not to be relied on any more. */
  readonly crashed: Effect.Effect<void>
  /** Completes when there is no pod (it failed to start) or no longer one (it ended from under its sessions). */
  readonly podOver: Effect.Effect<void>
}

/**
 * Asks for the connection's pod, and does not wait for it: session channels do. When the scope closes, the programs of
 * all channels are ended and the pod is deleted; `onLeftBehind` is told where that failed.
 */
export const open = Effect.fn("Connection.open")(function*(
  identity: Identity,
  config: Config,
  source: PodSource,
  listener: Pick<PodRequest, "onPod" | "onLeftBehind"> = { onPod: () => Effect.void, onLeftBehind: () => Effect.void }
): Effect.fn.Return<Connection, never, Cluster | Scope.Scope> {
  const annotations = { connectionId: identity.connectionId, user: identity.username }
  const cluster = yield* Cluster
  const activity = yield* SubscriptionRef.make("asking for a pod")
  const started = yield* Deferred.make<RunningPod, PodStartError>()

  // Opened before the fiber that starts the pod, so that it closes after that: no request follows on the deletion.
  const podScope = yield* Scope.fork(yield* Effect.scope)
  yield* source({ identity, activity, ...listener }).pipe(
    Effect.tap(({ ref }) => Effect.annotateLogs(Effect.logInfo("pod ready"), { pod: ref.name })),
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Deferred.into(started),
    Effect.annotateLogs(annotations),
    Scope.provide(podScope),
    Effect.forkScoped
  )
  const shared = config.pod.mode === "user" || config.pod.mode === "persistent"
  const pod: SessionPod = {
    activity,
    launch: (program, size) =>
      Deferred.await(started).pipe(
        Effect.flatMap((running) => ExecLaunch.launch(running, program, size, { shared })),
        Effect.provideService(Cluster, cluster)
      )
  }

  // After the pod in the scope, so that programs end before it is deleted.
  const sessions = yield* FiberSet.make<void, never>()

  return {
    serve: (channel) =>
      Session.serve(channel, pod, config.pod).pipe(
        Effect.annotateLogs({ ...annotations, channel: channel.id }),
        (serving) => FiberSet.run(sessions, serving)
      ),
    idle: FiberSet.awaitEmpty(sessions),
    crashed: FiberSet.join(sessions),
    podOver: Deferred.await(started).pipe(
      Effect.flatMap((running) => running.ended),
      Effect.exit,
      Effect.asVoid
    )
  }
})
