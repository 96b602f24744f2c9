/** What the machine says of its processes, from outside of any pod. */
import { readdirSync, readFileSync } from "node:fs"

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
  } catch {
    return ""
  }
}

/** The ids of processes whose command line holds `text`. */
export const processesWith = (text: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((entry) => /^\d+$/.test(entry) && commandOf(entry).includes(text))
