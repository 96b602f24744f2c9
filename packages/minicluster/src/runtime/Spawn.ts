/**
 * Starting a process that inherits nothing of ours but what it is given.
 *
 * Node opens everything close-on-exec, but node-pty's `openpty` does not: every process started while a terminal is
 * open would hold it, its hang-up would never come, and one pod could read another's terminal. Nothing in Node can set
 * the flag afterwards, so in each new process such a descriptor is covered by one of `/dev/null`.
 */
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { type Command } from "./Isolation.ts"

/** Descriptors of open terminals, in all clusters of this process. */
const uncovered = new Set<number>()

export const coverDescriptor = (fd: number): void => {
  uncovered.add(fd)
}
export const uncoverDescriptor = (fd: number): void => {
  uncovered.delete(fd)
}

/** A child of its own session. `stdio` tells its descriptors from 0 on: a number of ours or `/dev/null` for "null". */
export const spawnClean = (
  command: Command,
  stdio: ReadonlyArray<number | "ignore" | "null" | "pipe">
): ChildProcess => {
  const nothing = openSync("/dev/null", "r+")
  try {
    const highest = Math.max(-1, ...uncovered)
    const all: StdioOptions = Array.from(
      { length: Math.max(stdio.length, highest + 1) },
      (_, fd) => {
        const wanted = stdio[fd] ?? (uncovered.has(fd) ? "null" : "ignore")
        // From 3 on, Node's "ignore" is no descriptor at all.
        return wanted === "null" ? nothing : wanted
      }
    )
    return spawn(command.file, command.args, { cwd: "/", env: command.environment ?? {}, stdio: all, detached: true })
  } finally {
    closeSync(nothing)
  }
}
