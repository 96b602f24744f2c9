/**
 * Signals by their names (RFC 4254 §6.10) and numbers. Pure.
 *
 * How a program in a container ended, an exec tells as one number: its exit code, or 128 and the signal's number, as a
 * shell reports it. So 143 is a program that was ended by TERM, or one that called `exit(143)`, and nothing tells the
 * two apart, except that somebody did send TERM. A signal that was delivered on the program's own channel, and whose
 * number fits, is therefore told as `exit-signal`; every other code is told as it is.
 */
import type { ExitStatus } from "../ports/Ssh.ts"

/** The signals that RFC 4254 names, with Linux' numbers for them on all but some rare processors. */
const numbers: ReadonlyMap<string, number> = new Map([
  ["HUP", 1],
  ["INT", 2],
  ["QUIT", 3],
  ["ILL", 4],
  ["ABRT", 6],
  ["FPE", 8],
  ["KILL", 9],
  ["USR1", 10],
  ["SEGV", 11],
  ["USR2", 12],
  ["PIPE", 13],
  ["ALRM", 14],
  ["TERM", 15]
])

/** Whether it is the name of a signal that can be asked for. */
export const isSignal = (name: string): boolean => numbers.has(name)

/** How a program ended whose exit code is `code`, to which these signals were delivered. */
export const exitStatus = (code: number, delivered: ReadonlySet<string>): ExitStatus => {
  for (const name of delivered) {
    if (128 + (numbers.get(name) ?? 0) === code) {
      return { _tag: "Signaled", signal: name, message: `ended by signal ${name}` }
    }
  }
  return { _tag: "Exited", code }
}
