/**
 * kuberun v0.9.3's own shape: a handler for one network connection, driven by calls.
 *
 * `make` is its `New(client, connectionID, config, logger)`; the logger is Effect's. For a server of one's own that
 * already has an `SshConnection`, `Kuberun.layer` is simpler.
 */
import { Effect, Exit, Fiber, Ref, Schema, Scope } from "effect"
import { type AuthenticationResponse, unavailable } from "./Authentication.ts"
import type { Cluster } from "./Cluster.ts"
import type { Config } from "./Config.ts"
import * as Connection from "./Connection.ts"
import type { Identity } from "./Identity.ts"
import * as PodMode from "./PodMode.ts"
import type { SessionChannel } from "./Ssh.ts"

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

/** Who is told of pods: nobody, the log has them. */
const nobody = { onPod: () => Effect.void, onLeftBehind: () => Effect.void }

/** A handler for one connection. Nothing is created before `onHandshakeSuccess`. */
export const make = Effect.fn("Handler.make")(function*(
  client: ClientAddress,
  connectionId: string,
  config: Config
): Effect.fn.Return<NetworkConnectionHandler, never, Cluster> {
  const context = yield* Effect.context<Cluster>()
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
    const identity: Identity = {
      connectionId,
      username,
      remoteAddress: client.address,
      remotePort: client.port,
      localAddress: "",
      localPort: 0,
      metadata: {}
    }
    const connection = yield* PodMode.make(config).pipe(
      Effect.flatMap((mode) => Connection.open(config, mode, { identity, ...nobody })),
      Scope.provide(scope),
      Effect.provideContext(context)
    )
    return {
      onSessionChannel: (channel) =>
        Effect.flatMap(
          connection.serve(channel),
          (fiber) => Fiber.join(fiber).pipe(Effect.onInterrupt(() => Fiber.interrupt(fiber)))
        )
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
