/** How a program's end is told (RFC 4254 §6.10). Pure. */
import type { ExitStatus } from "kuberun"
import * as Messages from "./Messages.ts"
import { definedSignals, isSignalName } from "./SignalName.ts"

/** What is said of a code that is none. */
const unknownStatus = 255

/** Whose names those signals are that RFC 4254 does not define. */
const ourDomain = "kuberun.dev"

export const exitMessage = (remote: number, status: ExitStatus): Buffer =>
  status._tag === "Exited"
    ? Messages.exitStatus(remote, toUint32(status.code))
    : Messages.exitSignal(remote, exitSignalName(status.signal), status.message)

/**
 * A signal without a name in RFC 4254 is `BUS@kuberun.dev`, the form that §6.10 leaves for such; what is no name at all
 * is `SIG@kuberun.dev`, as sshd says `SIG@openssh.com` for every signal it has no name for.
 */
const exitSignalName = (signal: string): string => {
  if (!isSignalName(signal)) return `SIG@${ourDomain}`
  return definedSignals.has(signal) || signal.includes("@") ? signal : `${signal}@${ourDomain}`
}

/** A negative code is reported as the operating system would, by its low eight bits. */
const toUint32 = (code: number): number => {
  if (!Number.isInteger(code) || code > 0xffffffff) return unknownStatus
  return code < 0 ? code & 0xff : code
}
