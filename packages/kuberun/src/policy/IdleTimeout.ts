/**
 * The end of a connection on which nothing happens.
 */
import { Clock, Duration, Effect, type Scope, Sink, Stream } from "effect"
import type { SessionChannel } from "../ports/Ssh.ts"
import * as OpenChannels from "./OpenChannels.ts"
import { mapChannels, type Policy } from "./Policy.ts"

export interface IdleTimeoutOptions {
  /** How long nothing may happen. */
  readonly after: Duration.Input
  /** How long before the end the terminals are told: once in each silence. Left out, or no less than `after`: never. */
  readonly warning?: Duration.Input | undefined
}

/** When something last happened, and how often something has: two things may happen in one millisecond. */
interface Activity {
  at: number
  count: number
}

/** The channel with `touch` called at all that moves on it. Nothing is held back, joined or cut. */
const touching = (channel: SessionChannel, touch: () => void): SessionChannel => {
  const touched = <A>(one: A): A => {
    touch()
    return one
  }
  return {
    ...channel,
    requests: Stream.map(channel.requests, touched),
    stdin: Stream.mapArray(channel.stdin, touched),
    output: Sink.mapInputArray(channel.output, touched)
  }
}

/** Completes when nothing has happened for so long, and tells the terminals before. */
const silence = Effect.fnUntraced(function*(
  activity: Activity,
  limits: { readonly after: number; readonly warning: number },
  warn: Effect.Effect<void>
): Effect.fn.Return<void, never, Scope.Scope> {
  const { after, warning } = limits
  const warns = warning > 0 && warning < after
  let warnedAt = -1
  while (true) {
    const quiet = (yield* Clock.currentTimeMillis) - activity.at
    if (quiet >= after) return
    if (warns && quiet >= after - warning && warnedAt !== activity.count) {
      warnedAt = activity.count
      // Beside: a client that does not read delays no end.
      yield* Effect.forkScoped(warn)
    }
    if (!warns) yield* Effect.sleep(after - quiet)
    else if (warnedAt !== activity.count) yield* Effect.sleep(after - warning - quiet)
    // A silence that begins now may be due for its warning before this one's end would be.
    else yield* Effect.sleep(Math.min(after - quiet, after - warning))
  }
})

/**
 * Ends the connection when nothing has happened on it for `after`: no byte either way on any of its channels, no request,
 * no new channel. Its users read a sentence and its programs end. Bytes count when they move on, so a client that does
 * not read, and a program that does not, are idle; keep-alives of SSH and of TCP are no bytes of a channel.
 */
export const idleTimeout = ({ after, warning = 0 }: IdleTimeoutOptions): Policy => (next) => (connection) =>
  Effect.scoped(Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const limits = { after: Duration.toMillis(after), warning: Duration.toMillis(warning) }
    const told = { after: OpenChannels.inWords(after), warning: OpenChannels.inWords(warning) }
    const activity: Activity = { at: clock.currentTimeMillisUnsafe(), count: 0 }
    const touch = () => {
      activity.at = clock.currentTimeMillisUnsafe()
      activity.count += 1
    }
    const channels = OpenChannels.make()
    const watched = mapChannels((channel) => {
      touch()
      return Effect.map(channels.add(channel), (added) => touching(added, touch))
    })
    const warn = channels.tellTerminals(
      `Nothing has happened here for a while: this session ends in ${told.warning} unless something does.`
    )
    const ending = silence(activity, limits, warn).pipe(
      Effect.andThen(Effect.logInfo(`nothing has happened for ${told.after}: the connection is ended`)),
      Effect.andThen(channels.end(`Nothing has happened here for ${told.after}, so this session ends.`))
    )
    yield* Effect.raceFirst(watched(next)(connection), ending)
  }))
