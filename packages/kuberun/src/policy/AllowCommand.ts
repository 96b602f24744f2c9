/**
 * Only these commands, and nothing that a shell could make of them.
 */
import { Effect } from "effect"
import type { SessionRequest } from "../ports/Ssh.ts"
import { printable } from "../session/Sentences.ts"
import { acceptEnvironment, localeVariables, patternSource } from "./AcceptEnvironment.ts"
import { compose, mapRequests, type Policy } from "./Policy.ts"

export interface AllowCommandOptions {
  /** Whether a shell may be asked for. Left out: no. */
  readonly shell?: boolean | undefined
  /** The subsystems that may be asked for, by name. Left out: none. */
  readonly subsystems?: ReadonlyArray<string> | undefined
  /** The variables that a client may set, as in `acceptEnvironment`. Left out: `LANG` and `LC_*`. */
  readonly environment?: ReadonlyArray<string> | undefined
}

/**
 * What `*` stands for: characters that no shell reads as anything but themselves. Of what POSIX calls special (2.2,
 * "Quoting": `| & ; < > ( ) $ \` \ " ' * ? [ # ~ = %`, blanks, newlines) none is here but `%`, which means a job to a
 * few builtins and nothing to the shell; nor are bash's and zsh's `{ } ! ^`. Letters beyond ASCII are, blanks are not.
 */
const plain = "[\\p{L}\\p{M}\\p{N}_@%+:,./-]*"

/** The same in an argument. In front of a program's name, `=` would set a variable for it: `LD_PRELOAD=x`. */
const plainArgument = "[\\p{L}\\p{M}\\p{N}_@%+:,./=-]*"

/** Signs in a pattern behind which another program's name may stand. */
const severalCommands = /[;&|(`\n]/

/** The parts of paths, once quotes are gone: a shell puts `.''.` together. */
const upwards = (text: string): number =>
  text.replaceAll(/["'\\]/g, "").split(/[^\p{L}\p{M}\p{N}_@%+.-]+/u).filter((part) => part === "..").length

const compile = (pattern: string): (command: string) => boolean => {
  let beforeProgram = true
  const words = pattern.split(" ").map((word) => {
    const source = patternSource(word, beforeProgram ? plain : plainArgument)
    beforeProgram = beforeProgram && (severalCommands.test(pattern) || /^(\w+=.*)?$/.test(word))
    return source
  })
  const whole = new RegExp(`^${words.join(" ")}$`, "u")
  return (command) => whole.test(command) && upwards(command) <= upwards(pattern)
}

/**
 * Whether a command matches one of the patterns, each of which is compared with the whole of it, to the character.
 *
 * Everything in a pattern stands for itself, blanks, quotes and the shell's own characters included, but `*`. That
 * stands for any part of one word, or nothing, in which there are only letters, digits and `_ @ % + = : , . / -` (no `=`
 * before the program's name, nor in a pattern of several commands). So what a client puts there cannot end the command and begin another (`;`, `&`, a
 * newline), nor be replaced (`$(…)`, `~`, `?`), nor add a word: two arguments are `* *`, and quotes that a client sends
 * stand in the pattern (`git-upload-pack '*'`). Nor can it go up in a path by `..` where the pattern does not.
 *
 * What it cannot know is what the program does with a word: one that begins with `-` may be an option (`rsync *` allows
 * `rsync --server`), a path may be a symbolic link, and a program that runs what it is told (`env *`, `sh *`) runs it.
 */
export const allows = (patterns: ReadonlyArray<string>): (command: string) => boolean => {
  const compiled = patterns.map(compile)
  return (command) => compiled.some((matches) => matches(command))
}

/** As much of a command as fits into a sentence. */
const mostShown = 60

const shown = (command: string): string => {
  const characters = Array.from(printable(command))
  return characters.length <= mostShown ? characters.join("") : `${characters.slice(0, mostShown).join("")}…`
}

/**
 * Lets through the commands that match one of the patterns (see `allows`), and shells and subsystems as the options say.
 * Everything else that would start a program is refused with a sentence. Variables that could change what an allowed
 * command does are refused as well.
 */
export const allowCommand = (patterns: ReadonlyArray<string>, options: AllowCommandOptions = {}): Policy => {
  const { environment = localeVariables, shell = false, subsystems = [] } = options
  const allowed = allows(patterns)
  const denial = (request: SessionRequest): string | undefined => {
    switch (request._tag) {
      case "Shell":
        return shell ? undefined : "There are no shells here: name a command to run."
      case "Exec":
        return allowed(request.command) ? undefined : `The command "${shown(request.command)}" is not allowed here.`
      case "Subsystem":
        return subsystems.includes(request.name)
          ? undefined
          : `The subsystem "${shown(request.name)}" is not allowed here.`
      default:
        return undefined
    }
  }
  return compose(
    acceptEnvironment(environment),
    mapRequests((request, { refuse }) => {
      const sentence = denial(request)
      return sentence === undefined ? Effect.succeed([request]) : refuse(sentence)
    })
  )
}
