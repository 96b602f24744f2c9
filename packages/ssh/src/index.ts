export type { ConnectionHandler } from "./ClientConnection.ts"
export { generateKey } from "./HostKey.ts"
export { type LineTerminal, lineTerminal } from "./LineTerminal.ts"
export { parsePublicKey, type PublicKey } from "./PublicKey.ts"
export { eachSession } from "./Sessions.ts"
export { nativeCiphersLoaded } from "./Ssh2Guards.ts"
export { defaults as defaultLimits, type SshLimits } from "./SshLimits.ts"
export { type ListeningServer, make, type ServerAddress, SshServer, type SshServerOptions } from "./SshServer.ts"
export { SshServerError } from "./SshServerError.ts"

// The vocabulary of handlers and authenticators. It lives in `kuberun`, which needs nothing but `effect`.
export { accepted, Authenticator, ChannelClosed, rejected, stderr, stdout, unavailable } from "kuberun"
export type {
  AuthenticationMethod,
  AuthenticationRequest,
  AuthenticationResponse,
  AuthMetadata,
  ExitStatus,
  Output,
  SessionChannel,
  SessionRequest,
  SshConnection,
  TerminalModes,
  TerminalSize
} from "kuberun"
