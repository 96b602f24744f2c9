/**
 * Why the service did not start: one sentence what happened, one what to do. Shown as it is, without a stack trace.
 */
import { Schema } from "effect"

/** What the trouble is with. */
export const StartErrorReason = Schema.Literals([
  "ConfigFile",
  "StateFolder",
  "PrivateFile",
  "HostKey",
  "AuthorizedKeys",
  "Authentication",
  "Listen",
  "Cluster"
])
export type StartErrorReason = typeof StartErrorReason.Type

/** The service cannot start as asked. `message` is for the person who asked, and holds no secret. */
export class StartError extends Schema.TaggedError<StartError>()("StartError", {
  reason: StartErrorReason,
  message: Schema.String
}) {}

/** In curried form, for `mapError` and friends. */
export const startError = (reason: StartErrorReason, message: string): StartError => new StartError({ reason, message })
