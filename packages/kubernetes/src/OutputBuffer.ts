/**
 * What a program has written and nobody has read yet: one bounded buffer for stdout and stderr, in the order of
 * arrival. Filled by callbacks, emptied by a stream; when it is full the source is told to pause.
 */
import { Cause, Effect, type Pull } from "effect"
import type { ClusterError, Output } from "kuberun"

/**
 * Above this the source is paused, below the half of it resumed. It is the bandwidth of 5 MB/s over a round trip of
 * 100 ms, and eight times this is still within the 4 MiB that one stalled client may cost.
 */
export const BUFFER_LIMIT_BYTES = 512 * 1024

/** What one message costs besides its bytes (objects and references), so that a flood of single bytes counts too. */
const MESSAGE_COST_BYTES = 256

/** At most about this much is handed on at once, so that the buffer's bound is not doubled by its reader's. */
const BATCH_LIMIT_BYTES = 128 * 1024

type Batch = readonly [Output, ...Array<Output>]

export interface OutputBuffer {
  /** Adds what arrived. Never refuses: it is the source that pauses. */
  readonly push: (output: Output) => void
  /** Nothing more will come. What is held can still be read; then the stream ends, or fails. Only the first counts. */
  readonly end: (failure?: ClusterError) => void
  /** Takes what is there, or waits for it. For one reader. */
  readonly pull: Pull.Pull<Batch, ClusterError>
  /** Whether the source is told to pause. */
  readonly isPaused: () => boolean
}

const costOf = (output: Output): number => output.bytes.length + MESSAGE_COST_BYTES

export const make = (source: { readonly pause: () => void; readonly resume: () => void }): OutputBuffer => {
  let held: Array<Output> = []
  let cost = 0
  let paused = false
  let ended: Effect.Effect<never, ClusterError | Cause.Done> | undefined
  let wake: (() => void) | undefined

  const take = (first: Output): Batch => {
    let taken = 0
    let count = 0
    for (const output of held) {
      if (count > 0 && taken >= BATCH_LIMIT_BYTES) break
      taken += costOf(output)
      count += 1
    }
    const [, ...rest] = held.slice(0, count)
    held = held.slice(count)
    cost -= taken
    if (paused && cost <= BUFFER_LIMIT_BYTES / 2) {
      paused = false
      source.resume()
    }
    return [first, ...rest]
  }

  const arrival = Effect.callback<void>((resume) => {
    wake = () => resume(Effect.void)
    return Effect.sync(() => {
      wake = undefined
    })
  })

  /** Not at once, but when the messages that came in the same piece from the network are here too. */
  const notify = () => {
    if (wake === undefined) return
    queueMicrotask(wake)
    wake = undefined
  }

  const pull: Pull.Pull<Batch, ClusterError> = Effect.suspend(() => {
    const first = held[0]
    if (first !== undefined) return Effect.succeed(take(first))
    return ended ?? Effect.andThen(arrival, pull)
  })

  return {
    push: (output) => {
      if (ended !== undefined) return
      held.push(output)
      cost += costOf(output)
      if (!paused && cost > BUFFER_LIMIT_BYTES) {
        paused = true
        source.pause()
      }
      notify()
    },
    end: (failure) => {
      if (ended !== undefined) return
      ended = failure === undefined ? Cause.done() : Effect.fail(failure)
      notify()
    },
    pull,
    isPaused: () => paused
  }
}
