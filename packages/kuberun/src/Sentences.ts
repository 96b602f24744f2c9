/**
 * What a user reads on the terminal when something failed: one sentence that says what happened and, where there is
 * something to do, one that says what. Pure.
 */
import type { ClusterError } from "./Cluster.ts"
import { PodEnded, type PodFailed, type PodStartError } from "./PodStartError.ts"

/**
 * Texts from a cluster may hold anything, and go to a terminal: control characters, which could move its cursor or
 * change its settings, become spaces.
 */
export const printable = (text: string): string => text.replaceAll(/\p{Cc}+/gu, " ").trim()

/** The same for a part of a sentence of ours: Kubernetes' own sentences often bring their full stop, or are empty. */
const clause = (text: string): string => printable(text).replace(/[.\s]+$/, "") || "no reason given"

/** What the cluster said, in words that fit behind a colon. */
export const clusterSentence = (error: ClusterError): string => {
  const detail = clause(error.reason.detail)
  switch (error.reason._tag) {
    case "Unreachable":
      return `the cluster cannot be reached (${detail}); try again later`
    case "CallTimedOut":
      return `the cluster does not answer (${detail}); try again later`
    case "Unauthorized":
      return `the cluster does not accept this service's credentials (${detail}); tell its administrator`
    case "Forbidden":
      return `the cluster does not allow it: ${detail}`
    case "TooManyRequests":
      return `the cluster is overloaded (${detail}); try again later`
    case "ServerFault":
      return `the cluster has a fault (${detail}); try again later`
    default:
      return `the cluster answered: ${detail}`
  }
}

const failureSentence = ({ detail: text, reason }: PodFailed): string => {
  const detail = clause(text)
  switch (reason) {
    case "ErrImagePull":
    case "ImagePullBackOff":
    case "InvalidImageName":
    case "ErrImageNeverPull":
      return `its image cannot be pulled: ${detail} (${reason})`
    default:
      return `${detail} (${reason})`
  }
}

/** Why there is no pod, or no longer one. */
export const podSentence = (error: PodStartError | PodEnded): string => {
  if (error instanceof PodEnded) {
    return error.reason._tag === "PodDeleted"
      ? `Your pod ${error.pod} was deleted, so this session ends.`
      : `Your pod ${error.pod} has ended under this session: ${clause(failureSentence(error.reason))}.`
  }
  switch (error.reason._tag) {
    case "Refused":
      return `Your pod could not be started: ${clause(clusterSentence(error.reason.error))}.`
    case "PodFailed":
      return `Your pod could not be started: ${clause(failureSentence(error.reason))}.`
    case "PodDeleted":
      return `Your pod ${error.pod} was deleted while it started.`
    case "NotReadyInTime":
      return `Your pod was not ready within ${error.reason.seconds} s: ${clause(error.reason.activity)}.`
  }
}

/** A stream to a program that could not be opened, or broke. */
export const execSentence = (error: ClusterError): string =>
  error.reason._tag === "StreamLost"
    ? `The connection to your program was lost (${
      clause(error.reason.detail)
    }); it may still run, and how it ended is not known.`
    : `Your program could not be started: ${clause(clusterSentence(error))}.`

const missingExecutable = /executable file.*not found|no such file or directory/i

/** Whether the container runtime's refusal says that the image does not have the program. */
export const isMissingExecutable = (detail: string): boolean => missingExecutable.test(detail)

/** The cluster has no way to tell the program that its input has ended. */
export const inputSentence = (error: ClusterError): string =>
  `Your program cannot be told that its input has ended: ${clause(error.reason.detail)}.`

/** The container runtime did not start the program `command`. */
export const notStartedSentence = (command: ReadonlyArray<string>, detail: string): string =>
  isMissingExecutable(detail)
    ? `The image of your pod has no ${printable(command[0] ?? "program")}, which this session needs.`
    : `Your program could not be run: ${clause(detail)}.`
