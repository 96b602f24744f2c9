/**
 * How a program's first words tell who it is. Pure.
 *
 * An exec in Kubernetes does not say which process it became, and without its id nothing can be signalled. So the
 * prologue (`ProgramPrologue.ts`) writes it in front of everything that the program itself will write: on the terminal
 * where there is one, else on stderr. The form is an Operating System Command (ECMA-48 §8.3.89) of a kind that no
 * terminal knows, so that nothing is seen of one that somebody fails to strip.
 *
 * Only what stands at the very beginning counts, and it holds a word that was made for this start and that the program
 * is never told: whatever a program prints, it announces nothing.
 */

/** The process that an exec became: the leader of its session and of its process group. */
export interface Leader {
  /** Its id, as the container counts. */
  readonly pid: number
  /** When it started (`starttime` of `/proc/PID/stat`): tells it from another that is given the same id later. */
  readonly started: string | undefined
}

/** What an announcement says: the program is about to run as this process, or the image does not have it. */
export type Announcement =
  | { readonly _tag: "Running"; readonly leader: Leader }
  | { readonly _tag: "Missing" }

/** What the bytes so far are: too few to say, an announcement with what stands behind it, or none at all. */
export type Reading =
  | { readonly _tag: "More" }
  | { readonly _tag: "Found"; readonly announcement: Announcement; readonly rest: Uint8Array }
  | { readonly _tag: "None" }

/** Reads the beginning of a program's output. */
export type Reader = (bytes: Uint8Array) => Reading

/** The fields; process 1 is the container's own first one, whose group, to kill(2), is everybody. */
const whole = /^(?:(!)|(?!1;)([1-9][0-9]{0,9});([0-9]{0,20}))$/
/** What may become that. */
const partial = /^(?:!|(?:[1-9][0-9]{0,9})?|(?!1;)[1-9][0-9]{0,9};[0-9]{0,20})$/

/** The longest that is looked at: all fields at their longest behind the word. */
const longestFields = 33

const more: Reading = { _tag: "More" }
const none: Reading = { _tag: "None" }

/** What the prologue writes in front of the fields, for the word of one start. */
export const opening = (word: string): string => `\u001b]kuberun;${word};`
/** What it writes behind them: BEL. */
export const closing = "\u0007"

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

/** Reads an announcement with this word. Gives up at the first byte that cannot be one's. */
export const reader = (word: string): Reader => {
  const begin = opening(word)
  return (bytes) => {
    const seen = text(bytes.subarray(0, begin.length + longestFields + 1))
    if (!seen.startsWith(begin)) return begin.startsWith(seen) ? more : none
    const end = seen.indexOf(closing, begin.length)
    const said = seen.slice(begin.length, end < 0 ? undefined : end)
    if (end < 0) return partial.test(said) ? more : none
    const [, missing, pid, started] = whole.exec(said) ?? []
    const announcement: Announcement | undefined = missing !== undefined
      ? { _tag: "Missing" }
      : pid === undefined
      ? undefined
      : { _tag: "Running", leader: { pid: Number(pid), started: started === "" ? undefined : started } }
    return announcement === undefined ? none : { _tag: "Found", announcement, rest: bytes.subarray(end + 1) }
  }
}
