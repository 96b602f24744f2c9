import { Schema } from "effect"

/** Why the server could not start. `message` is one sentence for the operator: what happened and what to do. */
export class SshServerError extends Schema.TaggedError<SshServerError>()("SshServerError", {
  reason: Schema.Literals([
    "AddressInUse",
    "PermissionDenied",
    "AddressNotAvailable",
    "BadHostKey",
    "IncompatibleSsh2",
    "CannotListen"
  ]),
  message: Schema.String
}) {}

/** What `net.Server` reports when it cannot listen, as a sentence. */
export const cannotListen = (host: string, port: number, error: NodeJS.ErrnoException): SshServerError => {
  const where = `${host}:${port}`
  switch (error.code) {
    case "EADDRINUSE":
      return new SshServerError({
        reason: "AddressInUse",
        message: `cannot listen on ${where}: another program already does; stop it or choose another port`
      })
    case "EACCES":
      return new SshServerError({
        reason: "PermissionDenied",
        message: `cannot listen on ${where}: permission denied; ports below 1024 need privileges, choose a higher one`
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new SshServerError({
        reason: "AddressNotAvailable",
        message: `cannot listen on ${where}: this machine has no such address; use one of its own, or 0.0.0.0 for all`
      })
    default:
      return new SshServerError({
        reason: "CannotListen",
        message: `cannot listen on ${where}: ${error.code ?? error.message}; choose another address or port`
      })
  }
}
