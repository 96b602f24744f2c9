/**
 * When a call about a pod is made again, and how soon.
 */
import { Schedule } from "effect"
import { type ClusterError, isTransient } from "../ports/Cluster.ts"

/** For what somebody waits: a quarter of a second, doubled up to five, spread. */
export const startBackoff = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/** For deletions: half a second, doubled up to five; spread so that many pods do not ask at once. */
export const deletionBackoff = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/**
 * Whether a create that failed so may be taken when it is sent again. A conflict that is not about the name is a quota
 * that other creations wrote to at the same moment (`resourcequota` of the admission controllers).
 */
export const mayCreateAgain = (error: ClusterError): boolean => isTransient(error) || error.reason._tag === "Conflict"
