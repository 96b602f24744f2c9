/** What a container runs, as which user, and with which variables: its spec, its image and the machine put together. */
import { Data, Effect } from "effect"
import { existsSync } from "node:fs"
import { mkdir, symlink } from "node:fs/promises"
import { join, relative } from "node:path"
import { type Container, type Pod } from "../shapes/Objects.ts"
import { expand } from "./Environment.ts"
import { defaultPath, findExecutable } from "./Executable.ts"
import { type Identity, identityOf, unavailable } from "./Identity.ts"
import { imageBehaviour, imageHas, programsOf } from "./Images.ts"
import { type Isolation } from "./Isolation.ts"
import { type Mount } from "./Mounts.ts"

/** The runtime refuses to run a program; `message` is in the words of containerd and runc. */
export class RuntimeError extends Data.TaggedError("RuntimeError")<{ readonly message: string }> {}

export interface ProgramOptions {
  readonly isolation: Isolation
  readonly pod: Pod
  readonly spec: Container
  /** The pod's own folder. */
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly mounts: ReadonlyArray<Mount>
}

/** What a pause container does: nothing, until it is asked to end. */
const pause = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"

/**
 * The machine's own folders follow the usual ones, so that its programs are found wherever it keeps them; those that
 * npm put in front for the time of one script are no programs of the machine.
 */
export const machinePath = [
  ...defaultPath.split(":"),
  ...(process.env["PATH"] ?? "").split(":").filter((folder) =>
    folder.startsWith("/") && !folder.includes("node_modules")
  )
].filter((folder, index, all) => all.indexOf(folder) === index).join(":")

/** Only root changes who it is, and not in a user namespace of its own. */
const mayChangeUser = (isolation: Isolation): boolean => isolation._tag === "Namespaces" && !isolation.user

/** Who runs the container's programs, if not we ourselves. */
export const runsAs = ({ isolation, pod, spec }: ProgramOptions): Identity | undefined =>
  mayChangeUser(isolation) ? identityOf(pod, spec) : undefined

/** HOME and the first working folder. Another user than root has one of its own, where it can get at it. */
export const homeOf = (options: ProgramOptions): Mount & { readonly owner: number } => {
  const owner = runsAs(options)?.user ?? 0
  const source = join(options.directory, owner === 0 ? "home" : `home-${owner}`)
  return { source, target: owner === 0 ? source : `/home/${owner}`, readOnly: false, owner }
}

/** The folder of links to the only programs that the image has. */
const programFolder = ({ directory, spec }: ProgramOptions): string =>
  join(directory, `programs-${imageBehaviour(spec.image)._tag.toLowerCase()}`)

export const environmentOf = (options: ProgramOptions): Record<string, string> => {
  const { environment, pod, spec } = options
  return {
    PATH: machinePath,
    HOSTNAME: pod.spec.hostname ?? pod.metadata.name,
    HOME: homeOf(options).target,
    ...(spec.tty === true ? { TERM: "xterm" } : {}),
    ...environment,
    ...(programsOf(spec.image) === undefined ? {} : { PATH: programFolder(options) })
  }
}

/** Makes what the container's programs expect to be there. */
export const makePrograms = async (options: ProgramOptions): Promise<void> => {
  const programs = programsOf(options.spec.image)
  const folder = programFolder(options)
  if (programs === undefined || existsSync(folder)) return
  await mkdir(folder, { recursive: true })
  const find = (name: string) => machinePath.split(":").map((path) => join(path, name)).find((file) => existsSync(file))
  const all = find("busybox")
  for (const name of programs) {
    const file = name === "[[" ? undefined : all ?? find(name === "ash" ? "sh" : name)
    if (file !== undefined) await symlink(file, join(folder, name))
  }
}

/** Where on the machine a container's path is: in the innermost of its mounts; the pod's own folder stays where it is. */
const locate = ({ directory, mounts }: ProgramOptions) => (path: string): string => {
  const within = [...mounts, { source: directory, target: directory }].filter(({ target }) =>
    path === target || path.startsWith(`${target}/`)
  )
  const [inner] = within.toSorted((a, b) => b.target.length - a.target.length)
  return inner === undefined ? path : join(inner.source, relative(inner.target, path))
}

/** `argv` with its program's absolute path in the container, or the runtime's refusal. */
export const resolveProgram = Effect.fnUntraced(
  function*(options: ProgramOptions, argv: ReadonlyArray<string>, directory: string) {
    const [name = "", ...args] = argv
    if (!imageHas(options.spec.image, name)) {
      const missing = name.includes("/")
        ? `stat ${name}: no such file or directory`
        : "executable file not found in $PATH"
      return yield* new RuntimeError({ message: `exec: "${name}": ${missing}` })
    }
    const path = environmentOf(options)["PATH"] ?? defaultPath
    const file = yield* findExecutable(name, path, directory, locate(options)).pipe(
      Effect.mapError(({ message }) => new RuntimeError({ message }))
    )
    // A program is told the name by which it was called, where the shell that starts it finds it by that name, too.
    return [/^[^-/][^/]*$/.test(name) ? name : file, ...args]
  }
)

/** The first process: an image that misbehaves has its own program, and one without a command has a shell or idles. */
export const mainProgram = Effect.fnUntraced(function*(options: ProgramOptions, directory: string) {
  const { environment, isolation, spec } = options
  const behaviour = imageBehaviour(spec.image)
  const argv = [...(spec.command ?? []), ...(spec.args ?? [])].map((text) => expand(text, environment))
  const { sh } = isolation.tools
  if (behaviour._tag === "Exits") {
    return [sh, "-c", `echo "$0 exits with $1"; exit "$1"`, spec.image, String(behaviour.code)]
  }
  if (behaviour._tag === "NoShell") return [sh, "-c", pause]
  // Who brings a terminal or input and no command wants the shell that the images have as their own.
  if (argv.length === 0) {
    return spec.stdin === true
      ? yield* resolveProgram(options, ["sh"], directory)
      : [sh, "-c", pause]
  }
  return yield* resolveProgram(options, argv, directory)
})

/** Something that the spec asks for and the machine does not allow: an event's reason and words. */
export interface Shortcoming {
  readonly reason: "VolumeNotMounted" | "SecurityContextIgnored"
  readonly message: string
}

/** Every pod has it, and nobody asked for it. */
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"

/** What the container has to do without, for one event each. */
export const shortcomings = (options: ProgramOptions): ReadonlyArray<Shortcoming> => {
  const { isolation, mounts, pod, spec } = options
  const missing = isolation._tag === "Namespaces" ? [] : mounts.filter(({ target }) => target !== tokenPath)
  const identity = mayChangeUser(isolation) ? undefined : identityOf(pod, spec)
  const who = identity === undefined ? undefined : unavailable(identity)
  const readOnly = isolation._tag === "Shared" &&
    (spec.securityContext?.readOnlyRootFilesystem ?? false)
  return [
    ...missing.map(({ source, target }) => ({
      reason: "VolumeNotMounted" as const,
      message: `this machine allows no mount namespaces: what container ${spec.name} wants at ${target} is at ${source}`
    })),
    ...[who, readOnly ? "this machine allows no mount namespaces: the root filesystem is not read-only" : undefined]
      .flatMap((message) =>
        message === undefined
          ? []
          : [{ reason: "SecurityContextIgnored" as const, message: `container ${spec.name}: ${message}` }]
      )
  ]
}
