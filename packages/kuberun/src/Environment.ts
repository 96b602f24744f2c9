/**
 * The variables that a client sets on a session channel (RFC 4254 §6.4), within bounds.
 */
import { isEnvironmentName } from "./Program.ts"

/** The most variables that one channel may set (sshd's own limit), and the most characters in all of them. */
const maxVariables = 1000
const maxLength = 128 * 1024

export interface Environment {
  readonly variables: ReadonlyMap<string, string>
  /** False, and nothing is changed, where the variable or the number of them is not acceptable. */
  readonly set: (name: string, value: string) => boolean
}

/** None yet. It changes in place: a client may send variables by the thousand, and each costs the same. */
export const make = (): Environment => {
  const variables = new Map<string, string>()
  let length = 0
  return {
    variables,
    set: (name, value) => {
      if (!isEnvironmentName(name) || value.includes("\0")) return false
      const before = variables.get(name)
      const grown = length + value.length + (before === undefined ? name.length : -before.length)
      if (grown > maxLength || (before === undefined && variables.size >= maxVariables)) return false
      variables.set(name, value)
      length = grown
      return true
    }
  }
}
