/**
 * The open session channels of a connection, for a policy that has something to tell all of them.
 */
import { Duration, Effect, type Scope, Stream } from "effect"
import { stderr } from "../ports/Output.ts"
import type { ExitStatus, SessionChannel } from "../ports/Ssh.ts"
import { watch } from "./Policy.ts"

export interface OpenChannels {
  /** Counts the channel as open until it is closed. What it answers goes on to the handler in its place. */
  readonly add: (channel: SessionChannel) => Effect.Effect<SessionChannel, never, Scope.Scope>
  /** Writes a sentence to every channel that has a terminal, in a line of its own. */
  readonly tellTerminals: (sentence: string) => Effect.Effect<void>
  /** Writes a sentence to every channel's stderr and closes it. */
  readonly end: (sentence: string) => Effect.Effect<void>
}

/** How long clients that do not read may hold up a sentence, all of them together. */
const patience = "5 seconds"

/** As ssh(1) itself ends when its connection does. */
const ended: ExitStatus = { _tag: "Exited", code: 255 }

const encoder = new TextEncoder()

/** A duration for people to read: "1h 30m". What is left of a second counts as one. */
export const inWords = (duration: Duration.Input): string => {
  const millis = Duration.toMillis(duration)
  return Duration.format(Duration.millis(millis < 1000 ? millis : Math.ceil(millis / 1000) * 1000))
}

/** None yet. A channel that gets a terminal is told what `greeting` says then, if anything. */
export const make = (greeting: Effect.Effect<string | undefined> = Effect.succeed(undefined)): OpenChannels => {
  const open = new Map<SessionChannel, () => boolean>()

  const write = (channel: SessionChannel, sentence: string, terminal: boolean) => {
    // A terminal's cursor stands anywhere, and in raw mode a line ends in CR and LF.
    const line = terminal ? `\r\nkuberun: ${sentence}\r\n` : `kuberun: ${sentence}\n`
    return Stream.run(Stream.make(stderr(encoder.encode(line))), channel.output).pipe(
      Effect.timeoutOption(patience),
      Effect.ignore
    )
  }
  const each = (f: (channel: SessionChannel, terminal: boolean) => Effect.Effect<void>) =>
    Effect.suspend(() =>
      Effect.forEach([...open], ([channel, hasTerminal]) => f(channel, hasTerminal()), {
        concurrency: "unbounded",
        discard: true
      })
    )
  return {
    add: Effect.fnUntraced(function*(channel) {
      const scope = yield* Effect.scope
      const greet = Effect.flatMap(
        greeting,
        // Beside: the channel's requests do not wait for a client that does not read.
        (sentence) => sentence === undefined ? Effect.void : Effect.forkIn(write(channel, sentence, true), scope)
      )
      const seen = watch(channel, Effect.asVoid(greet))
      open.set(channel, seen.hasTerminal)
      yield* Effect.forkScoped(Effect.andThen(channel.closed, Effect.sync(() => open.delete(channel))))
      return seen.channel
    }),
    tellTerminals: (sentence) =>
      each((channel, terminal) => terminal ? write(channel, sentence, terminal) : Effect.void),
    end: (sentence) =>
      each((channel, terminal) => Effect.andThen(write(channel, sentence, terminal), channel.exit(ended)))
  }
}
