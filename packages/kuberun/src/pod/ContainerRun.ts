/**
 * One run of a container, from a start of it to its end: what a program that runs in it depends on. Pure.
 */
import type { ContainerStatus, Pod } from "../ports/Pod.ts"
import { describeExit, disruption, type PodFault } from "./PodReadiness.ts"

/** Tells one run from the next (`ContainerStatus`: `restartCount` never goes down while the pod lives). */
export interface ContainerRun {
  readonly restarts: number
  readonly startedAt: string | undefined
}

/** Looked up by name: the order of statuses is not the spec's. */
const statusOf = (pod: Pod, container: string): ContainerStatus | undefined =>
  pod.status?.containerStatuses?.find((status) => status.name === container)

/** The present run; `undefined` while the container does not run, or nothing is known of it. */
export const presentRun = (pod: Pod, container: string): ContainerRun | undefined => {
  const status = statusOf(pod, container)
  return status?.state?.running === undefined
    ? undefined
    : { restarts: status.restartCount ?? 0, startedAt: status.state.running.startedAt }
}

/** How a run ended that another one has followed. */
export interface Restart {
  /** Why, in Kubernetes' word ("OOMKilled", "Error", "Completed"). */
  readonly reason?: string
  readonly exitCode?: number
}

/** Whether the container was started again since that run, and how that one ended. */
export const restartSince = (pod: Pod, container: string, run: ContainerRun): Restart | undefined => {
  const status = statusOf(pod, container)
  const startedAt = status?.state?.running?.startedAt
  const another = (status?.restartCount ?? 0) > run.restarts ||
    (startedAt !== undefined && run.startedAt !== undefined && startedAt !== run.startedAt)
  if (status === undefined || !another) return undefined
  const { exitCode, reason } = status.lastState?.terminated ?? {}
  return { ...(reason === undefined ? {} : { reason }), ...(exitCode === undefined ? {} : { exitCode }) }
}

/**
 * Why no program can run in the container `container` of a pod that was ready before: it is not running now, with the
 * cluster's reason where it is the cluster that takes the pod away. A
 * container that was started anew runs.
 */
export const notRunning = (pod: Pod, container: string): PodFault | undefined => {
  const status = statusOf(pod, container)
  if (status === undefined || status.state?.running !== undefined) return undefined
  // The kubelet ends the containers of a pod that it evicts before it calls the pod failed, and says why before both.
  const taken = disruption(pod)
  if (taken !== undefined) return taken
  const { terminated, waiting } = status.state ?? {}
  return {
    reason: waiting?.reason ?? terminated?.reason ?? "NotRunning",
    detail: `container ${container} is not running${describeExit(status)}`
  }
}
