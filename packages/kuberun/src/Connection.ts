/**
 * One SSH connection: its pod and its session channels, in one scope.
 */
import { Effect, type Fiber, FiberSet, type Scope } from "effect"
import type { Config } from "./config/Config.ts"
import type { ConnectionPod, ConnectionRequest, Mode } from "./modes/ConnectionPod.ts"
import type { Cluster } from "./ports/Cluster.ts"
import type { SessionChannel } from "./ports/Ssh.ts"
import * as Session from "./session/Session.ts"

/** A connection whose pod was asked for. */
export interface Connection {
  /** Begins to serve a session channel. The fiber ends when the channel is closed, or with the connection's scope. */
  readonly serve: (channel: SessionChannel) => Effect.Effect<Fiber.Fiber<void>>
  /** Completes as soon as no channel is open. */
  readonly idle: Effect.Effect<void>
  /** Dies when the serving of a channel died: a connection with a defect in it is not to be relied on any more. */
  readonly crashed: Effect.Effect<void>
  readonly pod: ConnectionPod
}

/**
 * Asks for the connection's pod, and does not wait for it: session channels do. When the scope closes, the programs of
 * all channels are ended and then the pod, where it is the connection's own, is deleted.
 */
export const open = Effect.fn("Connection.open")(function*(
  config: Config,
  mode: Mode,
  request: ConnectionRequest
): Effect.fn.Return<Connection, never, Cluster | Scope.Scope> {
  const { identity } = request
  const annotations = {
    connectionId: identity.connectionId,
    user: identity.username,
    namespace: config.pod.namespace
  }
  const pod = yield* Effect.annotateLogs(mode(request), annotations)
  // After the pod in the scope, so that programs end before it is deleted.
  const sessions = yield* FiberSet.make<void, never>()
  return {
    serve: (channel) =>
      pod.forSession.pipe(
        Effect.flatMap((sessionPod) => Session.serve(channel, sessionPod, config.pod, identity)),
        Effect.annotateLogs({ ...annotations, channel: channel.id }),
        (serving) => FiberSet.run(sessions, serving)
      ),
    idle: FiberSet.awaitEmpty(sessions),
    crashed: FiberSet.join(sessions),
    pod
  }
})
