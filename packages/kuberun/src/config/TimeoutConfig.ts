/**
 * The keys under `timeouts`: how long each kind of step may take.
 */
import { Schema } from "effect"
import { GoDuration } from "./GoDuration.ts"

const limit = (description: string) => Schema.optionalKey(GoDuration).annotateKey({ description })

/** Time limits of one kind each; what is left out is bounded by `timeout`, and a call by `connection.timeout`. */
export const TimeoutConfig = Schema.Struct({
  podStart: limit("From asking for a pod until it is ready."),
  podStop: limit("For the deletion of a pod to be accepted."),
  commandStart: limit("From a ready pod until the cluster has accepted the program's streams."),
  signal: limit("For a signal to be delivered."),
  window: limit("For a new terminal size to be taken."),
  http: limit("Of one call to the API server, where connection.timeout is left out.")
})
export type TimeoutConfig = typeof TimeoutConfig.Type
