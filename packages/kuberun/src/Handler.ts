/**
 * kuberun v0.9.3's own shape: a handler for one network connection, driven by calls.
 *
 * `make` is its `New(client, connectionID, config, logger)`; the logger is Effect's. For a server of one's own that
 * already has an `SshConnection`, `Kuberun.layer` is simpler.
 */
import { type Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Queue, Ref, Schema, Scope, Stream } from "effect"
import type { Config } from "./config/Config.ts"
import { Kuberun } from "./Kuberun.ts"
import { type AuthenticationResponse, unavailable } from "./ports/Authentication.ts"
import { Cluster } from "./ports/Cluster.ts"
import type { SessionChannel, SshConnection } from "./ports/Ssh.ts"

/** A second handshake on one connection, or one after its end. */
export class HandshakeRefused extends Schema.TaggedError<HandshakeRefused>()("HandshakeRefused", {
  message: Schema.String
}) {}

/** The client's address. */
export interface ClientAddress {
  readonly address: string
  readonly port: number
}

/** An authenticated connection. */
export interface SshConnectionHandler {
  /** Serves the channel until it is closed. Any number at once. */
  readonly onSessionChannel: (channel: SessionChannel) => Effect.Effect<void>
}

/** One network connection, from its acceptance on. Its calls may come in any order and never hang on one another. */
export interface NetworkConnectionHandler {
  readonly onAuthPassword: (username: string, password: Uint8Array) => Effect.Effect<AuthenticationResponse>
  readonly onAuthPubKey: (username: string, publicKey: string) => Effect.Effect<AuthenticationResponse>
  readonly onAuthKeyboardInteractive: (username: string) => Effect.Effect<AuthenticationResponse>
  readonly onHandshakeFailed: (reason: string) => Effect.Effect<void>
  /** Asks for the pod and does not wait for it: session channels do. Once only. */
  readonly onHandshakeSuccess: (username: string) => Effect.Effect<SshConnectionHandler, HandshakeRefused>
  /** Ends all programs and deletes the pod; completes when that is through. A second call has no effect. */
  readonly onDisconnect: Effect.Effect<void>
}

type HandlerState =
  | { readonly _tag: "Waiting" }
  | { readonly _tag: "Open"; readonly scope: Scope.Closeable }
  | { readonly _tag: "Disconnected" }

/** Channels that were opened and not yet taken up: each is taken up at once. */
const mostWaiting = 16

/** The channel as its connection's handler sees it: closed for it when `given up`, though the client's end is open. */
const until = (channel: SessionChannel, givenUp: Effect.Effect<void>): SessionChannel => ({
  ...channel,
  requests: Stream.interruptWhen(channel.requests, givenUp),
  closed: Effect.raceFirst(channel.closed, givenUp)
})

/**
 * A handler for one connection. Nothing is created before `onHandshakeSuccess`. What a mode keeps for all connections
 * (a pool, Leases) is this connection's alone here: a server with such a mode has one `Kuberun.layer` for all.
 */
export const make = Effect.fn("Handler.make")(function*(
  client: ClientAddress,
  connectionId: string,
  config: Config
): Effect.fn.Return<NetworkConnectionHandler, never, Cluster> {
  const cluster = yield* Cluster
  const state = yield* Ref.make<HandlerState>({ _tag: "Waiting" })

  const onHandshakeSuccess = Effect.fnUntraced(function*(username: string) {
    const scope = yield* Scope.make()
    const before = yield* Ref.getAndUpdate(
      state,
      (now): HandlerState => now._tag === "Waiting" ? { _tag: "Open", scope } : now
    )
    if (before._tag !== "Waiting") {
      return yield* new HandshakeRefused({
        message: before._tag === "Open" ? "handshake already complete" : "the connection has ended"
      })
    }
    const sessions = yield* Queue.bounded<SessionChannel, Cause.Done>(mostWaiting)
    const connection: SshConnection = {
      id: connectionId,
      username,
      remoteAddress: client.address,
      remotePort: client.port,
      localAddress: "",
      localPort: 0,
      clientVersion: "",
      metadata: {},
      sessions: Stream.fromQueue(sessions)
    }
    const kuberun = yield* Layer.buildWithScope(Kuberun.layer(config), scope).pipe(
      Effect.provideService(Cluster, cluster)
    )
    const handling = yield* Context.get(kuberun, Kuberun).handle(connection).pipe(
      Effect.ensuring(Queue.shutdown(sessions)),
      Effect.forkIn(scope, { startImmediately: true })
    )
    return {
      onSessionChannel: Effect.fnUntraced(function*(channel) {
        const givenUp = yield* Deferred.make<void>()
        yield* Queue.offer(sessions, until(channel, Deferred.await(givenUp))).pipe(
          Effect.andThen(channel.closed),
          Effect.raceFirst(Effect.exit(Fiber.join(handling))),
          Effect.ensuring(Deferred.succeed(givenUp, undefined))
        )
      })
    } satisfies SshConnectionHandler
  }, Effect.uninterruptible)

  return {
    onAuthPassword: () => Effect.succeed(unavailable),
    onAuthPubKey: () => Effect.succeed(unavailable),
    onAuthKeyboardInteractive: () => Effect.succeed(unavailable),
    onHandshakeFailed: (reason) => Effect.logDebug(`handshake failed: ${reason}`),
    onHandshakeSuccess,
    onDisconnect: Ref.getAndSet(state, { _tag: "Disconnected" }).pipe(
      Effect.flatMap((before) => before._tag === "Open" ? Scope.close(before.scope, Exit.void) : Effect.void)
    )
  }
})
