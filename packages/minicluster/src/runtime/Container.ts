/** One run of a container: its first process, what is executed beside it, and who is attached to it. */
import { Deferred, Effect, Latch, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { chown, mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { type ByteSink, type ByteSource } from "./Bytes.ts"
import { type ContainerLog, type OutputName } from "./ContainerLog.ts"
import { type FanOut, makeFanOut } from "./FanOut.ts"
import { programsOf } from "./Images.ts"
import { enterCommand, startCommand } from "./Isolation.ts"
import { type ProcessError } from "./Pipe.ts"
import { type ProcessStreams, startProcess } from "./Process.ts"
import {
  environmentOf,
  homeOf,
  machinePath,
  mainProgram,
  makePrograms,
  type ProgramOptions,
  resolveProgram,
  runsAs,
  RuntimeError
} from "./Program.ts"
import { type TerminalSize } from "./Pty.ts"
import { type Place, prepareRoot, type RootFilesystem } from "./RootFilesystem.ts"
import { markVariable, startSweeper } from "./Sweeper.ts"

export { RuntimeError }

export interface ExecOptions {
  readonly argv: ReadonlyArray<string>
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly terminal: TerminalSize | undefined
}

/** A container whose first process is running. */
export interface RunningContainer {
  readonly id: string
  /** The first process, as the machine counts. */
  readonly pid: number
  /** Completes when the first process has ended, its output is in the log and nothing of the container is left. */
  readonly exitCode: Effect.Effect<number>
  /** SIGTERM to the first process alone. */
  readonly terminate: Effect.Effect<void>
  /** SIGKILL to all of it; `exitCode` tells when it is gone. */
  readonly kill: Effect.Effect<void>
  readonly exec: (options: ExecOptions) => Effect.Effect<ProcessStreams, RuntimeError, Scope.Scope>
  /**
   * The first process' streams from now on, without what was before. Several may be attached at once and have all of
   * the output each; one that does not read stops the container as a full pipe does.
   */
  readonly attach: (options: { readonly stdin: boolean }) => Effect.Effect<ProcessStreams, RuntimeError, Scope.Scope>
}

export interface ContainerOptions extends ProgramOptions {
  readonly log: ContainerLog
  /** Of an ephemeral container: whose processes it shares. */
  readonly target?: RunningContainer
}

const terminalOfMain: TerminalSize = { width: 80, height: 24 }
/** A process that is out of our reach could hold the container's output for ever. */
const drainTime = "2 seconds"

const prefixed = (prefix: string) => (error: RuntimeError | ProcessError) =>
  new RuntimeError({ message: `${prefix}: unable to start container process: ${error.message}: unknown` })

const exited = new RuntimeError({ message: "container is in CONTAINER_EXITED state" })

const profile = "/etc/profile"

/** The container's places on the machine: its home, the programs of its image, and what is mounted where. */
const makeFilesystem = Effect.fnUntraced(
  function*(options: ContainerOptions, id: string, directory: string) {
    const { isolation, mounts, spec } = options
    const home = homeOf(options)
    yield* Effect.promise(async () => {
      await mkdir(home.source, { recursive: true, mode: 0o700 })
      if (home.owner !== 0) await chown(home.source, home.owner, -1)
      await makePrograms(options)
    })
    if (isolation._tag === "Shared") return undefined
    const folder = join(options.directory, "roots", id.slice(0, 12))
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined))
    )
    const covered = mounts.some(({ target }) => options.directory.startsWith(`${target}/`))
    const places: ReadonlyArray<Place> = [
      ...mounts,
      ...(home.owner === 0 ? [] : [home]),
      // A login shell would set the machine's PATH.
      ...(programsOf(spec.image) === undefined || !existsSync(profile)
        ? []
        : [{ source: "/dev/null", target: profile, readOnly: true }]),
      ...(covered ? [{ source: options.directory, target: options.directory }] : []),
      // A runtime makes a working folder that is not there.
      { target: directory }
    ]
    const inUse = [options.directory, "/etc/resolv.conf", ...machinePath.split(":")]
    return yield* Effect.try({
      try: () =>
        prepareRoot(places, folder, inUse, {
          readOnlyRoot: spec.securityContext?.readOnlyRootFilesystem ?? false,
          user: isolation.user
        }),
      catch: (cause) => new RuntimeError({ message: cause instanceof Error ? cause.message : String(cause) })
    })
  }
)

interface Output {
  readonly name: OutputName
  readonly source: ByteSource
  readonly fanOut: FanOut
}

const pump = ({ fanOut, name, source }: Output, log: ContainerLog): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let bytes = yield* source.read; bytes !== undefined; bytes = yield* source.read) {
      yield* log.append(bytes, name)
      yield* fanOut.write(bytes)
    }
  }).pipe(Effect.ensuring(fanOut.end))

/**
 * Starts the first process; closing the scope kills all of the container and waits for it to be gone. A start is not
 * interrupted halfway, when nobody would know yet whom to kill.
 */
export const startContainer = (options: ContainerOptions): Effect.Effect<RunningContainer, RuntimeError, Scope.Scope> =>
  Effect.gen(function*() {
    const { isolation, log, pod, spec, target } = options
    const id = randomBytes(32).toString("hex")
    const directory = spec.workingDir === undefined ? homeOf(options).target : join("/", spec.workingDir)
    // What has a PID namespace of its own ends with it; anything else is found by a mark.
    const marked = isolation._tag === "Shared" || target !== undefined
    const environment = { ...environmentOf(options), ...(marked ? { [markVariable]: id } : {}) }
    const identity = runsAs(options)
    const filesystem: RootFilesystem | undefined = yield* makeFilesystem(options, id, directory)
    const argv = yield* mainProgram(options, directory)
    const sweeper = marked ? yield* startSweeper(isolation.tools, id) : undefined
    const hostname = (pod.spec.hostname ?? pod.metadata.name).slice(0, 63)
    const main = yield* startProcess({
      tools: isolation.tools,
      command: (terminal) =>
        startCommand(isolation, { hostname, filesystem, beside: target?.pid }, {
          argv,
          directory,
          environment,
          terminal,
          identity
        }),
      directory: options.directory,
      stdin: spec.stdin === true,
      stdout: true,
      stderr: spec.tty !== true,
      terminal: spec.tty === true ? terminalOfMain : undefined,
      owner: identity?.user
    })
    const report = yield* main.report
    const pid = Number(report)
    if (!(pid > 0)) {
      const why = report.startsWith("!") ? report.slice(1) : "the machine refused to set up the container"
      return yield* new RuntimeError({ message: why })
    }
    yield* log.begin
    let killed = false
    const signal = (name: NodeJS.Signals) =>
      Effect.sync(() => {
        try {
          process.kill(pid, name)
        } catch {
          // It ended by itself meanwhile.
        }
      })
    const ended = Deferred.makeUnsafe<void>()
    const gone = Deferred.makeUnsafe<number>()
    const kill = Effect.suspend(() => {
      // Its number may be another's by now.
      if (Deferred.isDoneUnsafe(ended)) return Effect.void
      killed = true
      return signal("SIGKILL")
    })
    /** How many programs are about to enter; what is not in a namespace must be swept after the last of them. */
    let entering = 0
    const entered = Latch.makeUnsafe(true)
    const enter = <A, E, R>(start: Effect.Effect<A, E, R>) =>
      Effect.suspend(() => {
        entering++
        entered.closeUnsafe()
        return Effect.ensuring(
          start,
          Effect.sync(() => {
            if (--entering === 0) entered.openUnsafe()
          })
        )
      })
    const outputs = (["stdout", "stderr"] as const).flatMap((name): ReadonlyArray<Output> => {
      const source = main[name]
      return source === undefined ? [] : [{ name, source, fanOut: makeFanOut() }]
    })
    const drained = Deferred.makeUnsafe<void>()
    yield* Effect.forkScoped(
      Effect.gen(function*() {
        const code = yield* main.exitCode
        yield* Deferred.succeed(ended, undefined)
        if (sweeper !== undefined) {
          yield* Effect.timeoutOption(entered.await, drainTime)
          yield* sweeper.sweep
        }
        yield* Effect.forEach(outputs, ({ fanOut }) => fanOut.hurry, { discard: true })
        yield* Effect.timeoutOption(Deferred.await(drained), drainTime)
        yield* log.end
        // unshare cannot end by SIGKILL itself and reports 1 instead.
        yield* Deferred.succeed(gone, killed ? 137 : code)
      }),
      { startImmediately: true }
    )
    yield* Effect.forkScoped(
      Effect.forEach(outputs, (output) => pump(output, log), { concurrency: "unbounded" }).pipe(
        Effect.andThen(Deferred.succeed(drained, undefined))
      )
    )
    yield* Effect.addFinalizer(() =>
      Effect.andThen(kill, Deferred.await(gone)).pipe(Effect.timeoutOption("10 seconds"))
    )
    const attached = (source: OutputName) =>
      outputs.find(({ name }) => name === source)?.fanOut.attach ?? Effect.undefined
    /** The first client that leaves closes a stdin that is open once; a terminal has no end. */
    const closeOnce = spec.stdinOnce === true && spec.tty !== true ? main.stdin?.end ?? Effect.void : Effect.void
    return {
      id,
      pid,
      exitCode: Deferred.await(gone),
      terminate: Effect.suspend(() => Deferred.isDoneUnsafe(ended) ? Effect.void : signal("SIGTERM")),
      kill,
      exec: Effect.fnUntraced(function*(exec: ExecOptions) {
        const started = Effect.gen(function*() {
          const argv = yield* resolveProgram(options, exec.argv, directory)
          if (Deferred.isDoneUnsafe(ended)) return undefined
          return yield* enter(entry(argv))
        })
        const entry = Effect.fnUntraced(function*(argv: ReadonlyArray<string>) {
          const program = yield* startProcess({
            tools: isolation.tools,
            command: (terminal) =>
              enterCommand(isolation, pid, {
                argv,
                directory,
                environment: { ...environment, ...(exec.terminal === undefined ? {} : { TERM: "xterm" }) },
                terminal,
                identity
              }),
            directory: options.directory,
            ...exec,
            owner: identity?.user
          })
          return (yield* program.report) === "" ? undefined : program
        })
        const refused = prefixed(
          `failed to exec in container: failed to start exec "${
            randomBytes(32).toString("hex")
          }": OCI runtime exec failed: exec failed`
        )
        const program = yield* Effect.mapError(started, refused)
        // A container that ends takes what was about to enter it along.
        return program ?? (yield* new RuntimeError({ message: `failed to exec in container: ${exited.message}` }))
      }),
      attach: Effect.fnUntraced(function*({ stdin: wantsStdin }: { readonly stdin: boolean }) {
        if (Deferred.isDoneUnsafe(gone)) return yield* exited
        const input = wantsStdin ? main.stdin : undefined
        const stdin: ByteSink | undefined = input === undefined ? undefined : { write: input.write, end: closeOnce }
        if (stdin !== undefined) yield* Effect.addFinalizer(() => closeOnce)
        return {
          exitCode: Deferred.await(gone),
          stdin,
          stdout: yield* attached("stdout"),
          stderr: yield* attached("stderr"),
          resize: main.resize,
          // Its end is the container's business.
          kill: Effect.void
        }
      })
    } satisfies RunningContainer
  }).pipe(
    Effect.mapError(
      prefixed(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed"
      )
    ),
    Effect.uninterruptible
  )
