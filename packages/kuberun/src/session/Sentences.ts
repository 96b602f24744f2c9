/**
 * What a user reads on the terminal when something failed: one sentence that says what happened and, where there is
 * something to do, one that says what. Pure.
 */
import {
  type ContainerRestarted,
  type PodDeleted,
  PodEnded,
  type PodFailed,
  type PodStartError
} from "../pod/PodStartError.ts"
import type { ClusterError } from "../ports/Cluster.ts"

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

/** Kubernetes' reasons for taking a pod from its node, in words. */
const takenAway: Readonly<Record<string, string>> = {
  Evicted: "it was evicted from its node",
  NodeLost: "its node was lost",
  NodeShutdown: "its node shuts down",
  Shutdown: "its node shuts down",
  Terminated: "its node shuts down",
  Preempting: "another pod took its place",
  DeadlineExceeded: "it has run for as long as it may",
  PreemptionByScheduler: "a pod of higher priority took its place",
  DeletionByTaintManager: "its node was lost, or takes such pods no longer",
  EvictionByEvictionAPI: "it was evicted, as when its node is emptied",
  DeletionByPodGC: "its node is gone",
  TerminationByKubelet: "its node is short of resources, or shuts down"
}

const imageReasons: ReadonlySet<string> = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "ImageInspectError",
  "RegistryUnavailable",
  "SignatureValidationFailed"
])

const wordsOf = (reason: string): string | undefined => {
  if (imageReasons.has(reason)) return "its image cannot be pulled"
  const resource = /^OutOf(\w+)$/.exec(reason)?.[1]
  if (resource !== undefined) return `its node has no ${resource} left`
  return Object.hasOwn(takenAway, reason) ? takenAway[reason] : undefined
}

const failureSentence = ({ detail: text, reason }: PodFailed): string => {
  const detail = clause(text)
  const words = wordsOf(reason)
  // A container's last reason is told with its exit code already.
  const named = detail.includes(`(${printable(reason)})`) ? detail : `${detail} (${printable(reason)})`
  return words === undefined ? named : `${words}: ${named}`
}

const deletion = ({ detail, reason }: PodDeleted): string => {
  if (reason === undefined) return ""
  const words = wordsOf(reason) ?? "the cluster took it away"
  return `: ${words} (${detail === undefined || printable(detail) === "" ? printable(reason) : clause(detail)})`
}

const restartedSentence = (pod: string, { container, exitCode, reason }: ContainerRestarted): string => {
  const how = [
    ...(reason === undefined ? [] : [printable(reason)]),
    ...(exitCode === undefined ? [] : [`exit code ${exitCode}`])
  ].join(", ")
  return `Your pod ${pod}: container ${printable(container)} was restarted${
    how === "" ? "" : ` (${how})`
  }, and your program ended with it.`
}

const endedSentence = ({ pod, reason }: PodEnded): string => {
  switch (reason._tag) {
    case "PodDeleted":
      return `Your pod ${pod} was deleted, so this session ends${deletion(reason)}.`
    case "ContainerRestarted":
      return restartedSentence(pod, reason)
    case "PodFailed":
      return `Your pod ${pod} has ended under this session: ${clause(failureSentence(reason))}.`
  }
}

/** Why there is no pod, or no longer one. */
export const podSentence = (error: PodStartError | PodEnded): string => {
  if (error instanceof PodEnded) return endedSentence(error)
  switch (error.reason._tag) {
    case "Refused":
      return `Your pod could not be started: ${clause(clusterSentence(error.reason.error))}.`
    case "Unusable":
      return `Your pod could not be started: ${clause(error.reason.detail)}.`
    case "PodFailed":
      return `Your pod could not be started: ${clause(failureSentence(error.reason))}.`
    case "PodDeleted":
      return `Your pod ${error.pod} was deleted while it started${deletion(error.reason)}.`
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
