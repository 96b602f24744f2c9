/**
 * Which variables a client may set (`AcceptEnv` of sshd_config(5)).
 */
import { Effect } from "effect"
import { mapRequests, type Policy } from "./Policy.ts"

/**
 * What Debian's and Fedora's sshd_config accept: languages and formats. Nothing of it changes what a program is, as
 * `PATH`, `LD_PRELOAD`, `BASH_ENV`, `GIT_SSH_COMMAND` and countless others do.
 */
export const localeVariables: ReadonlyArray<string> = ["LANG", "LC_*"]

const escape = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&")

/** A pattern as the source of a regular expression: `*` stands for what `wildcard` matches, all else for itself. */
export const patternSource = (pattern: string, wildcard: string): string =>
  pattern.split("*").map(escape).join(wildcard)

/**
 * Accepts the variables with these names, in which `*` stands for any letters, digits and underscores. All others are
 * refused without a word, as sshd does: clients send theirs without being asked, and wait for no answer.
 */
export const acceptEnvironment = (names: ReadonlyArray<string>): Policy => {
  const accepted = names.map((name) => new RegExp(`^${patternSource(name, "[A-Za-z0-9_]*")}$`, "u"))
  return mapRequests((request) =>
    request._tag !== "Environment" || accepted.some((pattern) => pattern.test(request.name))
      ? Effect.succeed([request])
      : Effect.as(request.reply(false), [])
  )
}
