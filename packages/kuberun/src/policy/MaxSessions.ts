/**
 * A limit on the session channels that a connection has open at once (`MaxSessions` of sshd_config(5)).
 */
import { Effect } from "effect"
import { mapChannels, type Policy } from "./Policy.ts"

/**
 * At most so many channels at once. One that is closed, by either side, makes room for another: what counts is what is
 * open, not what was. Whoever opens one more is told so and loses that channel only.
 */
export const maxSessions = (most: number): Policy => (next) => (connection) =>
  Effect.suspend(() => {
    let open = 0
    const limited = mapChannels(Effect.fnUntraced(function*(channel, { refuse }) {
      if (open >= most) {
        return yield* refuse(
          `No more than ${most === 1 ? "one session" : `${most} sessions`} at once: close one, or connect again.`
        )
      }
      open += 1
      yield* channel.closed.pipe(
        Effect.andThen(Effect.sync(() => open -= 1)),
        Effect.forkScoped({ startImmediately: true })
      )
      return channel
    }))
    return limited(next)(connection)
  })
