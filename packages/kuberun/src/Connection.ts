/**
 * One SSH connection: its pod and its session channels, in one scope.
 */
import { Deferred, Effect, type Fiber, FiberSet, Random, Scope, SubscriptionRef } from "effect"
import type { Cluster } from "./Cluster.ts"
import { type Config, consoleContainer } from "./Config.ts"
import type { PodRef } from "./Pod.ts"
import * as PodLifetime from "./PodLifetime.ts"
import type { PodStartError } from "./PodStartError.ts"
import { podManifest, type PodOwner } from "./PodTemplate.ts"
import * as Session from "./Session.ts"
import type { SessionChannel } from "./Ssh.ts"

/** A connection whose pod was asked for. */
export interface Connection {
  readonly pod: PodRef
  /** Begins to serve a session channel. The fiber ends when the channel is closed, or with the connection's scope. */
  readonly serve: (channel: SessionChannel) => Effect.Effect<Fiber.Fiber<void>>
  /** Completes as soon as no channel is open. */
  readonly idle: Effect.Effect<void>
  /** Dies when the serving of a channel died: a connection with a defect in it is not to be relied on any more. */
  readonly crashed: Effect.Effect<void>
  /** Completes when there is no pod (it failed to start) or no longer one (it ended from under its sessions). */
  readonly podOver: Effect.Effect<void>
}

/** Kubernetes' own alphabet for generated names: no vowels, so that no words appear. */
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789"
const nameSuffixLength = 20

const randomPodName = Random.nextIntBetween(0, nameAlphabet.length, { halfOpen: true }).pipe(
  Effect.replicateEffect(nameSuffixLength),
  Effect.map((places) => `kuberun-${places.map((place) => nameAlphabet[place]).join("")}`)
)

/**
 * Asks for the connection's pod, and does not wait for it: session channels do. When the scope closes, the programs of
 * all channels are ended and the pod is deleted; `onLeftBehind` is told where that failed.
 */
export const open = Effect.fn("Connection.open")(function*(
  owner: PodOwner,
  config: Config,
  onLeftBehind: (pod: PodRef) => Effect.Effect<void> = () => Effect.void
): Effect.fn.Return<Connection, never, Cluster | Scope.Scope> {
  const name = yield* randomPodName
  const manifest = podManifest(config, owner, name)
  const ref: PodRef = { namespace: manifest.metadata.namespace, name }
  const annotations = {
    connectionId: owner.connectionId,
    user: owner.username,
    pod: ref.name,
    namespace: ref.namespace
  }
  const context = yield* Effect.context<Cluster>()
  const activity = yield* SubscriptionRef.make("asking for a pod")
  const started = yield* Deferred.make<PodLifetime.RunningPod, PodStartError>()

  // Opened before the fiber that starts the pod, so that it closes after that: no request follows on the deletion.
  const podScope = yield* Scope.fork(yield* Effect.scope)
  yield* PodLifetime.acquire({
    manifest,
    container: consoleContainer(config.pod).name,
    timeout: config.timeout,
    onLeftBehind: onLeftBehind(ref),
    activity
  }).pipe(
    Effect.tap(() => Effect.logInfo("pod ready")),
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Deferred.into(started),
    Effect.annotateLogs(annotations),
    Scope.provide(podScope),
    Effect.forkScoped
  )

  // After the pod in the scope, so that programs end before it is deleted.
  const sessions = yield* FiberSet.make<void, never>()

  return {
    pod: ref,
    serve: (channel) =>
      Session.serve(channel, { running: Deferred.await(started), activity }, config.pod).pipe(
        Effect.annotateLogs({ ...annotations, channel: channel.id }),
        Effect.provideContext(context),
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
