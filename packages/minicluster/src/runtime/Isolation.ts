/**
 * How a container's processes are kept apart from the machine: by namespaces through util-linux where the machine
 * allows them, else by nothing but their own folder and a mark in their environment.
 */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { defaultPath, findExecutable } from "./Executable.ts"
import { type Identity, identityArgs } from "./Identity.ts"
import { type RootFilesystem } from "./RootFilesystem.ts"

const shellTools = ["sh", "env", "mkfifo", "grep"] as const
const namespaceTools = ["setpriv", "unshare", "nsenter", "setsid", "mount", "umount", "pivot_root", "hostname"] as const

/** The machine's programs that start a container, by absolute path: a container's own PATH must not lead to others. */
export type Tools = Readonly<Record<typeof shellTools[number], string>>
type NamespaceTools = Readonly<Record<typeof namespaceTools[number], string>>

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
  /** None but these; none at all without. */
  readonly environment?: Readonly<Record<string, string>>
}

/** What is to be run: `argv[0]` is an absolute path, `terminal` the path of a terminal's slave. */
export interface Target {
  readonly argv: ReadonlyArray<string>
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly terminal: string | undefined
  /** Who runs it, if not we ourselves. */
  readonly identity?: Identity | undefined
}

/** What a container is started with, where there are namespaces. */
export interface Start {
  readonly hostname: string
  readonly filesystem?: RootFilesystem | undefined
  /** The first process, as the machine counts, of the container whose processes it shares. */
  readonly beside?: number | undefined
}

/**
 * The program's stderr comes as descriptor 4: what unshare and nsenter have to say, also at the end, is not the
 * program's. Opening a terminal as a session leader makes it the controlling one; no program for that is needed.
 */
const takeOutput = `exec 2>&4 4>&-; if [ -n "$1" ]; then exec 0<>"$1" 1>&0 2>&0; fi`

/**
 * The program's variables on the way to it, each whole in one with a name of ours: a shell drops those that it could not
 * name itself and may change its own, and the machine's tools would heed some. On no command line can they be read.
 */
const wrapped = (environment: Target["environment"]): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value], index) => [`MINICLUSTER_${index}`, `${name}=${value}`])
  )

/** Writes a line to descriptor 3 and becomes the program: the process' id, as the machine counts, or anything. */
const reportAndRun = ({ environment }: Target): string => {
  const variables = Object.keys(wrapped(environment)).map((name) => `"$${name}"`).join(" ")
  return `${takeOutput}; cd "$2" 2>/dev/null || cd /; env=$3; shift 3; echo "$pid" >&3
exec "$env" -i -- ${variables} "$@" 3>&-`
}

/**
 * `/proc` is still the machine's when the first line reads it, so it tells the id outside of the namespace.
 *
 * A new root takes the old one's place on /sys for a moment, a folder that is always there and needed by none of these.
 */
const setUpNamespaces = `read -r pid rest </proc/self/stat || exit 125
refuse() { echo "!$1" >&3; exit 125; }
"$1" -t proc proc /proc && "$2" "$3" || exit 125
[ -z "$4" ] || why=$("$1" --all --fstab "$4" 2>&1) || refuse "$why"
[ -z "$5" ] || { cd "$5" && "$6" . sys && cd / && "$7" -l /sys; } || refuse "the root cannot be changed"
remount=$1 count=$8
shift 8
while [ "$count" -gt 0 ]; do
  why=$("$remount" -o remount,bind,ro "$1" 2>&1) || refuse "$why"
  shift; count=$((count - 1))
done`

/** For setpriv(1): to be killed when the parent dies, whatever that dies of. */
const withParent = ["--pdeathsig", "KILL"]

const targetArgs = ({ argv, directory, identity, terminal }: Target, tools: Tools & Partial<NamespaceTools>) => [
  terminal ?? "",
  directory,
  tools.env,
  // Whoever becomes another user is forgotten by the kernel when its parent dies, and has to ask for it again.
  ...(identity === undefined || tools.setpriv === undefined
    ? []
    : [tools.setpriv, ...withParent, ...identityArgs(identity), "--"]),
  ...argv
]

/**
 * The command that becomes a container's first process. It writes that process' id to descriptor 3 when it is ready to
 * be entered, or `!` and what went wrong. In namespaces the process dies with us, whatever we die of; one that shares
 * another container's processes dies with that container.
 */
export const startCommand = (isolation: Isolation, start: Start, target: Target): Command => {
  const environment = wrapped(target.environment)
  if (isolation._tag === "Shared") {
    const { tools } = isolation
    const args = ["-c", `pid=$$; ${reportAndRun(target)}`, "sh", ...targetArgs(target, tools)]
    return { file: tools.sh, args, environment }
  }
  const { tools, user } = isolation
  const { filesystem } = start
  const processes = start.beside === undefined
    ? [
      tools.unshare,
      ...(user ? ["--user", "--map-root-user"] : []),
      "--pid",
      "--mount",
      "--uts",
      "--fork",
      "--kill-child"
    ]
    : [...entering(tools, user, start.beside, ["--pid", "--uts"]), tools.unshare, "--mount"]
  const readOnly = filesystem?.readOnly ?? []
  return {
    file: tools.setpriv,
    args: [
      ...withParent,
      ...processes,
      tools.setsid,
      tools.sh,
      "-c",
      `${setUpNamespaces}\n${reportAndRun(target)}`,
      "sh",
      tools.mount,
      tools.hostname,
      start.hostname,
      filesystem?.fstab ?? "",
      filesystem?.root ?? "",
      tools.pivot_root,
      tools.umount,
      String(readOnly.length),
      ...readOnly,
      ...targetArgs(target, tools)
    ],
    environment
  }
}

const entering = (tools: NamespaceTools, user: boolean, pid: number, namespaces: ReadonlyArray<string>) => [
  tools.nsenter,
  "--target",
  String(pid),
  ...(user ? ["--user", "--preserve-credentials"] : []),
  ...namespaces,
  "--"
]

/**
 * The command that runs `target` beside the container's first process, whose id on the machine is `pid`. It writes a
 * line to descriptor 3 when it is there, and nothing when the container has ended meanwhile. It ends with the process
 * that was started.
 */
export const enterCommand = (isolation: Isolation, pid: number, target: Target): Command => {
  const { tools } = isolation
  const run = ["-c", `pid=entered; ${reportAndRun(target)}`, "sh", ...targetArgs(target, tools)]
  const environment = wrapped(target.environment)
  if (isolation._tag === "Shared") return { file: tools.sh, args: run, environment }
  const [file = "", ...args] = entering(isolation.tools, isolation.user, pid, ["--pid", "--mount", "--uts"])
  const { setpriv, setsid } = isolation.tools
  return { file, args: [...args, setpriv, ...withParent, setsid, tools.sh, ...run], environment }
}

/** What a reader of `Minicluster.isolation` is told. */
export const isolationNotes = (isolation: Isolation): ReadonlyArray<string> =>
  isolation._tag === "Namespaces" ? [] : [
    "Pods are not isolated from each other: this machine allows no PID, mount and UTS namespaces (unshare and nsenter of util-linux, as root or with unprivileged user namespaces).",
    "Volumes are not mounted: each container has an event that names the folder where its volume is.",
    "In a pod, hostname prints the machine's name and ps shows the machine's processes; $HOSTNAME is the pod's name."
  ]

const searchPath = `${process.env["PATH"] ?? ""}:${defaultPath}`
const findAll = <Name extends string>(names: ReadonlyArray<Name>) =>
  Effect.map(
    Effect.forEach(names, (name) => Effect.map(findExecutable(name, searchPath, "/"), (path) => [name, path] as const)),
    (found) => Object.fromEntries(found) as Readonly<Record<Name, string>>
  )

const succeeds = (command: Command): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const options = { timeout: 5000, stdio: "ignore" as const }
    execFile(command.file, command.args, options, (error) => resume(Effect.succeed(error === null)))
  })

/** What this machine was found to allow: it goes on to, and the next cluster of this process need not try it. */
let found: Isolation | undefined

/** Tries what the machine allows by running a shell in it. Takes some 20 ms. */
export const detectIsolation = Effect.fnUntraced(function*(mayUseNamespaces: boolean) {
  if (mayUseNamespaces && found !== undefined) return found
  const tools = yield* findAll(shellTools)
  const more = yield* Effect.orElseSucceed(findAll(namespaceTools), () => undefined)
  const shared: Isolation = { _tag: "Shared", tools }
  if (more === undefined || !mayUseNamespaces) return shared
  // Another's than util-linux does not carry out a table of ours, and does not know this option either.
  if (!(yield* succeeds({ file: more.mount, args: ["--version"] }))) return shared
  const nothing: Target = { argv: [tools.sh, "-c", "exit 0"], directory: "/", environment: {}, terminal: undefined }
  for (const user of [false, true]) {
    const isolation: Isolation = { _tag: "Namespaces", tools: { ...tools, ...more }, user }
    // Descriptors 3 and 4 are not there in this trial.
    const trial = startCommand(isolation, { hostname: "minicluster" }, nothing)
    if (
      yield* succeeds({
        ...trial,
        args: [...withParent, tools.sh, "-c", `exec "$@" 3>&1 4>&2`, "sh", ...trial.args.slice(withParent.length)]
      })
    ) {
      found = isolation
      return isolation
    }
  }
  return shared
})
