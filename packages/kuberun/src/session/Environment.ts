/**
 * The variables of a session's program: those that its client sets (RFC 4254 §6.4), within bounds, and those that tell
 * it about its connection.
 */
import type { PodConfig } from "../config/Config.ts"
import type { Identity } from "../ports/Identity.ts"
import { isEnvironmentName } from "./Program.ts"

/** The most variables that one channel may set (sshd's own limit), and the most characters in all of them. */
const maxVariables = 1000
const maxLength = 128 * 1024

/**
 * What a client may not set: names by which programs tell what we say of the connection from what it says itself. sshd
 * takes none of them either. SSH_ORIGINAL_COMMAND is the exception: a policy that puts another program in the place of
 * the client's sets it so, last of all; where none does, it says no more than the command would.
 */
const isReserved = (name: string): boolean => /^(SSH|KUBERUN)_/.test(name) && name !== "SSH_ORIGINAL_COMMAND"

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
      if (!isEnvironmentName(name) || isReserved(name) || value.includes("\0")) return false
      const before = variables.get(name)
      const grown = length + value.length + (before === undefined ? name.length : -before.length)
      if (grown > maxLength || (before === undefined && variables.size >= maxVariables)) return false
      variables.set(name, value)
      length = grown
      return true
    }
  }
}

/** As sshd says it of a side whose address is not known. */
const unknown = { address: "UNKNOWN", port: 65_535 }

/**
 * What the program is told whatever its client says: SSH_CLIENT and SSH_CONNECTION as sshd sets them (SSH_TTY is found
 * where the terminal is), and what the authenticator said of the user, by the names that the configuration gives it.
 */
export const ofConnection = (
  identity: Identity,
  { exposeAuthMetadataAsEnv }: Pick<PodConfig, "exposeAuthMetadataAsEnv">
): ReadonlyArray<readonly [name: string, value: string]> => {
  const { metadata, remoteAddress, remotePort } = identity
  const local = identity.localAddress === ""
    ? unknown
    : { address: identity.localAddress, port: identity.localPort }
  const exposed = Object.entries(exposeAuthMetadataAsEnv).flatMap(([key, name]) => {
    const value = Object.hasOwn(metadata, key) ? metadata[key] : undefined
    return value === undefined || !isEnvironmentName(name) ? [] : [[name, value.replaceAll("\0", "")] as const]
  })
  return [
    ...exposed,
    ["SSH_CLIENT", `${remoteAddress} ${remotePort} ${local.port}`],
    ["SSH_CONNECTION", `${remoteAddress} ${remotePort} ${local.address} ${local.port}`]
  ]
}
