/**
 * The connection protocol of one connection (RFC 4254): which channels are open, global requests, and what the
 * client may make us hold. Driven by messages from socket events, never throws.
 */
import { type Cause, Effect, Queue } from "effect"
import type { SessionChannel } from "kuberun"
import * as Channel from "./Channel.ts"
import { maximumPacket } from "./ChannelOutput.ts"
import * as Messages from "./Messages.ts"
import type * as Signal from "./Signal.ts"
import type { SshLimits } from "./SshLimits.ts"

/** Below it a channel is refused: no client asks for less, and a packet size of zero stops all output (T2). */
export const minimumPacket = 1024

/** What the protocol needs of the encrypted connection. */
export interface Link {
  readonly send: (...parts: ReadonlyArray<Uint8Array>) => void
  readonly congested: () => boolean
  readonly flow: Signal.Signal
  readonly cork: () => void
  readonly uncork: () => void
  /** Stops and resumes reading from the client, for the reason given. */
  readonly holdReading: (reason: "requests", hold: boolean) => void
  /** The client broke the protocol: ends the connection. */
  readonly violation: (what: string) => void
  /** Calls back after the time that the other side has to answer a close. */
  readonly afterGrace: (callback: () => void) => void
}

export interface Multiplexer {
  /** The channels in the order in which they are opened; ends with the connection. */
  readonly sessions: Queue.Dequeue<SessionChannel, Cause.Done>
  /** Answers whether the message's number is known. */
  readonly onMessage: (payload: Uint8Array) => boolean
  /** The connection is gone: closes all channels. */
  readonly end: () => void
}

export const make = (limits: SshLimits, link: Link): Multiplexer => {
  const channels = new Map<number, Channel.Channel>()
  // Bounded by `maxSessions`: what is not taken yet counts as open.
  const sessions = Effect.runSync(Queue.unbounded<SessionChannel, Cause.Done>())
  let nextId = 0
  let noMoreSessions = false
  let pendingRequests = 0

  const connection: Channel.ChannelConnection = {
    ...link,
    countRequests: (change) => {
      pendingRequests += change
      if (pendingRequests >= limits.maxPendingRequests) link.holdReading("requests", true)
      else if (pendingRequests <= limits.maxPendingRequests / 2) link.holdReading("requests", false)
    },
    // T8: a client that never answers our close does not keep the channel.
    onClosing: (channel) => link.afterGrace(() => channels.delete(channel.id))
  }

  const openFailure = (type: string, packetSize: number): readonly [reason: number, text: string] | undefined => {
    if (type === "direct-tcpip" || type === "direct-streamlocal@openssh.com") {
      return [Messages.OpenFailure.administrativelyProhibited, "forwarding is not allowed"]
    }
    if (type !== "session") return [Messages.OpenFailure.unknownChannelType, `no channels of type ${type}`]
    if (noMoreSessions) return [Messages.OpenFailure.administrativelyProhibited, "no more sessions"]
    if (packetSize < minimumPacket) {
      return [Messages.OpenFailure.connectFailed, `the maximum packet size is below ${minimumPacket} bytes`]
    }
    const waiting = Queue.sizeUnsafe(sessions)
    if (Math.max(channels.size, waiting) >= limits.maxSessions) {
      return [Messages.OpenFailure.resourceShortage, `${limits.maxSessions} sessions are open, which is the limit`]
    }
    return undefined
  }

  const open = (message: Extract<Messages.ConnectionMessage, { _tag: "ChannelOpen" }>) => {
    const failure = openFailure(message.type, message.packetSize)
    if (failure !== undefined) return link.send(Messages.channelOpenFailure(message.sender, ...failure))
    const channel = Channel.make({
      id: nextId++,
      remote: message.sender,
      window: message.window,
      packetSize: message.packetSize,
      receiveWindow: limits.windowBytes,
      connection
    })
    channels.set(channel.id, channel)
    link.send(Messages.channelOpenConfirmation(message.sender, channel.id, limits.windowBytes, maximumPacket))
    Queue.offerUnsafe(sessions, channel.port)
  }

  const globalRequest = (name: string, wantReply: boolean) => {
    if (name === "no-more-sessions@openssh.com") noMoreSessions = true
    if (!wantReply) return
    // keepalive@openssh.com wants any answer; OpenSSH gives the failure of an unknown request.
    link.send(name === "no-more-sessions@openssh.com" ? Messages.requestSuccess : Messages.requestFailure)
  }

  const dispatch = (message: Exclude<Messages.ConnectionMessage, { _tag: "Answer" | "Unknown" }>): void => {
    if (message._tag === "ChannelOpen") return open(message)
    if (message._tag === "GlobalRequest") return globalRequest(message.name, message.wantReply)
    // Messages may still be under way for a channel that was forgotten: they are not an error.
    const channel = channels.get(message.recipient)
    if (channel === undefined) return
    switch (message._tag) {
      case "Data":
        return channel.input.onData(message.data)
      case "ExtendedData":
        return channel.input.onExtendedData(message.data)
      case "WindowAdjust":
        return channel.output.onWindowAdjust(message.bytes)
      case "Eof":
        return channel.input.end()
      case "ChannelRequest":
        return channel.requests.onRequest(message.type, message.wantReply, message.data)
      case "Close":
        channels.delete(channel.id)
        return channel.onClose()
    }
  }

  return {
    sessions,
    onMessage: (payload) => {
      const message = Messages.decode(payload)
      if (message?._tag === "Unknown") return false
      if (message === undefined) link.violation(`it sent a malformed message of type ${payload[0]}`)
      else if (message._tag !== "Answer") dispatch(message)
      return true
    },
    end: () => {
      for (const channel of channels.values()) channel.abandon()
      channels.clear()
      Queue.endUnsafe(sessions)
    }
  }
}
