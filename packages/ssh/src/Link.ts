/**
 * One client's TCP connection with ssh2's transport on it: what waits in either direction, and how it ends.
 *
 * The socket is watched from the accept on. ssh2 tells of a connection only after the client's identification (T10),
 * and after an error or a goodbye leaves the socket to the client (T8): here it is destroyed.
 */
import { Deferred, type Duration, Effect } from "effect"
import type { Socket } from "node:net"
import * as Messages from "./Messages.ts"
import * as Signal from "./Signal.ts"
import type { Transport, TransportServer } from "./Ssh2Guards.ts"
import type { SshLimits } from "./SshLimits.ts"

/** More messages than this cannot wait for a key exchange: output stops by itself, so these are answers to a flood. */
const maximumQueuedInKeyExchange = 4096

/** Why reading from the client is held. */
type HoldReason = "requests" | "output"

export interface Link {
  readonly send: Transport["send"]
  /** No more output now: enough waits for TCP (T4), or keys are being exchanged. */
  readonly congested: () => boolean
  /** Notified when `congested` may have become false. */
  readonly flow: Signal.Signal
  readonly cork: () => void
  readonly uncork: () => void
  readonly holdReading: (reason: HoldReason, hold: boolean) => void
  readonly sessionId: () => Uint8Array
  readonly exchangingKeys: () => boolean
  readonly rekey: () => void
  /** Notified when bytes came or went, and when a key exchange began or ended. */
  readonly activity: Signal.Signal
  /** Bytes in both directions so far. */
  readonly traffic: () => number
  /** When the client was last heard, by the clock given. */
  readonly heardAt: () => number
  /** The client's identification without `SSH-2.0-`. Waits for it. */
  readonly identified: Effect.Effect<string>
  /** Ends the connection with SSH_MSG_DISCONNECT; the text is shown to the user by most clients. */
  readonly disconnect: (reason: number, text: string) => void
  readonly destroy: () => void
  /** Why it ended, for the log. */
  readonly endReason: () => string
  /** Completes when nothing more can come of the connection. Its socket may still be open: see `close`. */
  readonly ended: Effect.Effect<void>
  /** Ends the connection and completes when the socket is closed: by the client or, after the grace, by force. */
  readonly close: (grace: Duration.Input) => Effect.Effect<void>
}

export const make = (options: {
  readonly server: TransportServer
  readonly socket: Socket
  readonly limits: SshLimits
  readonly now: () => number
  /** Gets what is above the transport, and answers whether the message's number is known. */
  readonly onMessage: (payload: Uint8Array) => boolean
  /** Nothing more can come of the connection; called once. */
  readonly onEnd: () => void
}): Link => {
  const { limits, now, socket } = options
  const flow = Signal.make()
  const activity = Signal.make()
  const identified = Deferred.makeUnsafe<string>()
  const ended = Deferred.makeUnsafe<void>()
  const closed = Deferred.makeUnsafe<void>()
  const holds = new Set<HoldReason>()
  let transport: Transport | undefined
  let endReason: string | undefined
  // Node tells of a drained socket only when it held more than its own mark.
  const sendBufferBytes = Math.max(limits.sendBufferBytes, 2 * socket.writableHighWaterMark)
  let traffic = 0
  let heardAt = now()

  const end = (reason: string) => {
    if (endReason !== undefined) return
    endReason = reason
    Deferred.doneUnsafe(ended, Effect.void)
    flow.notify()
    options.onEnd()
  }

  const holdReading: Link["holdReading"] = (reason, hold) => {
    if (holds.has(reason) === hold) return
    if (hold) holds.add(reason)
    else holds.delete(reason)
    if (holds.size > 0) socket.pause()
    else socket.resume()
  }

  /** A client that asks and does not read the answers is not listened to until it does. */
  const holdWhileAnswersWait = () => {
    if (transport !== undefined && transport.queued() > maximumQueuedInKeyExchange) {
      end("it flooded the server within a key exchange")
      socket.destroy()
    }
    holdReading("output", socket.writableLength >= 2 * sendBufferBytes)
  }

  const disconnect = (reason: number, text: string) => {
    if (endReason !== undefined) return
    transport?.sendUrgent(Messages.disconnect(reason, text))
    end(text)
    socket.end()
  }

  const onMessage = (payload: Uint8Array) => {
    if (endReason !== undefined) return
    // T12: ssh2's parser would take what is thrown here for a fault of the client's bytes, and go on.
    try {
      if (!options.onMessage(payload)) transport?.sendUnimplemented()
      holdWhileAnswersWait()
    } catch (error) {
      end(`a fault in the server: ${error instanceof Error ? error.message : String(error)}`)
      socket.destroy()
    }
  }

  socket.setNoDelay(true)
  // Errors are followed by 'close'; without a listener they would end the process.
  socket.on("error", (error) => end(error.message))
  socket.on("close", () => {
    end("the client closed the connection")
    Deferred.doneUnsafe(closed, Effect.void)
  })
  // We said all that we have to say: ssh2 does so on what it does not understand, sometimes without telling.
  socket.on("finish", () => end("the SSH transport ended the connection"))
  socket.on("drain", () => {
    holdReading("output", false)
    flow.notify()
  })
  options.server.inject(socket, {
    onIdentified: (identifiedTransport, version) => {
      transport = identifiedTransport
      Deferred.doneUnsafe(identified, Effect.succeed(version))
    },
    onMessage,
    onKeyExchange: activity.notify,
    onKeysTaken: () => {
      flow.notify()
      activity.notify()
    },
    onEnd: (reason, isGone) => {
      end(reason)
      // What is still to be sent interests nobody, and a client that does not read would keep the socket for ever (T8).
      if (isGone) socket.destroy()
    }
  })
  // ssh2 keeps the socket paused until it is ready: this listener does not start the flow.
  socket.on("data", (data) => {
    traffic += data.length
    heardAt = now()
    activity.notify()
  })

  return {
    send: (...parts) => {
      transport?.send(...parts)
      for (const part of parts) traffic += part.length
      activity.notify()
    },
    congested: () => transport === undefined || transport.exchangingKeys() || socket.writableLength >= sendBufferBytes,
    flow,
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    holdReading,
    sessionId: () => transport?.sessionId() ?? new Uint8Array(0),
    exchangingKeys: () => transport?.exchangingKeys() ?? true,
    rekey: () => transport?.rekey(),
    activity,
    traffic: () => traffic,
    heardAt: () => heardAt,
    identified: Deferred.await(identified),
    disconnect,
    destroy: () => socket.destroy(),
    endReason: () => endReason ?? "",
    ended: Deferred.await(ended),
    close: (grace) =>
      Effect.suspend(() => {
        disconnect(Messages.DisconnectReason.byApplication, "the server ended the connection")
        socket.end()
        return Deferred.await(closed).pipe(
          Effect.timeoutOption(grace),
          Effect.andThen(Effect.sync(() => socket.destroy())),
          Effect.andThen(Deferred.await(closed))
        )
      })
  }
}
