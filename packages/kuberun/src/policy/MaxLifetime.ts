/**
 * The end of a connection that has lasted long enough.
 */
import { Clock, Duration, Effect } from "effect"
import type { SshConnection } from "../ports/Ssh.ts"
import * as OpenChannels from "./OpenChannels.ts"
import { mapChannels, type Policy } from "./Policy.ts"

export interface MaxLifetimeOptions {
  /** How long it may last. */
  readonly after: Duration.Input
  /**
   * How long before the end the terminals are told, once each; those that come later, when they come. Left out, or no
   * less than `after`: never.
   */
  readonly warning?: Duration.Input | undefined
  /**
   * When it began, in milliseconds since 1970: the start of a pod that other connections use too, say. It may wait, and
   * the connection with it has no limit until it answers. Left out: when the connection is handled.
   */
  readonly since?: ((connection: SshConnection) => Effect.Effect<number>) | undefined
}

/**
 * Ends the connection when it has lasted for `after`, whatever happens on it. Its terminals are told before, its users
 * read a sentence then, and its programs end.
 */
export const maxLifetime = (options: MaxLifetimeOptions): Policy => (next) => (connection) =>
  Effect.scoped(Effect.gen(function*() {
    const after = Duration.toMillis(options.after)
    const warning = Duration.toMillis(options.warning ?? 0)
    const { since = () => Clock.currentTimeMillis } = options
    const limit = OpenChannels.inWords(options.after)
    let begin = 0
    let announced = false

    /** What a terminal is told from the announcement on. */
    const warningNow = Effect.map(Clock.currentTimeMillis, (now) => {
      const left = begin + after - now
      return announced && left > 0
        ? `This session ends in ${OpenChannels.inWords(left)}: ${limit} is all that it may last.`
        : undefined
    })
    const channels = OpenChannels.make(warningNow)
    /** Sleeps until so long after the beginning; not at all where that is past. */
    const until = (millis: number) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Math.max(0, begin + millis - now)))

    const ending = Effect.gen(function*() {
      begin = yield* since(connection)
      if (warning > 0 && warning < after) {
        yield* until(after - warning)
        announced = true
        const sentence = yield* warningNow
        // Beside: a client that does not read delays no end. At once: whose terminal comes later is told by itself.
        if (sentence !== undefined) {
          yield* Effect.forkScoped(channels.tellTerminals(sentence), { startImmediately: true })
        }
      }
      yield* until(after)
      yield* Effect.logInfo(`${limit} have passed: the connection is ended`)
      yield* channels.end(`This session ends: ${limit} is all that it may last.`)
    })
    const watched = mapChannels(channels.add)
    yield* Effect.raceFirst(watched(next)(connection), ending)
  }))
