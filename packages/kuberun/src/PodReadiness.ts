/**
 * What a pod's status means for someone who waits to run a program in it. Pure.
 *
 * Sources: the kubelet's container waiting reasons (`pkg/kubelet/images/types.go`, `kuberuntime_container.go`), the
 * scheduler's `PodScheduled` condition, and the pod phases of the API reference.
 */
import type { ContainerStatus, Pod } from "./Pod.ts"

/**
 * - `Starting`: not yet; `activity` says what is going on, in words that fit behind a dash ("pulling image …").
 * - `Ready`: running and ready (the `Ready` condition, as in kuberun v0.9.3).
 * - `Failed`: it will not become ready, or has ended; `reason` is Kubernetes' CamelCase word, `detail` its sentence.
 * - `Leaving`: somebody deletes it.
 */
export type PodReadiness =
  | { readonly _tag: "Starting"; readonly activity: string }
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Failed"; readonly reason: string; readonly detail: string }
  | { readonly _tag: "Leaving" }

const starting = (activity: string): PodReadiness => ({ _tag: "Starting", activity })
const failed = (reason: string, detail: string): PodReadiness => ({ _tag: "Failed", reason, detail })

/** Reasons for which a container waits and that waiting does not mend within the patience of a person. */
const permanentReasons: ReadonlySet<string> = new Set([
  "InvalidImageName",
  "ErrImageNeverPull",
  "SignatureValidationFailed",
  "CreateContainerConfigError",
  "RunContainerError",
  "PostStartHookError"
])

/** A pull that failed with one of these in its message may succeed when the kubelet tries again. */
const passingPullFault =
  /time(d )?-?out|deadline exceeded|connection (refused|reset)|temporar|TLS handshake|too ?many ?requests|\b(429|50[0-4])\b|\bEOF\b/i

const pullReasons: ReadonlySet<string> = new Set(["ErrImagePull", "ImagePullBackOff"])

const describeExit = (status: ContainerStatus): string => {
  const last = status.state?.terminated ?? status.lastState?.terminated
  if (last === undefined) return ""
  const reason = last.reason === undefined || last.reason === "Error" ? "" : ` (${last.reason})`
  return `: its last run ended with exit code ${last.exitCode}${reason}`
}

const containerImage = (pod: Pod, status: ContainerStatus): string => {
  const initContainers = pod.spec?.initContainers
  const all = [...(pod.spec?.containers ?? []), ...(Array.isArray(initContainers) ? initContainers : [])]
  return all.find((container) => container.name === status.name)?.image ?? status.image ?? status.name
}

/** What one container's status says about the whole pod; `undefined` where it holds nothing up. */
const containerReadiness = (pod: Pod, status: ContainerStatus): PodReadiness | undefined => {
  const waiting = status.state?.waiting
  if (waiting === undefined) return undefined
  const reason = waiting.reason ?? ""
  const detail = waiting.message ?? `container ${status.name}`
  if (permanentReasons.has(reason)) return failed(reason, detail)
  if (pullReasons.has(reason)) {
    const image = containerImage(pod, status)
    // The image's own name, which the message repeats, may hold any of these words.
    return passingPullFault.test(detail.replaceAll(image, ""))
      ? starting(`image ${image} cannot be pulled yet (${detail})`)
      : failed(reason, detail)
  }
  if (reason === "CrashLoopBackOff") {
    return failed(reason, `container ${status.name} keeps ending${describeExit(status)}`)
  }
  return reason === "" || reason === "ContainerCreating" || reason === "PodInitializing"
    ? undefined
    : starting(`container ${status.name}: ${reason}`)
}

const condition = (pod: Pod, type: string) => pod.status?.conditions?.find((candidate) => candidate.type === type)

const startingActivity = (pod: Pod): string => {
  const scheduled = condition(pod, "PodScheduled")
  if (scheduled?.status === "False") {
    return `waiting for a node (${scheduled.message ?? scheduled.reason ?? "unschedulable"})`
  }
  if (pod.status?.phase === undefined || (pod.status.phase === "Pending" && scheduled === undefined)) {
    return "waiting for a node"
  }
  const init = pod.status.initContainerStatuses?.find((status) => status.state?.running !== undefined)
  if (init !== undefined && pod.status.phase === "Pending") return `running init container ${init.name}`
  const creating = pod.status.containerStatuses?.find((status) => status.state?.waiting !== undefined)
  if (creating !== undefined) return `creating container with image ${containerImage(pod, creating)}`
  return "waiting until it is ready"
}

/**
 * What the pod is, seen by someone who wants to run programs in its container `container`. Statuses are looked up by
 * name: their order is not the spec's.
 */
export const podReadiness = (pod: Pod, container: string): PodReadiness => {
  const status = pod.status ?? {}
  if (pod.metadata.deletionTimestamp !== undefined) return { _tag: "Leaving" }
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  if (status.phase === "Failed" || status.phase === "Succeeded") {
    const ended = statuses.find((candidate) => candidate.name === container)
    return failed(
      status.reason ?? (status.phase === "Failed" ? "Failed" : "Completed"),
      status.message ?? `container ${container} has ended${ended === undefined ? "" : describeExit(ended)}`
    )
  }
  const holding = statuses.flatMap((candidate) => containerReadiness(pod, candidate) ?? [])
  const fault = holding.find((readiness) => readiness._tag === "Failed")
  if (fault !== undefined) return fault
  const console = status.containerStatuses?.find((candidate) => candidate.name === container)
  if (
    status.phase === "Running" && condition(pod, "Ready")?.status === "True" && console?.state?.running !== undefined
  ) {
    return { _tag: "Ready" }
  }
  return holding[0] ?? starting(startingActivity(pod))
}

/**
 * Why no program can run in the container `container` of a pod that was ready before: it is not running now. A
 * container that was started anew runs.
 */
export const notRunning = (
  pod: Pod,
  container: string
): { readonly reason: string; readonly detail: string } | undefined => {
  const console = pod.status?.containerStatuses?.find((status) => status.name === container)
  if (console === undefined || console.state?.running !== undefined) return undefined
  const { terminated, waiting } = console.state ?? {}
  return {
    reason: waiting?.reason ?? terminated?.reason ?? "NotRunning",
    detail: `container ${container} is not running${describeExit(console)}`
  }
}
