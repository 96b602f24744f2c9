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
  /** Where the client connected to: an address of this server's, and its port. Empty where it is not known. */
  readonly localAddress: string
  readonly localPort: number
  /** What the authenticator said of the user beside the name, for `exposeAuthMetadataAs…` and templates. */
  readonly metadata: AuthMetadata
}

/** The identity of an SSH connection. */
export const identityOf = (
  { id, localAddress, localPort, metadata, remoteAddress, remotePort, username }: SshConnection
): Identity => ({ connectionId: id, localAddress, localPort, metadata, remoteAddress, remotePort, username })
