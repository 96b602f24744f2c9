/** The names of signals (RFC 4254 §6.9 and §6.10), without SIG before them. Pure. */

/** The names that RFC 4254 §6.10 defines; the other side need not know others. */
export const definedSignals: ReadonlySet<string> = new Set([
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

const signalName = /^[A-Z][A-Z0-9]{0,15}(?:[+-]\d{1,2})?(?:@[A-Za-z0-9.-]{1,253})?$/

/**
 * Whether it is written as a signal's name: one of the operating system's (`TERM`, `BUS`, `RTMIN+3`) or one of somebody's
 * own (`INFO@openssh.com`). What else a client may send as a name goes no further than here.
 */
export const isSignalName = (name: string): boolean => signalName.test(name)
