/** One run of a container: its first process, and what is executed beside it. */
import { Data, Deferred, Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { type ContainerLog } from "./ContainerLog.ts"
import { defaultPath, findExecutable } from "./Executable.ts"
import { imageBehaviour, imageHas } from "./Images.ts"
import { enterCommand, type Isolation, startCommand } from "./Isolation.ts"
import { type Mount } from "./Mounts.ts"
import { type Container, type Pod } from "./Objects.ts"
import { type ProcessError } from "./Pipe.ts"
import { type ProcessStreams, startProcess } from "./Process.ts"
import { type TerminalSize } from "./Pty.ts"
import { markVariable, startSweeper } from "./Sweeper.ts"

/** The runtime refuses to run a program; `message` is in the words of containerd and runc. */
export class RuntimeError extends Data.TaggedError("RuntimeError")<{ readonly message: string }> {}

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
  /** Completes when the first process has ended and nothing of the container is left. */
  readonly exitCode: Effect.Effect<number>
  /** SIGTERM to the first process alone. */
  readonly terminate: Effect.Effect<void>
  /** SIGKILL to all of it. */
  readonly kill: Effect.Effect<void>
  readonly exec: (options: ExecOptions) => Effect.Effect<ProcessStreams, RuntimeError, Scope.Scope>
  /**
   * The first process' streams from now on, without what was before. Several may be attached at once and have all of
   * the output each; one that does not read stops the container as a full pipe does.
   */
  readonly attach: (options: { readonly stdin: boolean }) => Effect.Effect<ProcessStreams, RuntimeError, Scope.Scope>
}

export interface ContainerOptions {
  readonly isolation: Isolation
  readonly pod: Pod
  readonly spec: Container
  /** The pod's own folder: HOME and working folder of its containers. */
  readonly directory: string
  /** All of it, from `resolveEnvironment`. */
  readonly environment: Readonly<Record<string, string>>
  readonly mounts: ReadonlyArray<Mount>
  readonly log: ContainerLog
  /** Of an ephemeral container: whose processes it shares. */
  readonly target?: RunningContainer
}

/** What a pause container does: nothing, until it is asked to end. */
const pause = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"
const terminalOfMain: TerminalSize = { width: 80, height: 24 }

/**
 * The machine's own folders follow the usual ones, so that its programs are found wherever it keeps them; those that
 * npm put in front for the time of one script are no programs of the machine.
 */
const machinePath = [
  ...defaultPath.split(":"),
  ...(process.env["PATH"] ?? "").split(":").filter((folder) =>
    folder.startsWith("/") && !folder.includes("node_modules")
  )
].filter((folder, index, all) => all.indexOf(folder) === index).join(":")

const environmentOf = ({ directory, environment, pod, spec }: ContainerOptions): Record<string, string> => ({
  PATH: machinePath,
  HOSTNAME: pod.spec.hostname ?? pod.metadata.name,
  HOME: directory,
  ...(spec.tty === true ? { TERM: "xterm" } : {}),
  ...environment
})

/** The program of the first process: an image that misbehaves has its own, and one without a command idles. */
const mainProgram = ({ spec }: ContainerOptions): ReadonlyArray<string> | "pause" => {
  const behaviour = imageBehaviour(spec.image)
  if (behaviour._tag === "Exits") {
    return ["/bin/sh", "-c", `echo "${spec.image} exits with ${behaviour.code}"; exit ${behaviour.code}`]
  }
  if (behaviour._tag === "NoShell") return "pause"
  const argv = [...(spec.command ?? []), ...(spec.args ?? [])]
  return argv.length === 0 ? "pause" : argv
}

const resolved = Effect.fnUntraced(
  function*(options: ContainerOptions, argv: ReadonlyArray<string>, directory: string) {
    const [name = "", ...args] = argv
    if (!imageHas(options.spec.image, name)) {
      const missing = name.includes("/")
        ? `stat ${name}: no such file or directory`
        : "executable file not found in $PATH"
      return yield* new RuntimeError({ message: `exec: "${name}": ${missing}` })
    }
    const path = environmentOf(options)["PATH"] ?? defaultPath
    const file = yield* findExecutable(name, path, directory).pipe(
      Effect.mapError(({ message }) => new RuntimeError({ message }))
    )
    return [file, ...args]
  }
)

const prefixed = (prefix: string) => (error: RuntimeError | ProcessError) =>
  new RuntimeError({ message: `${prefix}: unable to start container process: ${error.message}: unknown` })

/** Starts the first process; closing the scope kills all of the container and waits for it to be gone. */
export const startContainer = (options: ContainerOptions): Effect.Effect<RunningContainer, RuntimeError, Scope.Scope> =>
  Effect.gen(function*() {
    const { isolation, log, pod, spec } = options
    const id = randomBytes(32).toString("hex")
    const directory = spec.workingDir === undefined ? options.directory : join("/", spec.workingDir)
    const environment = {
      ...environmentOf(options),
      ...(isolation._tag === "Shared" ? { [markVariable]: id } : {})
    }
    const program = mainProgram(options)
    const argv = program === "pause"
      ? [isolation.tools.sh, "-c", pause]
      : yield* resolved(options, program, directory)
    yield* Effect.promise(() => mkdir(options.directory, { recursive: true, mode: 0o700 }))
    const sweeper = isolation._tag === "Shared" ? yield* startSweeper(isolation.tools, id) : undefined
    const hostname = pod.spec.hostname ?? pod.metadata.name
    const main = yield* startProcess({
      tools: isolation.tools,
      command: (terminal) => startCommand(isolation, hostname.slice(0, 63), { argv, directory, terminal }),
      environment,
      directory: options.directory,
      stdin: spec.stdin === true,
      stdout: true,
      stderr: spec.tty !== true,
      terminal: spec.tty === true ? terminalOfMain : undefined,
      report: true
    })
    const pid = Number(yield* main.report)
    if (!(pid > 0)) return yield* new RuntimeError({ message: "the machine refused to set up the container" })
    let killed = false
    const signal = (name: NodeJS.Signals) =>
      Effect.sync(() => {
        try {
          process.kill(pid, name)
        } catch {
          // It ended by itself meanwhile.
        }
      })
    const gone = Deferred.makeUnsafe<number>()
    const kill = Effect.suspend(() => {
      if (Deferred.isDoneUnsafe(gone)) return Effect.void
      killed = true
      return Effect.andThen(signal("SIGKILL"), sweeper?.sweep ?? Effect.void)
    })
    yield* Effect.forkScoped(
      main.exitCode.pipe(
        Effect.tap(() => sweeper?.sweep ?? Effect.void),
        // unshare cannot end by SIGKILL itself and reports 1 instead.
        Effect.map((code) => killed ? 137 : code),
        Effect.flatMap((code) => Deferred.succeed(gone, code))
      ),
      { startImmediately: true }
    )
    yield* Effect.addFinalizer(() =>
      Effect.andThen(kill, Deferred.await(gone)).pipe(Effect.timeoutOption("10 seconds"))
    )
    for (const output of [main.stdout, main.stderr]) {
      if (output === undefined) continue
      yield* Effect.forkScoped(
        Effect.gen(function*() {
          for (let bytes = yield* output.read; bytes !== undefined; bytes = yield* output.read) yield* log.append(bytes)
        })
      )
    }
    return {
      id,
      exitCode: Deferred.await(gone),
      terminate: signal("SIGTERM"),
      kill,
      exec: (exec) =>
        Effect.gen(function*() {
          const argv = yield* resolved(options, exec.argv, directory)
          return yield* startProcess({
            tools: isolation.tools,
            command: (terminal) => enterCommand(isolation, pid, { argv, directory, terminal }),
            environment: { ...environment, ...(exec.terminal === undefined ? {} : { TERM: "xterm" }) },
            directory: options.directory,
            ...exec,
            report: false
          })
        }).pipe(
          Effect.mapError(
            prefixed(
              `failed to exec in container: failed to start exec "${
                randomBytes(32).toString("hex")
              }": OCI runtime exec failed: exec failed`
            )
          )
        )
      ,attach: () => Effect.fail(new RuntimeError({ message: "attach" }))
    } satisfies RunningContainer
  }).pipe(
    Effect.mapError(
      prefixed(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed"
      )
    )
  )
