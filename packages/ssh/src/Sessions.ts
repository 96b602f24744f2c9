/**
 * The handler that most servers want: something for each session channel, by itself.
 */
import { Effect, type Scope, Stream } from "effect"
import type { ChannelClosed, ExitStatus, SessionChannel, SshConnection } from "kuberun"
import type { ConnectionHandler } from "./ClientConnection.ts"

const success: ExitStatus = { _tag: "Exited", code: 0 }
/** As ssh(1) exits for a failure of its own. */
const crashed: ExitStatus = { _tag: "Exited", code: 255 }

/**
 * Serves each session channel in a fiber and a Scope of its own, for as long as the connection lives.
 *
 * When `serve` completes the channel is closed with the status that it answers, 0 where it answers none. When the
 * channel is closed before, by the client or with the connection, `serve` is interrupted. A defect closes its channel
 * with 255 and is logged as one line; other channels go on. In each case its Scope is closed first.
 */
export const eachSession = <R>(
  serve: (channel: SessionChannel, connection: SshConnection) => Effect.Effect<ExitStatus | void, ChannelClosed, R>
): ConnectionHandler<Exclude<R, Scope.Scope>> =>
(connection) =>
  Stream.runForEach(connection.sessions, (channel) =>
    serve(channel, connection).pipe(
      Effect.scoped,
      Effect.raceFirst(channel.closed),
      Effect.catchTag("ChannelClosed", () => Effect.void),
      Effect.catchDefect((defect) => Effect.as(Effect.logError(`a session crashed: ${describe(defect)}`), crashed)),
      Effect.flatMap((status) => channel.exit(status ?? success)),
      Effect.forkScoped
    ))

const describe = (defect: unknown): string => defect instanceof Error ? defect.message : String(defect)
