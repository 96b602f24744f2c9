/** How a program's end is told (RFC 4254 §6.10). Pure. */
import type { ExitStatus } from "kuberun"
import { constants } from "node:os"
import * as Messages from "./Messages.ts"

/** The names that RFC 4254 §6.10 defines; clients need not know others. */
const definedSignals = new Set([
  "ABRT",
  "ALRM",
  "FPE",
  "HUP",
  "ILL",
  "INT",
  "KILL",
  "PIPE",
  "QUIT",
  "SEGV",
  "TERM",
  "USR1",
  "USR2"
])

/** What a shell reports for a program that a signal ended, and what is said where the number is not known. */
const signalBase = 128
const unknownStatus = 255

/** A signal that RFC 4254 has no name for (`BUS`, `SYS`, …) becomes the exit status that a shell would report. */
export const exitMessage = (remote: number, status: ExitStatus): Buffer => {
  if (status._tag === "Exited") return Messages.exitStatus(remote, toUint32(status.code))
  if (definedSignals.has(status.signal)) return Messages.exitSignal(remote, status.signal, status.message)
  const number = new Map<string, number>(Object.entries(constants.signals)).get(`SIG${status.signal}`)
  return Messages.exitStatus(remote, number === undefined ? unknownStatus : signalBase + number)
}

/** A negative code is reported as the operating system would, by its low eight bits. */
const toUint32 = (code: number): number => {
  if (!Number.isInteger(code) || code > 0xffffffff) return unknownStatus
  return code < 0 ? code & 0xff : code
}
