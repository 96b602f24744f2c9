/**
 * What the client sends on a channel: our receive window (RFC 4254 §5.2) and the stream the program reads.
 *
 * Bytes are kept from the channel's opening on, long before a program starts (T1), and never more of them than the
 * window (T3): pulling the stream gives the window back to the client.
 */
import { Cause, Effect, Stream } from "effect"
import * as ByteQueue from "./ByteQueue.ts"
import * as Messages from "./Messages.ts"
import * as Signal from "./Signal.ts"

/** The most that one pull takes, so that the window opens again in steps. */
const pullBytes = 256 * 1024

export interface ChannelInput {
  readonly stream: Stream.Stream<Uint8Array>
  readonly onData: (data: Uint8Array) => void
  readonly onExtendedData: (data: Uint8Array) => void
  /** Nothing more comes. What came before can still be read. */
  readonly end: () => void
}

export const make = (options: {
  readonly remote: number
  readonly windowBytes: number
  readonly send: (message: Uint8Array) => void
  readonly violation: (what: string) => void
}): ChannelInput => {
  const { remote, send, violation, windowBytes } = options
  const queue = ByteQueue.make()
  const changed = Signal.make()
  let window = windowBytes
  let ended = false
  /** Read by the program, but not yet given back to the client. */
  let consumed = 0

  const giveBack = (bytes: number) => {
    consumed += bytes
    // In steps of a quarter: few messages, and the client never runs dry while the program reads.
    if (ended || consumed < windowBytes / 4) return
    window += consumed
    send(Messages.channelWindowAdjust(remote, consumed))
    consumed = 0
  }

  /** T3: ssh2 enforces the window only when it is exactly zero. */
  const spend = (bytes: number): boolean => {
    window -= bytes
    if (window >= 0) return true
    violation("it sent more data than the channel's window allows")
    return false
  }

  const pull = Effect.suspend(() => changed.until(() => queue.size() > 0 || ended)).pipe(
    Effect.flatMap(() => {
      const [first, ...rest] = queue.take(pullBytes)
      if (first === undefined) return Cause.done()
      giveBack(rest.reduce((bytes, block) => bytes + block.length, first.length))
      return Effect.succeed([first, ...rest] as const)
    })
  )

  return {
    stream: Stream.fromPull(Effect.succeed(pull)),
    onData: (data) => {
      if (ended || !spend(data.length)) return
      queue.push(data)
      changed.notify()
    },
    // Clients have no extended data to send (RFC 4254 §5.2 defines only stderr): it uses the window and is dropped.
    onExtendedData: (data) => {
      if (!ended && spend(data.length)) giveBack(data.length)
    },
    end: () => {
      ended = true
      changed.notify()
    }
  }
}
