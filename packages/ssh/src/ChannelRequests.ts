/**
 * The requests of a channel on their way to the handler, and their answers on the way back (RFC 4254 §5.4).
 *
 * The client matches answers to its requests by their order alone, so each waits until those before it are given,
 * also after a program started or the client sent EOF (T14, T15).
 */
import { type Cause, Effect, Queue, Stream } from "effect"
import type { SessionRequest } from "kuberun"
import * as Messages from "./Messages.ts"
import * as SessionRequests from "./SessionRequests.ts"

export interface ChannelRequests {
  readonly stream: Stream.Stream<SessionRequest>
  readonly onRequest: (type: string, wantReply: boolean, data: Uint8Array) => void
  /** The channel is closed: the stream ends after what has come, answers go nowhere. */
  readonly end: () => void
}

interface Unanswered {
  answer: boolean | undefined
  /**
   * A terminal that was granted is followed by `xon-xoff` with FALSE (RFC 4254 §6.8): ^S and ^Q are for the program, as
   * nobody here can know whether its terminal does flow control at the moment. It asks for no reply, so that clients
   * without a use for it pass over it: OpenSSH, PuTTY and ssh2 look for the exit requests and answer others only where
   * a reply is wanted.
   */
  readonly isTerminal: boolean
}

export const make = (options: {
  readonly remote: number
  readonly send: (message: Uint8Array) => void
  /** One more, or one less, waits: for its answer, or, where none is wanted, for being taken. */
  readonly count: (change: 1 | -1) => void
  readonly violation: (what: string) => void
}): ChannelRequests => {
  const { count, remote, send, violation } = options
  // Bounded by the connection, which stops reading from the client when too many are counted.
  const queue = Effect.runSync(Queue.unbounded<{ request: SessionRequest; wantReply: boolean }, Cause.Done>())
  const unanswered: Array<Unanswered> = []
  /** Those without an answer that nobody has taken yet. */
  let untaken = 0
  let ended = false

  const sendAnswers = () => {
    for (let head = unanswered[0]; head?.answer !== undefined; head = unanswered[0]) {
      unanswered.shift()
      count(-1)
      if (ended) continue
      send(head.answer ? Messages.channelSuccess(remote) : Messages.channelFailure(remote))
      if (head.answer && head.isTerminal) send(Messages.xonXoffOff(remote))
    }
  }

  const replyTo = (slot: Unanswered) => (success: boolean) =>
    Effect.sync(() => {
      if (slot.answer !== undefined) return
      slot.answer = success
      sendAnswers()
    })

  return {
    stream: Stream.fromPull(Effect.succeed(
      Effect.map(Queue.take(queue), ({ request, wantReply }) => {
        if (!wantReply && !ended) {
          untaken -= 1
          count(-1)
        }
        return [request] as const
      })
    )),
    onRequest: (type, wantReply, data) => {
      if (ended) return
      const decoded = SessionRequests.decode(type, data)
      if (decoded === undefined) return violation(`it sent a malformed ${type} request`)
      const slot: Unanswered = { answer: undefined, isTerminal: decoded._tag === "Terminal" }
      if (wantReply) unanswered.push(slot)
      else untaken += 1
      count(1)
      const reply = wantReply ? replyTo(slot) : () => Effect.void
      Queue.offerUnsafe(queue, { request: { ...decoded, reply }, wantReply })
    },
    end: () => {
      if (ended) return
      ended = true
      for (const _ of unanswered.splice(0)) count(-1)
      // A handler that is done with its channel takes no more of them: other channels are not to wait for that.
      for (; untaken > 0; untaken -= 1) count(-1)
      Queue.endUnsafe(queue)
    }
  }
}
