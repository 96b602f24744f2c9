/**
 * How a container's processes are kept apart from the machine: by namespaces through util-linux where the machine
 * allows them, else by nothing but their own folder and a mark in their environment.
 */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { defaultPath, findExecutable } from "./Executable.ts"

/** The machine's programs that start a container, by absolute path: a container's own PATH must not lead to others. */
export interface Tools {
  readonly sh: string
  readonly mkfifo: string
  readonly grep: string
}

interface NamespaceTools {
  readonly setpriv: string
  readonly unshare: string
  readonly nsenter: string
  readonly setsid: string
  readonly mount: string
  readonly hostname: string
}

/**
 * `Namespaces`: each container has its own PID, mount and UTS namespace; `user` says that this takes a user namespace,
 * because we are not root. `Shared`: the machine allows none of it.
 */
export type Isolation =
  | { readonly _tag: "Namespaces"; readonly tools: Tools & NamespaceTools; readonly user: boolean }
  | { readonly _tag: "Shared"; readonly tools: Tools }

/** A command line for `child_process.spawn`. */
export interface Command {
  readonly file: string
  readonly args: ReadonlyArray<string>
}

/** What is to be run: `argv[0]` is an absolute path, `terminal` the path of a terminal's slave. */
export interface Target {
  readonly argv: ReadonlyArray<string>
  readonly directory: string
  readonly terminal: string | undefined
}

/** Opening a terminal as a session leader makes it the controlling one; no program for that is needed. */
const takeTerminal = `if [ -n "$1" ]; then exec 0<>"$1" 1>&0 2>&0; fi`

const enterAndRun = `${takeTerminal}; cd "$2" || cd /; shift 2; unset PWD OLDPWD; exec "$@"`

/** Writes the process' id, as the machine counts, to descriptor 3, and becomes the program. */
const reportAndRun = `${takeTerminal}; cd "$2" || cd /; shift 2; unset PWD OLDPWD; echo "$pid" >&3; exec "$@" 3>&-`

/** `/proc` is still the machine's when the first line reads it, so it tells the id outside of the namespace. */
const setUpNamespaces =
  `read -r pid rest </proc/self/stat || exit 125; "$1" -t proc proc /proc || exit 125; "$2" "$3" || exit 125; shift 3`

const targetArgs = (target: Target) => [target.terminal ?? "", target.directory, ...target.argv]

/**
 * The command that becomes a container's first process. It writes that process' id to descriptor 3 when it is ready to
 * be entered. In namespaces the process dies with us, whatever we die of.
 */
export const startCommand = (isolation: Isolation, hostname: string, target: Target): Command => {
  const { sh } = isolation.tools
  if (isolation._tag === "Shared") {
    return { file: sh, args: ["-c", `pid=$$; ${reportAndRun}`, "sh", ...targetArgs(target)] }
  }
  const { mount, setpriv, setsid, unshare, hostname: setHostname } = isolation.tools
  return {
    file: setpriv,
    args: [
      "--pdeathsig",
      "KILL",
      unshare,
      ...(isolation.user ? ["--user", "--map-root-user"] : []),
      "--pid",
      "--mount",
      "--uts",
      "--fork",
      "--kill-child",
      setsid,
      sh,
      "-c",
      `${setUpNamespaces}; ${reportAndRun}`,
      "sh",
      mount,
      setHostname,
      hostname,
      ...targetArgs(target)
    ]
  }
}

/** The command that runs `target` beside the container's first process, whose id on the machine is `pid`. */
export const enterCommand = (isolation: Isolation, pid: number, target: Target): Command => {
  const run = ["-c", enterAndRun, "sh", ...targetArgs(target)]
  if (isolation._tag === "Shared") return { file: isolation.tools.sh, args: run }
  const { nsenter, setsid, sh } = isolation.tools
  return {
    file: nsenter,
    args: [
      "--target",
      String(pid),
      ...(isolation.user ? ["--user", "--preserve-credentials"] : []),
      "--pid",
      "--mount",
      "--uts",
      "--",
      setsid,
      sh,
      ...run
    ]
  }
}

/** What a reader of `Minicluster.isolation` is told. */
export const isolationNotes = (isolation: Isolation): ReadonlyArray<string> =>
  isolation._tag === "Namespaces" ? [] : [
    "Pods are not isolated from each other: this machine allows no PID, mount and UTS namespaces (unshare and nsenter of util-linux, as root or with unprivileged user namespaces).",
    "In a pod, hostname prints the machine's name and ps shows the machine's processes; $HOSTNAME is the pod's name."
  ]

const searchPath = `${process.env["PATH"] ?? ""}:${defaultPath}`
const find = (name: string) => findExecutable(name, searchPath, "/")

const succeeds = (command: Command): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const options = { timeout: 5000, stdio: "ignore" as const }
    execFile(command.file, command.args, options, (error) => resume(Effect.succeed(error === null)))
  })

/** Tries what the machine allows by running a shell in it. Takes some 20 ms. */
export const detectIsolation = Effect.fnUntraced(function*(mayUseNamespaces: boolean) {
  const tools: Tools = yield* Effect.all({ sh: find("sh"), mkfifo: find("mkfifo"), grep: find("grep") })
  const namespaceTools = yield* Effect.all({
    setpriv: find("setpriv"),
    unshare: find("unshare"),
    nsenter: find("nsenter"),
    setsid: find("setsid"),
    mount: find("mount"),
    hostname: find("hostname")
  }).pipe(Effect.catchTag("ExecutableError", () => Effect.succeed(undefined)))
  const shared: Isolation = { _tag: "Shared", tools }
  if (namespaceTools === undefined || !mayUseNamespaces) return shared
  const nothing: Target = { argv: [tools.sh, "-c", "exit 0"], directory: "/", terminal: undefined }
  for (const user of [false, true]) {
    const isolation: Isolation = { _tag: "Namespaces", tools: { ...tools, ...namespaceTools }, user }
    // Descriptor 3 is not there in this trial: its number goes to standard output instead.
    const trial = startCommand(isolation, "minicluster", nothing)
    if (
      yield* succeeds({
        ...trial,
        args: ["--pdeathsig", "KILL", tools.sh, "-c", `exec "$@" 3>&1`, "sh", ...trial.args.slice(2)]
      })
    ) {
      return isolation
    }
  }
  return shared
})
