/**
 * ContainerSSH's guest agent, where the image has it: `console` becomes a program and tells its process id, `signal`
 * signals it. It needs no shell in the image, and sets no terminal modes and no SSH_TTY. Pure.
 */
import type { Leader, Reader } from "./Announcement.ts"
import type { ProgramLaunch } from "./Launch.ts"

/** The argument vector of an exec that becomes the program. */
export const consoleCommand = (
  agent: string,
  { environment, terminal }: ProgramLaunch,
  command: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const variables = environment.map(([name, value]) => `${name}=${value}`)
  if (terminal !== undefined && terminal.term !== "") variables.push(`TERM=${terminal.term}`)
  return [agent, "console", ...variables.flatMap((variable) => ["--env", variable]), "--pid", "--", ...command]
}

/** The argument vector of an exec that delivers a signal to the process. */
export const signalCommand = (agent: string, { pid }: Leader, name: string): ReadonlyArray<string> => [
  agent,
  "signal",
  "--pid",
  String(pid),
  "--signal",
  name
]

const lineFeed = 10
const carriageReturn = 13

/**
 * Reads the process id that `console --pid` writes to stdout before everything else: four bytes, the lowest first. A
 * terminal puts a carriage return in front of each of its line feeds (`onlcr`), also where it is a byte of a number.
 */
export const reader = (terminal: boolean): Reader => (bytes) => {
  const digits: Array<number> = []
  let read = 0
  while (digits.length < 4) {
    if (terminal && bytes[read] === carriageReturn && read + 1 === bytes.length) return { _tag: "More" }
    if (terminal && bytes[read] === carriageReturn && bytes[read + 1] === lineFeed) read++
    const digit = bytes[read]
    if (digit === undefined) return { _tag: "More" }
    digits.push(digit)
    read++
  }
  const pid = digits.reduceRight((number, digit) => number * 256 + digit, 0)
  // Linux has none above 2^22: these bytes are no agent's.
  if (pid <= 1 || pid > 4_194_304) return { _tag: "None" }
  return {
    _tag: "Found",
    announcement: { _tag: "Running", leader: { pid, started: undefined } },
    rest: bytes.subarray(read)
  }
}
