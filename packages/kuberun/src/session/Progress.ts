/**
 * What a person at a terminal sees while the pod starts: one line, written over every second and wiped in the end.
 */
import { Effect, Ref, Schedule, Stream, SubscriptionRef } from "effect"
import { stderr } from "../ports/Output.ts"
import type { ChannelClosed, SessionChannel } from "../ports/Ssh.ts"
import { printable } from "./Sentences.ts"

/** A start that is over sooner is not worth a word. */
const quietSeconds = 1

const encoder = new TextEncoder()

/** Back to the line's start, and erase it (ECMA-48 EL). */
const wipe = "\r\u001b[K"

/** Cells that a character may take: two from the first script with wide ones (Hangul Jamo) on, whether it does or not. */
const cells = (character: string): number => character !== ellipsis && character >= "\u1100" ? 2 : 1

const ellipsis = "…"

/** The text, or as much of its beginning as fits into so many cells with an ellipsis behind it. */
const fit = (text: string, width: number): string => {
  const characters = Array.from(text)
  if (characters.reduce((sum, character) => sum + cells(character), 0) <= width) return text
  let room = width - cells(ellipsis)
  if (room < 0) return ""
  const end = characters.findIndex((character) => (room -= cells(character)) < 0)
  return `${characters.slice(0, end).join("")}${ellipsis}`
}

/** The line for an activity that has lasted so long, cut so that it never wraps: a wrapped line could not be wiped. */
export const progressLine = (activity: string, seconds: number, columns: number): string => {
  const ending = `, ${seconds} s`
  const width = (columns > 0 ? columns : 80) - 1
  return `${wipe}${fit(`${fit(printable(activity), width - ending.length)}${ending}`, width)}`
}

const write = (channel: SessionChannel, text: string) =>
  Stream.run(Stream.make(stderr(encoder.encode(text))), channel.output)

/** Runs `waiting`, and from its second second on shows on the channel what `activity` says. */
export const withProgress = <A, E, R>(
  waiting: Effect.Effect<A, E, R>,
  channel: SessionChannel,
  activity: SubscriptionRef.SubscriptionRef<string>,
  columns: number
): Effect.Effect<A, E | ChannelClosed, R> =>
  Effect.gen(function*() {
    const seconds = yield* Ref.make(quietSeconds)
    const show = Effect.gen(function*() {
      const elapsed = yield* Ref.getAndUpdate(seconds, (count) => count + 1)
      yield* write(channel, progressLine(yield* SubscriptionRef.get(activity), elapsed, columns))
    })
    const showing = Effect.sleep(`${quietSeconds} seconds`).pipe(
      Effect.andThen(Effect.repeat(show, Schedule.fixed("1 second"))),
      Effect.andThen(Effect.never)
    )
    const result = yield* Effect.raceFirst(Effect.exit(waiting), Effect.flatMap(showing, () => Effect.never))
    if ((yield* Ref.get(seconds)) > quietSeconds) yield* write(channel, wipe)
    return yield* result
  })
