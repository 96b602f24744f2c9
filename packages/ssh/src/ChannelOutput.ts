/**
 * What a program writes: the client's window (RFC 4254 §5.2), and the sink that takes both streams.
 *
 * One loop serves stdout and stderr and remembers nothing between two packets: no chunk can be sent twice or be
 * forgotten (T5, T6). It waits for the client's window and for TCP (T4), and for nothing that a closed channel
 * could keep it from hearing of (T7).
 */
import { Effect, Pull, Sink } from "effect"
import { ChannelClosed, type Output } from "kuberun"
import * as Messages from "./Messages.ts"
import * as Signal from "./Signal.ts"

/** What goes into one packet at most, as OpenSSH; ssh2 makes packets of up to 35000 bytes. */
export const maximumPacket = 32 * 1024

/** What a window can grow to (RFC 4254 §5.2). */
const maximumWindow = 0xffffffff

/** A channel sends so much before the others have their turn: with many channels none waits long. */
const turnBytes = 4 * maximumPacket

/** What output needs of its connection. */
export interface OutputConnection {
  readonly send: (...parts: ReadonlyArray<Uint8Array>) => void
  /** No more output now: TCP has enough waiting, or keys are being exchanged (T4). */
  readonly congested: () => boolean
  /** Told when `congested` may have become false, and when a channel closed. */
  readonly flow: Signal.Signal
  /** What is sent in between goes out in few writes. */
  readonly cork: () => void
  readonly uncork: () => void
  readonly violation: (what: string) => void
}

export interface ChannelOutput {
  readonly sink: Sink.Sink<void, Output, never, ChannelClosed>
  readonly onWindowAdjust: (bytes: number) => void
  /** The channel is closed: writers fail. */
  readonly end: () => void
}

export const make = (options: {
  readonly remote: number
  /** The client's window and packet size. */
  readonly window: number
  readonly packetSize: number
  readonly connection: OutputConnection
}): ChannelOutput => {
  const { connection, remote } = options
  const packetSize = Math.min(options.packetSize, maximumPacket)
  const changed = Signal.make()
  let window = options.window
  let ended = false

  /** Sends what window, TCP and this turn allow, from `offset` on; answers how much. */
  const sendTurn = (output: Output, offset: number): number => {
    const header = output._tag === "Stdout" ? Messages.channelDataHeader : Messages.channelStderrHeader
    let sent = 0
    connection.cork()
    while (offset + sent < output.bytes.length && sent < turnBytes && window > 0 && !connection.congested()) {
      const start = offset + sent
      const length = Math.min(output.bytes.length - start, window, packetSize)
      window -= length
      connection.send(header(remote, length), output.bytes.subarray(start, start + length))
      sent += length
    }
    connection.uncork()
    return sent
  }

  const write = Effect.fnUntraced(function*(output: Output) {
    let offset = 0
    while (offset < output.bytes.length) {
      if (ended) return yield* new ChannelClosed()
      const sent = sendTurn(output, offset)
      offset += sent
      if (sent >= turnBytes) yield* Effect.yieldNow
      else if (offset < output.bytes.length) {
        yield* window === 0
          ? changed.until(() => ended || window > 0)
          : connection.flow.until(() => ended || !connection.congested())
      }
    }
    if (ended) return yield* new ChannelClosed()
  })

  return {
    // Fails at the close also while the program is silent.
    sink: Sink.fromTransform((upstream) =>
      Effect.raceFirst(
        upstream.pipe(
          Effect.flatMap((outputs) => Effect.forEach(coalesce(outputs), write, { discard: true })),
          Effect.forever({ disableYield: true }),
          Pull.catchDone(() => Effect.succeed([undefined] as const))
        ),
        Effect.andThen(changed.until(() => ended), new ChannelClosed())
      )
    ),
    onWindowAdjust: (bytes) => {
      if (window + bytes > maximumWindow) return connection.violation("it opened a window above 2^32-1 bytes")
      window += bytes
      changed.notify()
    },
    end: () => {
      ended = true
      changed.notify()
      connection.flow.notify()
    }
  }
}

/**
 * Joins neighbours of the same stream to at most one packet: a packet costs the same for one byte as for many. What
 * is alone, or long, is not copied.
 */
export const coalesce = (outputs: ReadonlyArray<Output>): ReadonlyArray<Output> => {
  const result: Array<Output> = []
  let group: Array<Output> = []
  let size = 0
  const close = () => {
    const [first, ...others] = group
    if (first === undefined) return
    result.push(others.length === 0 ? first : { _tag: first._tag, bytes: Buffer.concat(group.map((_) => _.bytes)) })
    group = []
    size = 0
  }
  for (const output of outputs) {
    if (output.bytes.length === 0) continue
    if (group[0]?._tag !== output._tag || size + output.bytes.length > maximumPacket) close()
    group.push(output)
    size += output.bytes.length
  }
  close()
  return result
}
