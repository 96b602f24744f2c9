/**
 * From the requests on a session channel to the program that they ask for. Pure.
 *
 * A program starts in the container's working folder, where the image's author wants it, and not in a home folder as
 * sshd has it: the user of the SSH connection is none of the image's and has none there.
 */
import type { PodConfig } from "../config/Config.ts"
import type { ProgramLaunch } from "./Launch.ts"
import { shell } from "./ProgramPrologue.ts"
import { printable } from "./Sentences.ts"

/** A request that starts a program (RFC 4254 §6.5). */
export type ProgramRequest =
  | { readonly _tag: "Shell" }
  | { readonly _tag: "Exec"; readonly command: string }
  | { readonly _tag: "Subsystem"; readonly name: string }

/** What the channel was told before its program started. */
export interface ProgramContext {
  readonly environment: ReadonlyMap<string, string>
  readonly terminal: ProgramLaunch["terminal"]
}

/** What to run, or the reason why the request is refused. */
export type Program =
  | { readonly _tag: "Run"; readonly launch: ProgramLaunch }
  | Refusal

/**
 * Variables that shells hold as integers of their own. bash takes what is exported under such a name for arithmetic,
 * which can run commands and whose faults end the shell; no program needs one from outside.
 */
const shellIntegers: ReadonlySet<string> = new Set(["HISTCMD", "LINENO", "OPTIND", "RANDOM", "SECONDS", "SRANDOM"])

/**
 * A name that `export` takes (POSIX, "Name") as no more than a name. Others are refused, as sshd refuses all that its
 * `AcceptEnv` does not list.
 */
export const isEnvironmentName = (name: string): boolean =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !shellIntegers.has(name)

/**
 * Shells that read a user's profile when they are called with `-l`, by the names of their files. sshd has them do so by
 * a dash in front of their name, which an exec cannot give them.
 */
const loginShells: ReadonlySet<string> = new Set(["ash", "bash", "dash", "fish", "ksh", "mksh", "sh", "zsh"])

/** The configured shell where it is one that is known, and nothing but that: more words are the administrator's own way. */
const loginShell = ([file, ...rest]: PodConfig["shellCommand"]): string | undefined =>
  file !== undefined && rest.length === 0 && loginShells.has(file.slice(file.lastIndexOf("/") + 1)) ? file : undefined

/** What a shell would not take as it stands: quotes, expansions, operators, comments, control characters. */
const shellCharacters = /[^\w@%+=:,./ \t-]/u

/**
 * A command without a shell to read it: its words, if blanks are all that is special in it. The runtime finds a first
 * word without a slash in the container's PATH.
 */
const words = (command: string): ProgramLaunch["withoutShell"] => {
  const [first, ...rest] = command.split(/[ \t]+/).filter((word) => word !== "")
  return first === undefined || first.includes("=") || shellCharacters.test(command)
    ? {
      refusal:
        "the image of your pod has no shell; name a program by its path, with plain words: no quotes, variables or pipes"
    }
    : [first, ...rest]
}

type Requested =
  | { readonly _tag: "Run"; readonly command: ProgramLaunch["command"]; readonly plain?: ProgramLaunch["withoutShell"] }
  | Refusal

interface Refusal {
  readonly _tag: "Refuse"
  readonly detail: string
}

const requested = (request: ProgramRequest, config: PodConfig): Requested => {
  switch (request._tag) {
    case "Shell": {
      const [first, ...rest] = config.shellCommand
      return first === undefined
        ? { _tag: "Refuse", detail: "Shells are switched off here: name a program to run." }
        : { _tag: "Run", command: loginShell(config.shellCommand) === undefined ? [first, ...rest] : [first, "-l"] }
    }
    case "Exec":
      // As sshd does it: the user's shell reads the command, whatever it is, also an empty one.
      return { _tag: "Run", command: [shell, "-c", request.command], plain: words(request.command) }
    case "Subsystem": {
      const executable = Object.hasOwn(config.subsystems, request.name) ? config.subsystems[request.name] : undefined
      return executable === undefined
        ? { _tag: "Refuse", detail: `There is no subsystem "${printable(request.name)}" here.` }
        : { _tag: "Run", command: [executable] }
    }
  }
}

/** The program that a request asks for, with the channel's environment and terminal. */
export const program = (request: ProgramRequest, context: ProgramContext, config: PodConfig): Program => {
  const asked = requested(request, config)
  if (asked._tag === "Refuse") return asked
  const environment = [...context.environment]
  const texts = [...asked.command, ...environment.flat(), context.terminal?.term ?? ""]
  // An argument ends at its first NUL: what a client sends with one would not arrive whole, or not start at all.
  return texts.some((text) => text.includes("\0"))
    ? { _tag: "Refuse", detail: "A program's arguments and environment cannot hold a NUL character." }
    : {
      _tag: "Run",
      launch: {
        command: asked.command,
        withoutShell: asked.plain ?? asked.command,
        shell: loginShell(config.shellCommand),
        environment,
        terminal: context.terminal
      }
    }
}
