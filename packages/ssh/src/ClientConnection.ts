/**
 * One client from the TCP accept to the closed socket: login, then the handler, in scopes that end with it.
 */
import { Clock, Effect, FiberSet, Option, Queue, type Scope, Stream } from "effect"
import type { Authenticator, SshConnection } from "kuberun"
import type { Socket } from "node:net"
import * as Link from "./Link.ts"
import { clientAlive, freshKeys } from "./Liveness.ts"
import { DisconnectReason, MessageNumber } from "./Messages.ts"
import * as Multiplexer from "./Multiplexer.ts"
import type { TransportServer } from "./Ssh2Guards.ts"
import type { SshLimits } from "./SshLimits.ts"
import * as UserAuth from "./UserAuth.ts"

export type ConnectionHandler<R> = (connection: SshConnection) => Effect.Effect<void, never, R | Scope.Scope>

/**
 * Completes when the client is gone, the handler's scope is closed and the socket too. Interruption ends it in that
 * order: handler, its finalizers, goodbye, socket.
 */
export const serve = <R>(options: {
  readonly id: string
  readonly socket: Socket
  readonly server: TransportServer
  readonly limits: SshLimits
  readonly authenticator: Authenticator["Service"]
  readonly handler: ConnectionHandler<R>
  /** The client logged in, or is gone: it no longer counts as starting up. Called once. */
  readonly onStarted: () => void
}): Effect.Effect<void, never, Exclude<R, Scope.Scope>> => {
  const { authenticator, handler, id, limits, socket } = options
  const remoteAddress = (socket.remoteAddress ?? "").replace(/^::ffff:/, "")
  const remotePort = socket.remotePort ?? 0
  const localAddress = (socket.localAddress ?? "").replace(/^::ffff:/, "")
  const localPort = socket.localPort ?? 0

  return Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const background = yield* FiberSet.make()
    const fork = yield* FiberSet.runtime(background)()
    const logins = yield* Queue.bounded<Uint8Array>(UserAuth.maximumPipelined)
    let authenticated = false

    const violation = (what: string) => link.disconnect(DisconnectReason.protocolError, `protocol error: ${what}`)

    const link = Link.make({
      server: options.server,
      socket,
      limits,
      now: () => clock.currentTimeMillisUnsafe(),
      onMessage: (payload) => {
        const type = payload[0] ?? 0
        if (type === MessageNumber.userauthRequest) {
          // RFC 4252 §5.3: requests to log in that come after the success are ignored.
          if (!authenticated && !Queue.offerUnsafe(logins, payload)) violation("too many requests to log in at once")
          return true
        }
        if (type < MessageNumber.globalRequest) return false
        if (authenticated) return multiplexer.onMessage(payload)
        violation("it has to log in first")
        return true
      },
      onEnd: () => multiplexer.end()
    })

    const multiplexer = Multiplexer.make(limits, {
      ...link,
      violation,
      afterGrace: (callback) => fork(Effect.delay(Effect.sync(callback), limits.closeGrace))
    })

    yield* Effect.addFinalizer(() => link.close(limits.closeGrace))
    // The socket goes when the client does, however long the handler cleans up.
    fork(Effect.andThen(link.ended, link.close(limits.closeGrace)))

    const login = Effect.gen(function*() {
      const clientVersion = yield* link.identified
      const { metadata, username } = yield* UserAuth.login({
        take: Queue.take(logins),
        authenticator,
        connection: { connectionId: id, remoteAddress, remotePort },
        maxAuthTries: limits.maxAuthTries,
        link: {
          ...link,
          onAuthenticated: () => {
            authenticated = true
          }
        }
      })
      return { clientVersion, metadata, username }
    })

    const user = yield* Effect.raceFirst(login, Effect.as(link.ended, undefined)).pipe(
      Effect.timeoutOption(limits.loginGraceTime)
    )
    options.onStarted()
    if (Option.isNone(user)) link.disconnect(DisconnectReason.byApplication, "Timeout before authentication")
    if (Option.isNone(user) || user.value === undefined) return yield* Effect.logDebug(`no login: ${link.endReason()}`)

    const connection: SshConnection = {
      id,
      ...user.value,
      remoteAddress,
      remotePort,
      localAddress,
      localPort,
      sessions: Stream.fromQueue(multiplexer.sessions)
    }
    yield* Effect.gen(function*() {
      yield* Effect.logDebug("logged in")
      yield* Effect.raceAllFirst([
        Effect.scoped(handler(connection)),
        link.ended,
        clientAlive(link, limits),
        freshKeys(link, limits)
      ])
      yield* Effect.logDebug(`ended: ${link.endReason()}`)
    }).pipe(Effect.annotateLogs({ user: connection.username }))
  }).pipe(
    Effect.scoped,
    Effect.catchDefect((defect) => Effect.logError(`the connection crashed: ${describe(defect)}`)),
    Effect.ensuring(Effect.sync(options.onStarted)),
    Effect.annotateLogs({ connectionId: id, remote: `${remoteAddress}:${remotePort}` })
  )
}

const describe = (defect: unknown): string => defect instanceof Error ? defect.message : String(defect)
