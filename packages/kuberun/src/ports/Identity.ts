/**
 * Who is connected, and how: what pods are named and labelled by, and what programs are told of their connection.
 */
import type { AuthMetadata } from "./Authentication.ts"
import type { SshConnection } from "./Ssh.ts"

export interface Identity {
  readonly connectionId: string
  readonly username: string
  readonly remoteAddress: string
  readonly remotePort: number
  /** Empty where it is not known. */
  readonly localAddress: string
  readonly localPort: number
  readonly metadata: AuthMetadata
}

/** The identity of an SSH connection. */
export const identityOf = (connection: SshConnection): Identity => ({
  connectionId: connection.id,
  username: connection.username,
  remoteAddress: connection.remoteAddress,
  remotePort: connection.remotePort,
  localAddress: connection.localAddress,
  localPort: connection.localPort,
  metadata: connection.metadata
})
