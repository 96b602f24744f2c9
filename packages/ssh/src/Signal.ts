/**
 * The seam between ssh2's callbacks and fibers: a callback tells that something changed, fibers that wait for a
 * condition look again.
 */
import { Effect } from "effect"

export interface Signal {
  /** Something changed: wakes those whose condition holds now, in the order in which they began to wait. */
  readonly notify: () => void
  /** Completes at once or as soon as the condition holds at a `notify`. */
  readonly until: (condition: () => boolean) => Effect.Effect<void>
}

export const make = (): Signal => {
  const waiting = new Set<() => void>()
  return {
    notify: () => {
      if (waiting.size === 0) return
      // A copy: who is woken may wait again at once, and has its next turn at the next notice.
      const looks = Array.from(waiting)
      for (const look of looks) look()
    },
    // The condition is looked at again where the wait begins: between an earlier look and here it may have changed.
    until: (condition) =>
      Effect.callback<void>((resume) => {
        const look = () => {
          if (!condition()) return
          waiting.delete(look)
          resume(Effect.void)
        }
        waiting.add(look)
        look()
        return Effect.sync(() => waiting.delete(look))
      })
  }
}
