/**
 * One session channel (RFC 4254 §5 and §6): its input, output and requests, and how it closes. Stands in place of
 * ssh2's own Channel, whose faults T1 to T7 and T13 to T15 come from how it couples these to Node's streams.
 */
import { Deferred, Effect } from "effect"
import type { ExitStatus, SessionChannel } from "kuberun"
import * as ChannelInput from "./ChannelInput.ts"
import * as ChannelOutput from "./ChannelOutput.ts"
import * as ChannelRequests from "./ChannelRequests.ts"
import { exitMessage } from "./ExitStatus.ts"
import * as Messages from "./Messages.ts"

/** What a channel needs of its connection. */
export interface ChannelConnection extends ChannelOutput.OutputConnection {
  readonly countRequests: (change: 1 | -1) => void
  /** We sent a close: the client's is due. */
  readonly onClosing: (channel: Channel) => void
}

export interface Channel {
  /** Its number on our side. */
  readonly id: number
  readonly port: SessionChannel
  readonly isClosed: () => boolean
  readonly input: ChannelInput.ChannelInput
  readonly output: ChannelOutput.ChannelOutput
  readonly requests: ChannelRequests.ChannelRequests
  /** The client's close. */
  readonly onClose: () => void
  /** The connection is gone. */
  readonly abandon: () => void
}

export const make = (options: {
  readonly id: number
  /** Its number on the client's side. */
  readonly remote: number
  readonly window: number
  readonly packetSize: number
  readonly receiveWindow: number
  readonly connection: ChannelConnection
}): Channel => {
  const { connection, id, remote } = options
  const { send, violation } = connection
  const closed = Deferred.makeUnsafe<void>()
  let isClosed = false
  let closeSent = false

  const input = ChannelInput.make({ remote, windowBytes: options.receiveWindow, send, violation })
  const output = ChannelOutput.make({ ...options, remote, connection })
  const requests = ChannelRequests.make({ remote, send, count: connection.countRequests, violation })

  /** Closes the port. What the client had sent before can still be read. */
  const shut = () => {
    isClosed = true
    input.end()
    output.end()
    requests.end()
    Deferred.doneUnsafe(closed, Effect.void)
  }

  const sendClose = () => {
    if (closeSent) return
    closeSent = true
    send(Messages.channelClose(remote))
  }

  const exit = (status: ExitStatus) =>
    Effect.sync(() => {
      if (isClosed) return
      // Output is handed to the transport in order and as a whole before its sink completes: this comes last (T6).
      send(exitMessage(remote, status))
      send(Messages.channelEof(remote))
      sendClose()
      shut()
      connection.onClosing(channel)
    })

  const channel: Channel = {
    id,
    input,
    output,
    requests,
    isClosed: () => isClosed,
    onClose: () => {
      sendClose()
      shut()
    },
    abandon: shut,
    port: {
      id,
      requests: requests.stream,
      stdin: input.stream,
      output: output.sink,
      exit,
      closed: Deferred.await(closed)
    }
  }
  return channel
}
