/**
 * The one program of a session channel: waits for the pod, execs in it, pumps its bytes and tells how it ended.
 */
import { Effect, Option, Queue, Stream, type SubscriptionRef } from "effect"
import { Cluster, type ClusterError, type ExecExit } from "./Cluster.ts"
import { stderr, type TerminalSize } from "./Output.ts"
import type { RunningPod } from "./PodLifetime.ts"
import type { PodEnded, PodStartError } from "./PodStartError.ts"
import { withProgress } from "./Progress.ts"
import { execSentence, inputSentence, notStartedSentence, podSentence, printable } from "./Sentences.ts"
import type { ChannelClosed, ExitStatus, SessionChannel } from "./Ssh.ts"

/** The pod of a session's connection, which may still be starting. */
export interface SessionPod {
  readonly running: Effect.Effect<RunningPod, PodStartError>
  /** What it does while it starts, for a person to read. */
  readonly activity: SubscriptionRef.SubscriptionRef<string>
}

/** What to run, and how its terminal changes meanwhile. */
export interface SessionProgram {
  readonly command: ReadonlyArray<string>
  /** The terminal's size when the program was asked for; `undefined` without a terminal. */
  readonly terminal: TerminalSize | undefined
  /** Newer sizes. */
  readonly sizes: Queue.Dequeue<TerminalSize>
}

/** The status where there is no program's own: nothing ran, or how it ended is not known. ssh(1) uses it likewise. */
const failure: ExitStatus = { _tag: "Exited", code: 255 }

/** How long a client that does not read may hold up the last sentence before the channel is closed without it. */
const lastWordsPatience = "5 seconds"

/** What a container runtime reports of a program that was ended by KILL or TERM, as all are when their pod ends. */
const killedCodes: ReadonlySet<number> = new Set([137, 143])

const encoder = new TextEncoder()

/** A sentence on the user's stderr. On a terminal in raw mode a line ends in CR and LF. */
export const say = (channel: SessionChannel, sentence: string, terminal: boolean): Effect.Effect<void> =>
  Stream.run(Stream.make(stderr(encoder.encode(`kuberun: ${sentence}${terminal ? "\r\n" : "\n"}`))), channel.output)
    .pipe(Effect.timeoutOption(lastWordsPatience), Effect.ignore)

/** Execs in a running pod and answers how that ended, after the program's last byte was taken by the client. */
const exec = Effect.fnUntraced(function*(channel: SessionChannel, running: RunningPod, asked: SessionProgram) {
  const cluster = yield* Cluster
  const newest = yield* Queue.poll(asked.sizes)
  const process = yield* cluster.exec({
    pod: running.ref,
    container: running.container,
    command: asked.command,
    terminal: Option.getOrElse(newest, () => asked.terminal)
  })
  yield* Effect.logDebug("program started")

  const input = Stream.run(channel.stdin, process.stdin).pipe(
    Effect.catch((error) =>
      error.reason._tag === "Unsupported"
        ? say(channel, inputSentence(error), false)
        : Effect.logDebug(error.message)
    )
  )
  const resizes = Stream.runForEach(Stream.fromQueue(asked.sizes), process.resize).pipe(
    Effect.catch((error) => Effect.logDebug(error.message))
  )
  // Output and exit make the program's end; its input and its terminal only accompany it.
  return yield* Effect.raceAllFirst([
    Effect.andThen(Stream.run(process.output, channel.output), process.exit),
    Effect.andThen(input, Effect.never),
    Effect.andThen(resizes, Effect.never)
  ])
})

/** Waits for the pod and runs the program in it. Where the pod is the reason for its end, that is what it fails with. */
const run = Effect.fnUntraced(function*(channel: SessionChannel, pod: SessionPod, asked: SessionProgram) {
  const running = yield* (asked.terminal === undefined
    ? pod.running
    : withProgress(pod.running, channel, pod.activity, asked.terminal.columns))
  return yield* exec(channel, running, asked).pipe(
    Effect.tap((exit) => mayBeThePods(exit) ? running.check : Effect.void),
    Effect.catchTag("ClusterError", (error) => Effect.andThen(running.check, Effect.fail(error))),
    Effect.raceFirst(running.ended)
  )
})

/** Whether the end may be the pod's or its container's rather than the program's own. */
const mayBeThePods = (exit: ExecExit): boolean => exit._tag === "NotStarted" || killedCodes.has(exit.code)

const endedByPod = (error: PodEnded): ExitStatus => ({ _tag: "Signaled", signal: "KILL", message: error.message })

/**
 * Runs the program to its end and closes the channel with its status: the program's own, KILL if its pod was taken
 * from under it, else 255 after one sentence on stderr.
 */
export const runProgram = (
  channel: SessionChannel,
  pod: SessionPod,
  asked: SessionProgram
): Effect.Effect<void, never, Cluster> => {
  const told = (sentence: string, status: ExitStatus) =>
    Effect.as(say(channel, sentence, asked.terminal !== undefined), status)
  return Effect.scoped(run(channel, pod, asked)).pipe(
    Effect.flatMap((exit) =>
      exit._tag === "Exited"
        ? Effect.succeed<ExitStatus>(exit)
        : Effect.andThen(
          Effect.logWarning(`the program was not started: ${printable(exit.detail)}`),
          told(notStartedSentence(asked.command, exit.detail), failure)
        )
    ),
    Effect.tapError((error: ClusterError | PodStartError | PodEnded | ChannelClosed) =>
      Effect.logWarning(error.message)
    ),
    Effect.catchTags({
      PodStartError: (error) => told(podSentence(error), failure),
      PodEnded: (error) => told(podSentence(error), endedByPod(error)),
      ClusterError: (error) => told(execSentence(error), failure),
      ChannelClosed: () => Effect.succeed(failure)
    }),
    Effect.tap((status) => Effect.logDebug("program ended").pipe(Effect.annotateLogs({ status }))),
    Effect.flatMap(channel.exit)
  )
}
