/**
 * Mode `session`: a pod for each session channel, whose console container runs the channel's program. The container's
 * exit code is the program's; the pod is deleted with the channel.
 *
 * Kubernetes starts a container before anybody can be attached to it: what a program wrote meanwhile would be lost. So
 * the container begins with a small `sh` that waits for one line on its stdin. That line is sent when the streams are
 * there; the shell then says so on stdout, in a marker that is not passed on, and runs the program. It stays the
 * container's first process, because a program in that place would get no signal that it does not handle (signal(7)).
 */
import { type Cause, Clock, Deferred, Effect, Exit, Fiber, Queue, Ref, Sink, Stream, SubscriptionRef } from "effect"
import { type Config, consoleContainer, startTimeout, stopTimeout } from "../config/Config.ts"
import * as Metrics from "../Metrics.ts"
import * as PodLifetime from "../pod/PodLifetime.ts"
import { disruption, podReadiness } from "../pod/PodReadiness.ts"
import { randomPodName } from "../pod/PodSource.ts"
import { PodDeleted, PodEnded, PodFailed } from "../pod/PodStartError.ts"
import { observe } from "../pod/PodWatch.ts"
import { Cluster, type ClusterError, type ExecExit, type ExecProcess, type PodEvent } from "../ports/Cluster.ts"
import { type Output, stdout } from "../ports/Output.ts"
import type { PodRef } from "../ports/Pod.ts"
import type { LaunchedProgram, ProgramLaunch, SessionPod } from "../session/Launch.ts"
import { withPrologue } from "../session/ProgramPrologue.ts"
import { isSignal } from "../session/Signals.ts"
import { sessionManifest } from "../template/PodTemplate.ts"
import { type ConnectionPod, type ConnectionRequest, firstActivity, type Mode } from "./ConnectionPod.ts"

/** An operating system command (ECMA-48 OSC) that means nothing to any terminal. */
const marker = "\u001b]kuberun;go\u0007"

/**
 * The container's first process. `stty` keeps a terminal from echoing the line that it waits for; the program's own
 * settings come after.
 */
const waiting = [
  "[ ! -t 0 ] || stty -echo 2>/dev/null",
  "IFS= read -r line || exit 0",
  "[ ! -t 0 ] || stty echo 2>/dev/null",
  "printf '\\033]kuberun;go\\007'",
  "trap : HUP INT QUIT TERM",
  "\"$@\"",
  "exit $?"
].join("\n")

const sessionCommand = (program: ProgramLaunch): ProgramLaunch["command"] => [
  "/bin/sh",
  "-c",
  waiting,
  "sh",
  ...withPrologue(program)
]

const encoder = new TextEncoder()
const line = encoder.encode("\n")
const markerBytes = encoder.encode(marker)

/** Where `marker` ends in `bytes`, or −1. */
const markerEnd = (bytes: Uint8Array): number => {
  const last = bytes.length - markerBytes.length
  for (let place = 0; place <= last; place++) {
    if (markerBytes.every((byte, index) => bytes[place + index] === byte)) return place + markerBytes.length
  }
  return -1
}

/**
 * Output from the marker on. What a terminal may have echoed before it is dropped; what stands on stderr, which only
 * the runtime can have written by then, is not.
 */
export const afterMarker = <E>(output: Stream.Stream<Output, E>): Stream.Stream<Output, E> =>
  Stream.suspend(() => {
    let held: Uint8Array | undefined = new Uint8Array(0)
    return Stream.flatMap(output, (piece) => {
      if (held === undefined || piece._tag === "Stderr") return Stream.make(piece)
      const bytes: Uint8Array = new Uint8Array(held.length + piece.bytes.length)
      bytes.set(held)
      bytes.set(piece.bytes, held.length)
      const end = markerEnd(bytes)
      if (end < 0) {
        held = bytes.slice(-markerBytes.length)
        return Stream.empty
      }
      held = undefined
      return end === bytes.length ? Stream.empty : Stream.make(stdout(bytes.subarray(end)))
    })
  })

/** How the program ended, by the container's status; why the pod is no more; or nothing yet. */
const endOf = (event: PodEvent, container: string, pod: PodRef): Exit.Exit<ExecExit, PodEnded> | undefined => {
  if (event._tag === "Absent") return Exit.fail(new PodEnded({ pod: pod.name, reason: new PodDeleted() }))
  const status = event.pod.status?.containerStatuses?.find(({ name }) => name === container)
  const terminated = status?.state?.terminated
  const taken = event.pod.metadata.deletionTimestamp !== undefined
  const reason = event.pod.status?.reason
  if (!taken && reason === undefined && terminated !== undefined && terminated.reason !== "OOMKilled") {
    return Exit.succeed({ _tag: "Exited", code: terminated.exitCode })
  }
  if (taken) return Exit.fail(new PodEnded({ pod: pod.name, reason: new PodDeleted(disruption(event.pod)) }))
  const readiness = podReadiness(event.pod, container)
  return readiness._tag === "Failed"
    ? Exit.fail(
      new PodEnded({ pod: pod.name, reason: new PodFailed({ reason: readiness.reason, detail: readiness.detail }) })
    )
    : undefined
}

/** Sends the line that the container waits for, then what is given to the sink. */
const starting = Effect.fnUntraced(function*(process: ExecProcess) {
  const input = yield* Queue.bounded<Uint8Array, Cause.Done>(1)
  const feeding = yield* Effect.forkScoped(
    Stream.run(Stream.concat(Stream.make(line), Stream.fromQueue(input)), process.stdin)
  )
  return Sink.forEach((bytes: Uint8Array) => Queue.offer(input, bytes)).pipe(
    Sink.mapEffect(() => Effect.andThen(Queue.end(input), Fiber.join(feeding)))
  ) satisfies ExecProcess["stdin"]
})

/** How long the end of a program's processes may take that are asked to go before their pod is deleted. */
const farewell = "5 seconds"

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
  yield* Metrics.podStart(PodLifetime.acquire({
    manifest: sessionManifest(config, request.identity, name, { command: sessionCommand(program), terminal }),
    container,
    startTimeout: startTimeout(config),
    stopTimeout: stopTimeout(config),
    onLeftBehind: request.onLeftBehind(ref),
    activity
  }))
  const end = yield* Deferred.make<ExecExit, PodEnded>()
  yield* observe(ref).pipe(
    Stream.runForEach((event) => {
      const exit = endOf(event, container, ref)
      return exit === undefined ? Effect.void : Deferred.done(end, exit)
    }),
    Effect.forkScoped
  )
  const ended: LaunchedProgram["ended"] = Effect.andThen(Deferred.await(end), Effect.never)
  const process = yield* cluster.attach({
    pod: ref,
    container,
    ...terminal ? { terminal: yield* size } : {}
  }).pipe(Effect.raceFirst(ended))

  /** To all processes of the container but its first, which is the waiting shell. */
  const kill = (signals: ReadonlyArray<string>): Effect.Effect<boolean> =>
    Effect.scoped(Effect.gen(function*() {
      const command = ["/bin/sh", "-c", signals.map((signal) => `kill -s ${signal} -1`).join("; ")]
      const killing = yield* cluster.exec({ pod: ref, container, command })
      const [exit] = yield* Effect.all([killing.exit, Stream.runDrain(killing.output)], { concurrency: 2 })
      return exit._tag === "Exited" && exit.code === 0
    })).pipe(
      Effect.timeoutOrElse({ duration: farewell, orElse: () => Effect.succeed(false) }),
      Effect.catch((error: ClusterError) => Effect.as(Effect.logDebug(error.message), false))
    )
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(Deferred.isDone(end), (over) => over ? Effect.void : kill(["HUP", "TERM"]))
  )
  return {
    process: {
      stdin: yield* starting(process),
      output: afterMarker(process.output),
      resize: process.resize,
      // The stream's own status only says that it ended.
      exit: Deferred.await(end).pipe(Effect.catch(() => Effect.never))
    },
    ended,
    check: Effect.void,
    signal: (signal) => isSignal(signal) ? kill([signal]) : Effect.succeed(false),
    interrupt: kill(["INT"])
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
