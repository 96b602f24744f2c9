/**
 * From the requests on a session channel to the argument vector of an exec. Pure.
 *
 * An exec in Kubernetes has an argument vector and nothing else: no environment, no terminal type, no terminal modes.
 * Where there is something to set, a small `sh` program sets it and then becomes the user's program by `exec`, so that
 * no process stays in between.
 */
import type { PodConfig } from "./Config.ts"
import type { ProgramLaunch } from "./Launch.ts"
import { printable } from "./Sentences.ts"
import { sttySettings } from "./TerminalModes.ts"

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

const shell = "/bin/sh"

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
 * Its arguments: all terminal settings, the portable ones among them (for an `stty` that does not know them all and so
 * would set none), for each variable `NAME=value`, then `--` and the program. Nothing of the user's is ever part of the
 * script's text, so that nothing needs quoting; `command` keeps a name that the shell holds read-only from ending it.
 */
const prologue = [
  "set -f",
  "[ -z \"$1\" ] || stty $1 2>/dev/null || stty $2 2>/dev/null",
  "shift 2",
  "while [ \"$1\" != -- ]; do command export \"$1\" 2>/dev/null; shift; done",
  "shift",
  "exec \"$@\""
].join("\n")

type Requested = { readonly _tag: "Run"; readonly command: ProgramLaunch["command"] } | Refusal

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
        : { _tag: "Run", command: [first, ...rest] }
    }
    case "Exec":
      // As sshd does it: the user's shell reads the command, whatever it is, also an empty one.
      return { _tag: "Run", command: [shell, "-c", request.command] }
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
    : { _tag: "Run", launch: { command: asked.command, environment, terminal: context.terminal } }
}

/** The argument vector of an exec that sets the program up and becomes it. */
export const withPrologue = ({ command, environment, terminal }: ProgramLaunch): ProgramLaunch["command"] => {
  const variables = environment.map(([name, value]) => `${name}=${value}`)
  if (terminal !== undefined && terminal.term !== "") variables.push(`TERM=${terminal.term}`)
  const settings = sttySettings(terminal?.modes ?? new Map())
  return variables.length === 0 && settings.all === ""
    ? command
    : [shell, "-c", prologue, shell, settings.all, settings.portable, ...variables, "--", ...command]
}
