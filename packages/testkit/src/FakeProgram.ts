/**
 * What the shell of an image does for kuberun around a program, for programs that are no processes: it announces the
 * program in front of its output, and runs short helpers that signal and end it.
 */
import { Effect, Option, Sink, Stream } from "effect"
import type { ExecProcess, ExecRequest, Output } from "kuberun"

/** The process id that every program announces. */
export const announcedPid = 4711

const encoder = new TextEncoder()

/** Where an announcement was asked for, the words that make it stand side by side in the argument vector. */
const opening = (word: string): boolean => word.startsWith("\u001b]kuberun;")

/** What the shell announces for this request, if it is asked to. */
export const announcement = ({ command, terminal }: ExecRequest): Output | undefined => {
  const place = command.findIndex(opening)
  if (place < 0) return undefined
  const text = `${command[place]}${announcedPid};1${command[place + 1]}`
  return { _tag: terminal === undefined ? "Stderr" : "Stdout", bytes: encoder.encode(text) }
}

/** The process with its announcement in front, unless it is known already never to have been started. */
export const announced = (request: ExecRequest, process: ExecProcess): ExecProcess => {
  const first = announcement(request)
  if (first === undefined) return process
  const refused = Effect.raceFirst(Effect.option(process.exit), Effect.succeedNone).pipe(
    Effect.map((exit) => Option.isSome(exit) && exit.value._tag === "NotStarted")
  )
  const output = Stream.unwrap(
    Effect.map(refused, (none) => none ? process.output : Stream.concat(Stream.make(first), process.output))
  )
  return { ...process, output }
}

/** Whether the request is for a helper that signals or ends a program which announced itself so. */
export const isHelper = ({ command }: ExecRequest): boolean =>
  command[1] === "-c" && command[4] === String(announcedPid) && !command.some(opening)

/** A helper that does what it is there for. */
export const helperProcess: Effect.Effect<ExecProcess> = Effect.succeed({
  stdin: Sink.drain,
  output: Stream.empty,
  resize: () => Effect.void,
  exit: Effect.succeed({ _tag: "Exited", code: 0 })
})
