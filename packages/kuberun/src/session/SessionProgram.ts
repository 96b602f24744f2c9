/**
 * The one program of a session channel: waits for the pod, execs in it, pumps its bytes and tells how it ended.
 */
import { Effect, Option, Queue, Stream } from "effect"
import type { PodEnded, PodStartError } from "../pod/PodStartError.ts"
import type { ClusterError } from "../ports/Cluster.ts"
import { stderr, type TerminalSize } from "../ports/Output.ts"
import type { ChannelClosed, ExitStatus, SessionChannel } from "../ports/Ssh.ts"
import type { LaunchedProgram, ProgramLaunch, SessionPod } from "./Launch.ts"
import type { ProgramSignals } from "./ProgramSignals.ts"
import { withProgress } from "./Progress.ts"
import { execSentence, inputSentence, notStartedSentence, podSentence, printable } from "./Sentences.ts"

/** What to run, and how its terminal changes meanwhile. */
export interface SessionProgram {
  readonly program: ProgramLaunch
  /** The terminal's size when the program was asked for. */
  readonly size: TerminalSize
  /** Newer sizes. */
  readonly sizes: Queue.Dequeue<TerminalSize>
  /** What the client signals. */
  readonly signals: ProgramSignals
}

/** The status where there is no program's own: nothing ran, or how it ended is not known. ssh(1) uses it likewise. */
const failure: ExitStatus = { _tag: "Exited", code: 255 }

/** How long a client that does not read may hold up the last sentence before the channel is closed without it. */
const lastWordsPatience = "5 seconds"

/**
 * What a container runtime reports of a program that was ended by KILL or TERM, as all are when their pod ends. Where
 * the client sent it, that is known to be the reason.
 */
const killedCodes: ReadonlySet<number> = new Set([137, 143])

const encoder = new TextEncoder()

/** A sentence on the user's stderr. On a terminal in raw mode a line ends in CR and LF. */
export const say = (channel: SessionChannel, sentence: string, terminal: boolean): Effect.Effect<void> =>
  Stream.run(Stream.make(stderr(encoder.encode(`kuberun: ${sentence}${terminal ? "\r\n" : "\n"}`))), channel.output)
    .pipe(Effect.timeoutOption(lastWordsPatience), Effect.ignore)

/** Pumps the program's bytes and answers how it ended, after its last byte was taken by the client. */
const pump = Effect.fnUntraced(function*(
  channel: SessionChannel,
  launched: LaunchedProgram,
  { signals, sizes }: SessionProgram
) {
  const { process } = launched
  const input = Stream.run(channel.stdin, process.stdin).pipe(
    Effect.catch((error) =>
      error.reason._tag === "Unsupported"
        ? say(channel, inputSentence(error), false)
        : Effect.logDebug(error.message)
    )
  )
  const resizes = Stream.runForEach(Stream.fromQueue(sizes), process.resize).pipe(
    Effect.catch((error) => Effect.logDebug(error.message))
  )
  const ended = process.exit.pipe(
    Effect.flatMap((exit) =>
      Effect.map(
        exit._tag === "Exited" ? signals.exitStatus(exit.code) : Effect.succeed(failure),
        (status) => ({ exit, status })
      )
    )
  )
  // Output and exit make the program's end; its input, its terminal and its signals only accompany it.
  return yield* Effect.raceAllFirst([
    Effect.andThen(Stream.run(process.output, channel.output), ended),
    signals.deliverTo(launched),
    Effect.andThen(input, Effect.never),
    Effect.andThen(resizes, Effect.never)
  ])
})

/** Starts the program and runs it. Where the pod is the reason for its end, that is what it fails with. */
const run = Effect.fnUntraced(function*(channel: SessionChannel, pod: SessionPod, asked: SessionProgram) {
  // A size that came while the pod started counts from the beginning.
  const size = Effect.map(Queue.poll(asked.sizes), Option.getOrElse(() => asked.size))
  const launch = pod.launch(asked.program, size)
  const launched = yield* (asked.program.terminal === undefined
    ? launch
    : withProgress(launch, channel, pod.activity, asked.size.columns))
  yield* Effect.logDebug("program started")
  return yield* pump(channel, launched, asked).pipe(
    Effect.ensuring(asked.signals.end),
    Effect.tap(({ exit, status }) => {
      if (exit._tag === "NotStarted") return launched.check
      const killed = status._tag === "Exited" && killedCodes.has(status.code)
      return killed ? launched.checkKilled ?? launched.check : Effect.void
    }),
    Effect.catchTag("ClusterError", (error) => Effect.andThen(launched.check, Effect.fail(error))),
    Effect.raceFirst(launched.ended)
  )
})

const endedByPod = (error: PodEnded): ExitStatus => ({ _tag: "Signaled", signal: "KILL", message: error.message })

/**
 * Runs the program to its end and closes the channel with its status: the program's own, KILL if its pod was taken
 * from under it, else 255 after one sentence on stderr.
 */
export const runProgram = (
  channel: SessionChannel,
  pod: SessionPod,
  asked: SessionProgram
): Effect.Effect<void> => {
  const { command, terminal } = asked.program
  const told = (sentence: string, status: ExitStatus) =>
    Effect.as(say(channel, sentence, terminal !== undefined), status)
  /** With the pod's name, which is known by now if ever. */
  const logged = (entry: Effect.Effect<void>) =>
    Effect.flatMap(pod.name, (name) => name === undefined ? entry : Effect.annotateLogs(entry, { pod: name }))
  return run(channel, pod, asked).pipe(
    Effect.flatMap(({ exit, status }) =>
      exit._tag === "Exited"
        ? Effect.succeed(status)
        : Effect.andThen(
          logged(Effect.logWarning(`the program was not started: ${printable(exit.detail)}`)),
          told(notStartedSentence(command, exit.detail), status)
        )
    ),
    Effect.tapError((error: ClusterError | PodStartError | PodEnded | ChannelClosed) =>
      logged(Effect.logWarning(error.message))
    ),
    Effect.catchTags({
      PodStartError: (error) => told(podSentence(error), failure),
      PodEnded: (error) => told(podSentence(error), endedByPod(error)),
      ClusterError: (error) => told(execSentence(error), failure),
      ChannelClosed: () => Effect.succeed(failure)
    }),
    Effect.tap((status) => logged(Effect.annotateLogs(Effect.logDebug("program ended"), { status }))),
    Effect.flatMap((status) => Effect.andThen(asked.signals.end, channel.exit(status))),
    // Behind the exit: what the program left behind is ended then, and its user does not wait for that.
    Effect.scoped
  )
}
