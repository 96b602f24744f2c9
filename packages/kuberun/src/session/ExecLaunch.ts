/**
 * Starts programs in a running pod, each by an exec, and ends what they leave behind.
 *
 * An exec in Kubernetes has no environment and no signals, and closing it ends nothing. What the image has decides how
 * that is made up for: ContainerSSH's agent where the configuration says so, else `sh`, else nothing: then a program is
 * started as it is, and cannot be signalled.
 */
import { Deferred, Duration, Effect, Exit, Fiber, Option, Random, Schedule, Scope, Sink, Stream } from "effect"
import type { Config } from "../config/Config.ts"
import type { PodEnded } from "../pod/PodStartError.ts"
import { newsPatience, type RunningPod } from "../pod/RunningPod.ts"
import { CallTimedOut, Cluster, ClusterError, type ExecExit, isTransient } from "../ports/Cluster.ts"
import type { TerminalSize } from "../ports/Output.ts"
import { type Leader, reader as announcementReader } from "./Announcement.ts"
import * as GuestAgent from "./GuestAgent.ts"
import * as HelperExec from "./HelperExec.ts"
import type { LaunchedProgram, ProgramLaunch } from "./Launch.ts"
import * as ProcessTree from "./ProcessTree.ts"
import { shell, withPrologue } from "./ProgramPrologue.ts"
import * as ProgramStart from "./ProgramStart.ts"

/** What the launcher has to know of the pod beside where it is. */
export interface ExecLaunchOptions {
  readonly config: Config
  /** Others use the pod too, now or later: a program that ended must leave nothing behind in it. */
  readonly shared: boolean
  /**
   * Closes when the connection lets go of the pod. What a program leaves behind in a pod that is not shared is ended
   * only as long as this is open: it goes with the pod.
   */
  readonly podScope: Scope.Scope
}

/** How a program is started so that it can be signalled, from the way to be preferred on. */
const ways = ["Agent", "Shell"] as const
type Way = typeof ways[number]

/** The process that a program is, and by which way that is known. */
interface Found {
  readonly leader: Leader
  readonly way: Way
}

/** Ways that the image of a pod turned out not to have. */
const withoutWay = new WeakMap<RunningPod, Set<Way>>()

/** How long a start that its user broke off may go on in a pod that stays, so that what it started can be ended. */
const lateStart = "5 seconds"

/** How long the ending of what a program left behind may take in all. */
const endingTime = "15 seconds"

/** A program that there is not. */
const nothing = { stdin: Sink.drain, output: Stream.empty, resize: () => Effect.void } as const

/** In which a connection that ends as a whole takes its pod along, so that nothing need be ended in it. */
const endingDelay = "250 millis"

const encoder = new TextEncoder()

/** One that no other start has. */
const randomWord = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 36, { halfOpen: true }), 16),
  (digits) => digits.map((digit) => digit.toString(36)).join("")
)

/** The lines that `ProcessTree.endCommand` reads, each at its time. */
const endingLines = Stream.fromIterable(ProcessTree.schedule).pipe(
  Stream.mapEffect(([millis, line]) => Effect.as(Effect.sleep(millis), encoder.encode(`${line}\n`)))
)

/** The agent has no word for a whole tree: its one process is told three times. */
const agentEnding = [["HUP", "1 second"], ["TERM", "2 seconds"], ["KILL", "0 seconds"]] as const

/** Short programs of ours in the pod, for a program whose leader is known. */
const helpers = (cluster: Cluster["Service"], running: RunningPod, agent: string | undefined) => {
  const succeeds = (command: ReadonlyArray<string>) =>
    Effect.map(HelperExec.run(cluster, running, command), (exit) => exit?._tag === "Exited" && exit.code === 0)
  const signal = (leader: Leader, name: string) =>
    succeeds(
      agent === undefined ? ProcessTree.signalCommand(leader, name) : GuestAgent.signalCommand(agent, leader, name)
    )
  return {
    signal,
    interrupt: (leader: Leader) => succeeds(ProcessTree.interruptCommand(leader)),
    end: Effect.fnUntraced(function*(leader: Leader) {
      const ended = yield* HelperExec.run(cluster, running, ProcessTree.endCommand(leader), endingLines).pipe(
        Effect.retry({ schedule: Schedule.spaced("1 second"), while: isTransient })
      )
      if (ended !== undefined && ProgramStart.isMissing(ended, shell) && agent !== undefined) {
        for (const [name, pause] of agentEnding) {
          if (!(yield* signal(leader, name))) return
          yield* Effect.sleep(pause)
        }
      } else if (ended?._tag !== "Exited" || ended.code !== 0) {
        yield* Effect.logWarning("some of the program's processes could not be ended")
      }
    })
  }
}

/** Bounds what only accompanies a program: when its time is over, it was not possible. */
const within = <A>(effect: Effect.Effect<A, ClusterError>, limit: Duration.Input, otherwise: A): Effect.Effect<A> =>
  effect.pipe(
    Effect.timeoutOption(limit),
    Effect.map(Option.getOrElse(() => otherwise)),
    Effect.catch((error) => Effect.as(Effect.logDebug(error.message), otherwise))
  )

/**
 * Starts the program. It has begun when this completes, or has shown no sign of its own so far; a sign that it cannot
 * be is on `exit`. When the scope closes, its streams are closed and whatever still runs of it is ended (`shared` pods:
 * also what a program leaves behind that ended by itself): HUP, TERM, KILL. What has left the program's session and
 * its family, as a daemon or tmux(1) does, stays.
 */
export const launch = Effect.fn("ExecLaunch.launch")(function*(
  running: RunningPod,
  program: ProgramLaunch,
  size: Effect.Effect<TerminalSize>,
  options: ExecLaunchOptions
): Effect.fn.Return<LaunchedProgram, ClusterError | PodEnded, Cluster | Scope.Scope> {
  const cluster = yield* Cluster
  const { config, podScope, shared } = options
  const { pod, timeouts } = config
  const agent = pod.disableAgent ? undefined : pod.agentPath
  const missingWays = withoutWay.get(running) ?? new Set<Way>(agent === undefined ? ["Agent"] : [])
  withoutWay.set(running, missingWays)
  const terminal = program.terminal === undefined ? undefined : yield* size
  const leader = yield* Deferred.make<Found | undefined>()
  const streams = yield* Scope.make()
  const leaving = yield* Deferred.make<void>()
  let endedItself = false

  const fileOf = (way: Way) => way === "Agent" ? pod.agentPath : shell
  const help = (way: Way) => helpers(cluster, running, way === "Agent" ? agent : undefined)

  const letGo = Effect.gen(function*() {
    yield* Deferred.succeed(leaving, undefined)
    // A program that is just being started in a pod that stays is waited for, to be ended.
    const known = shared || (yield* Deferred.isDone(leader))
      ? yield* Effect.timeoutOption(Deferred.await(leader), lateStart)
      : Option.none()
    yield* Scope.close(streams, Exit.void)
    const found = Option.getOrUndefined(known)
    if (found === undefined || (endedItself && !shared)) return
    const ended = help(found.way).end(found.leader).pipe(
      Effect.timeout(endingTime),
      Effect.catch((error) => Effect.logWarning(`what a program left behind was not ended: ${error.message}`))
    )
    const ending = Effect.asVoid(Effect.raceFirst(Effect.exit(running.ended), ended))
    yield* shared ? ending : Effect.forkIn(Effect.delay(ending, endingDelay), podScope)
  })
  yield* Effect.addFinalizer(() => letGo)

  const exec = (command: ReadonlyArray<string>, scope: Scope.Scope) =>
    cluster.exec({ pod: running.ref, container: running.container, command, terminal }).pipe(
      Effect.timeoutOrElse({
        duration: timeouts.commandStart ?? config.timeout,
        orElse: () => {
          const limit = Duration.format(timeouts.commandStart ?? config.timeout)
          const detail = `the program's streams were not accepted within ${limit}`
          return Effect.fail(
            new ClusterError({ operation: "start the program", reason: new CallTimedOut({ detail }) })
          )
        }
      }),
      // A pod that is gone is what the API server means, whatever its words.
      Effect.catchTag("ClusterError", (error) => Effect.andThen(running.check, Effect.fail(error))),
      Scope.provide(scope)
    )

  const announced = Effect.fnUntraced(function*(way: Way, scope: Scope.Scope) {
    const onTerminal = terminal !== undefined
    const word = yield* randomWord
    const command = way === "Agent" && agent !== undefined
      ? GuestAgent.consoleCommand(agent, program, program.command)
      : withPrologue(program, word)
    const process = yield* exec(command, scope)
    const place: ProgramStart.AnnouncementPlace = way === "Agent"
      ? { on: "Stdout", reader: GuestAgent.reader(onTerminal) }
      : { on: onTerminal ? "Stdout" : "Stderr", reader: announcementReader(word) }
    return yield* Scope.provide(ProgramStart.read(process, place, program.command[0]), scope)
  })

  const plain = Effect.gen(function*() {
    yield* Deferred.succeed(leader, undefined)
    const { withoutShell } = program
    if ("refusal" in withoutShell) {
      return { ...nothing, exit: Effect.succeed<ExecExit>({ _tag: "NotStarted", detail: withoutShell.refusal }) }
    }
    const process = yield* exec(withoutShell, streams)
    const exit = Effect.map(process.exit, (exit): ExecExit =>
      ProgramStart.isMissing(exit, withoutShell[0])
        ? { _tag: "NotStarted", detail: `the image of your pod has no shell, and no ${withoutShell[0]} either` }
        : exit)
    return { ...process, exit }
  })

  const start = Effect.gen(function*() {
    for (const way of ways.filter((way) => !missingWays.has(way))) {
      const attempt = yield* Scope.fork(streams)
      const started = yield* announced(way, attempt)
      const exit = started.endedUnseen ? yield* Effect.option(started.process.exit) : Option.none()
      if (Option.isNone(exit) || !ProgramStart.isMissing(exit.value, fileOf(way))) {
        yield* started.leader.pipe(
          Effect.flatMap((found) => Deferred.succeed(leader, found && { leader: found, way })),
          Effect.forkIn(attempt, { startImmediately: true })
        )
        yield* Effect.forkIn(Effect.andThen(Deferred.await(leaving), started.skipToLeader), attempt)
        return started.process
      }
      yield* Effect.logDebug(way === "Agent" ? `the image has no ${pod.agentPath}` : "the image has no shell")
      missingWays.add(way)
      yield* Scope.close(attempt, Exit.void)
    }
    return yield* plain
  }).pipe(Effect.onError(() => Deferred.succeed(leader, undefined)))

  const programCheck = yield* running.programCheck
  // A fiber of its own: whoever interrupts the start still has to know what was started.
  const starting = yield* Effect.forkIn(start, streams, { startImmediately: true })
  const process = yield* Fiber.join(starting).pipe(
    Effect.raceFirst(running.ended),
    Effect.tapError(() => Deferred.succeed(leader, undefined))
  )

  const asked = (ask: (found: Found) => Effect.Effect<boolean, ClusterError>) =>
    within(
      Effect.flatMap(Deferred.await(leader), (found) => found === undefined ? Effect.succeed(false) : ask(found)),
      timeouts.signal ?? config.timeout,
      false
    )
  return {
    process: {
      ...process,
      resize: (newest) => within(process.resize(newest), timeouts.window ?? config.timeout, undefined),
      exit: Effect.tap(process.exit, () => Effect.sync(() => (endedItself = true)))
    },
    ended: running.ended,
    check: programCheck(),
    checkKilled: programCheck(newsPatience),
    signal: (name) => asked((found) => help(found.way).signal(found.leader, name)),
    interrupt: terminal === undefined
      ? Effect.succeed(false)
      : asked((found) => help(found.way).interrupt(found.leader))
  }
})
