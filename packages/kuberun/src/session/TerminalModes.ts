/**
 * The terminal modes of a pty-req (RFC 4254 §8) as arguments of POSIX `stty`. Pure.
 *
 * An exec in a pod has no field for them, so the program's terminal is set up by `stty` where the image has it.
 */
import type { TerminalModes } from "../ports/Ssh.ts"

/** Opcodes of special characters, by their stty names. The value is the character, 255 for "none". */
const characters: ReadonlyMap<number, string> = new Map([
  [1, "intr"],
  [2, "quit"],
  [3, "erase"],
  [4, "kill"],
  [5, "eof"],
  [6, "eol"],
  [7, "eol2"],
  [8, "start"],
  [9, "stop"],
  [10, "susp"],
  [12, "rprnt"],
  [13, "werase"],
  [14, "lnext"]
])

/** Opcodes of flags, by their stty names. */
const flags: ReadonlyMap<number, string> = new Map([
  [30, "ignpar"],
  [31, "parmrk"],
  [32, "inpck"],
  [33, "istrip"],
  [34, "inlcr"],
  [35, "igncr"],
  [36, "icrnl"],
  [38, "ixon"],
  [39, "ixany"],
  [40, "ixoff"],
  [41, "imaxbel"],
  [42, "iutf8"],
  [50, "isig"],
  [51, "icanon"],
  [53, "echo"],
  [54, "echoe"],
  [55, "echok"],
  [56, "echonl"],
  [57, "noflsh"],
  [58, "tostop"],
  [59, "iexten"],
  [60, "echoctl"],
  [61, "echoke"],
  [70, "opost"],
  [72, "onlcr"],
  [73, "ocrnl"],
  [74, "onocr"],
  [75, "onlret"],
  [90, "cs7"],
  [91, "cs8"],
  [92, "parenb"],
  [93, "parodd"]
])

/** `_POSIX_VDISABLE` as SSH sends it. */
const disabled = 255

const character = (value: number): string => {
  if (value === disabled || value === 0) return "undef"
  if (value === 127) return "^?"
  return value < 32 ? `^${String.fromCharCode(value + 64)}` : String.fromCharCode(value)
}

/** What every `stty` knows (POSIX), and what most depends on. */
const portable: ReadonlySet<string> = new Set([
  "intr",
  "quit",
  "erase",
  "kill",
  "eof",
  "isig",
  "icanon",
  "echo",
  "echoe",
  "echok",
  "icrnl",
  "ixon",
  "opost"
])

/** One mode in stty's words, with the name it has there; `undefined` where stty has no word for it. */
const setting = (opcode: number, value: number): { readonly name: string; readonly words: string } | undefined => {
  const special = characters.get(opcode)
  // A blank as special character would be split off, and a value beyond ASCII is none that stty takes.
  if (special !== undefined) {
    return value === 32 || (value > 127 && value !== disabled)
      ? undefined
      : { name: special, words: `${special} ${character(value)}` }
  }
  const name = flags.get(opcode)
  if (name === undefined) return undefined
  if (name === "cs7" || name === "cs8") return value === 0 ? undefined : { name, words: name }
  return { name, words: value === 0 ? `-${name}` : name }
}

/**
 * Arguments for `stty`, separated by blanks, in the order sent: all of them, and those that every stty knows. Line
 * speeds, which mean nothing on a pseudo terminal, and values that cannot be are left out.
 */
export const sttySettings = (modes: TerminalModes): { readonly all: string; readonly portable: string } => {
  const settings = [...modes].flatMap(([opcode, value]) => setting(opcode, value) ?? [])
  return {
    all: settings.map(({ words }) => words).join(" "),
    portable: settings.filter(({ name }) => portable.has(name)).map(({ words }) => words).join(" ")
  }
}
