/**
 * Mode `session`: a pod for each session channel, whose console container runs the channel's program. The container's
 * exit code is the program's; the pod is deleted with the channel. How the program begins: `WaitingShell.ts`.
 */
import {
  type Cause,
  Clock,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Option,
  Queue,
  Ref,
  Sink,
  Stream,
  SubscriptionRef
} from "effect"
import { type Config, consoleContainer, startTimeout, stopTimeout } from "../config/Config.ts"
import * as Metrics from "../Metrics.ts"
import * as PodLifetime from "../pod/PodLifetime.ts"
import { disruption, podReadiness } from "../pod/PodReadiness.ts"
import { randomPodName } from "../pod/PodSource.ts"
import { PodDeleted, PodEnded, PodFailed } from "../pod/PodStartError.ts"
import { newsPatience } from "../pod/RunningPod.ts"
import { Cluster, type ClusterError, type ExecExit, type ExecProcess } from "../ports/Cluster.ts"
import type { Pod, PodRef } from "../ports/Pod.ts"
import type { Leader } from "../session/Announcement.ts"
import * as HelperExec from "../session/HelperExec.ts"
import type { LaunchedProgram, ProgramLaunch, SessionPod } from "../session/Launch.ts"
import { exitStatus, isSignal } from "../session/Signals.ts"
import { sessionManifest } from "../template/PodTemplate.ts"
import { type ConnectionPod, type ConnectionRequest, firstActivity, type Mode } from "./ConnectionPod.ts"
import { afterMarker, goLine, signalCommand, waitingCommand } from "./WaitingShell.ts"

/** How the program ended, by the container's status; why the pod is no more; or nothing yet. */
const endOf = (pod: Pod, container: string): Exit.Exit<ExecExit, PodEnded> | undefined => {
  const { name } = pod.metadata
  if (pod.metadata.deletionTimestamp !== undefined) {
    return Exit.fail(new PodEnded({ pod: name, reason: new PodDeleted(disruption(pod)) }))
  }
  const terminated = pod.status?.containerStatuses?.find((status) => status.name === container)?.state?.terminated
  if (pod.status?.reason === undefined && terminated !== undefined && terminated.reason !== "OOMKilled") {
    return Exit.succeed({ _tag: "Exited", code: terminated.exitCode })
  }
  const readiness = podReadiness(pod, container)
  return readiness._tag === "Failed"
    ? Exit.fail(
      new PodEnded({ pod: name, reason: new PodFailed({ reason: readiness.reason, detail: readiness.detail }) })
    )
    : undefined
}

/** Sends the line that the container waits for, then what is given to the sink. */
const starting = Effect.fnUntraced(function*(process: ExecProcess) {
  const input = yield* Queue.bounded<Uint8Array, Cause.Done>(1)
  const feeding = yield* Effect.forkScoped(
    Stream.run(Stream.concat(Stream.make(goLine), Stream.fromQueue(input)), process.stdin)
  )
  return Sink.forEach((bytes: Uint8Array) => Queue.offer(input, bytes)).pipe(
    Sink.mapEffect(() => Effect.andThen(Queue.end(input), Fiber.join(feeding)))
  ) satisfies ExecProcess["stdin"]
})

/** How long the end of a program's processes may take that are asked to go before their pod is deleted. */
const farewell = "5 seconds"

/** How much later than its program's streams the container's end may be told: the kubelet looks once a second. */
const endPatience = "1500 millis"

const launch = Effect.fn("SessionMode.launch")(function*(
  config: Config,
  request: ConnectionRequest,
  activity: SubscriptionRef.SubscriptionRef<string>,
  named: (name: string) => Effect.Effect<void>,
  program: ProgramLaunch,
  size: Parameters<SessionPod["launch"]>[1]
) {
  const cluster = yield* Cluster
  const container = consoleContainer(config.pod).name
  const name = yield* randomPodName(config.pod.namePrefix)
  const ref: PodRef = { namespace: config.pod.namespace, name }
  const terminal = program.terminal !== undefined
  yield* named(name)
  yield* request.onPod(ref)
  const running = yield* Metrics.podStart(PodLifetime.acquire({
    manifest: sessionManifest(config, request.identity, name, { command: waitingCommand(program), terminal }),
    container,
    startTimeout: startTimeout(config),
    stopTimeout: stopTimeout(config),
    onLeftBehind: request.onLeftBehind(ref),
    activity
  }))
  const end = yield* Deferred.make<ExecExit, PodEnded>()
  /** Also when that is told after its container's end. */
  const taken = yield* Deferred.make<never, PodEnded>()
  const tell = (exit: Exit.Exit<ExecExit, PodEnded>) => {
    const told = Deferred.done(end, exit)
    return Exit.isFailure(exit) ? Effect.andThen(told, Deferred.failCause(taken, exit.cause)) : Effect.asVoid(told)
  }
  yield* running.changes.pipe(
    Stream.runForEach((pod) => {
      const exit = endOf(pod, container)
      return exit === undefined ? Effect.void : tell(exit)
    }),
    Effect.forkScoped
  )
  // A pod that is gone shows no change any more; whatever else ends it does.
  yield* Effect.flip(running.ended).pipe(
    Effect.flatMap((error) => error.reason._tag === "PodDeleted" ? tell(Exit.fail(error)) : Effect.void),
    Effect.forkScoped
  )
  const ended: LaunchedProgram["ended"] = Effect.andThen(Deferred.await(end), Effect.never)
  const process = yield* cluster.attach({
    pod: ref,
    container,
    ...terminal ? { terminal: yield* size } : {}
  }).pipe(Effect.raceFirst(ended))

  const leader = yield* Deferred.make<Leader>()
  const givenUp = yield* Deferred.make<void>()
  const patience = config.timeouts.commandStart ?? config.timeout
  yield* Deferred.await(leader).pipe(
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => {
        const detail = `the shell that starts it has not answered within ${Duration.format(patience)}`
        return Effect.andThen(
          Deferred.succeed(end, { _tag: "NotStarted", detail }),
          Deferred.succeed(givenUp, undefined)
        )
      }
    }),
    Effect.forkScoped
  )
  /** Whether the signal was delivered; `undefined` where no answer came. */
  const kill = (name: string): Effect.Effect<boolean | undefined> =>
    Deferred.await(leader).pipe(
      Effect.flatMap((shell) => HelperExec.run(cluster, { ref, container }, signalCommand(shell, name))),
      Effect.map((exit) => exit?._tag === "Exited" && exit.code <= 1 ? exit.code === 0 : undefined),
      Effect.timeoutOrElse({ duration: farewell, orElse: () => Effect.succeed(undefined) }),
      Effect.catch((error: ClusterError) => Effect.as(Effect.logDebug(error.message), undefined))
    )
  /** The program's exit code, once it has ended by itself or by a signal. */
  const ownEnd = Deferred.await(end).pipe(
    Effect.catch(() => Effect.never),
    Effect.flatMap((exit) => exit._tag === "Exited" ? Effect.succeed(exit.code) : Effect.never)
  )
  /**
   * What ends the program ends its container, which may cut the answer off or keep it from ever coming: that it ended
   * is the answer then, of whatever code, since a program may handle a signal by ending as it likes.
   */
  const signal = (name: string): Effect.Effect<boolean> =>
    kill(name).pipe(
      Effect.flatMap((answer) =>
        answer === undefined
          ? Effect.map(Effect.timeoutOption(ownEnd, endPatience), Option.isSome)
          : Effect.succeed(answer)
      ),
      Effect.raceFirst(Effect.flatMap(ownEnd, (code) =>
        exitStatus(code, new Set([name]))._tag === "Signaled"
          ? Effect.succeed(true)
          : Effect.never))
    )
  yield* Effect.addFinalizer(() =>
    Effect.all([Deferred.isDone(end), Deferred.isDone(leader)]).pipe(
      Effect.flatMap(([over, begun]) =>
        // What is stopped hears of the others when it goes on.
        over || !begun ? Effect.void : Effect.forEach(["HUP", "TERM", "CONT"], kill, { discard: true })
      )
    )
  )
  return {
    process: {
      stdin: yield* starting(process),
      output: afterMarker(process.output, (shell) => Effect.asVoid(Deferred.succeed(leader, shell))).pipe(
        Stream.interruptWhen(Deferred.await(givenUp))
      ),
      resize: process.resize,
      // The stream's own status only says that it ended.
      exit: Deferred.await(end).pipe(Effect.catch(() => Effect.never))
    },
    ended,
    check: Effect.void,
    checkKilled: Effect.asVoid(Effect.timeoutOption(Deferred.await(taken), newsPatience)),
    signal: (name) => isSignal(name) ? signal(name) : Effect.succeed(false),
    interrupt: signal("INT")
  } satisfies LaunchedProgram
})

/** Each channel's pod is created when its program is asked for. */
export const perSession = (config: Config): Mode =>
  Effect.fnUntraced(function*(request: ConnectionRequest) {
    const cluster = yield* Cluster
    const openedAt = yield* Clock.currentTimeMillis
    return {
      forSession: Effect.gen(function*() {
        const activity = yield* SubscriptionRef.make(firstActivity)
        const name = yield* Ref.make<string | undefined>(undefined)
        const named = (made: string) => Ref.set(name, made)
        return {
          name: Ref.get(name),
          activity,
          launch: (program, size) =>
            launch(config, request, activity, named, program, size).pipe(Effect.provideService(Cluster, cluster))
        } satisfies SessionPod
      }),
      since: Effect.succeed(openedAt),
      over: Effect.never
    } satisfies ConnectionPod
  })
