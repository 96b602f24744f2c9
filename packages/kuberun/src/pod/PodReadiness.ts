/**
 * What a pod's status means for someone who waits to run a program in it. Pure.
 *
 * Sources: the kubelet's container waiting reasons (`pkg/kubelet/images/types.go`, `kuberuntime_container.go`), the
 * scheduler's `PodScheduled` condition, and the pod phases of the API reference.
 */
import type { Container, ContainerStatus, Pod } from "../ports/Pod.ts"

/** What holds a pod up or ended it: `reason` is Kubernetes' CamelCase word, `detail` a sentence. */
export interface PodFault {
  readonly reason: string
  readonly detail: string
}

/**
 * - `Starting`: not yet; `activity` says what is going on, in words that fit behind a dash ("pulling image …"). With a
 *   `fault` it tries again and again at something that may heal, but seldom does (a Secret that is missing): who waits
 *   gives that a moment and takes the pod for failed then.
 * - `Ready`: running and ready (the `Ready` condition, as in kuberun v0.9.3).
 * - `Failed`: it will not become ready, or has ended.
 * - `Leaving`: somebody deletes it; `cause` is Kubernetes' own reason where it was not a person's will.
 */
export type PodReadiness =
  | { readonly _tag: "Starting"; readonly activity: string; readonly fault?: PodFault }
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Failed"; readonly reason: string; readonly detail: string }
  | { readonly _tag: "Leaving"; readonly cause?: PodFault }

const starting = (activity: string): PodReadiness => ({ _tag: "Starting", activity })
const failed = (reason: string, detail: string): PodReadiness => ({ _tag: "Failed", reason, detail })
const healing = (activity: string, reason: string, detail: string): PodReadiness => ({
  _tag: "Starting",
  activity: `${activity} (${detail})`,
  fault: { reason, detail }
})

/** Reasons for which a container waits and that no time mends. */
const permanentReasons: ReadonlySet<string> = new Set([
  "InvalidImageName",
  "ErrImageNeverPull",
  "SignatureValidationFailed"
])

/** The kubelet tries these again: a ConfigMap or Secret may appear, a runtime recover. */
const createReasons: ReadonlySet<string> = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "PreCreateHookError",
  "PreStartHookError",
  "PostStartHookError",
  "RunContainerError",
  "StartError"
])

/** Of those, what the image or the template would have to be changed for. */
const permanentCreateFault =
  /runAsNonRoot|non-numeric user|executable file not found|no such file or directory|permission denied|exec format error|is not a directory/i

const pullReasons: ReadonlySet<string> = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "ImageInspectError",
  "RegistryUnavailable"
])

/** A pull that failed with one of these in its message may succeed when the kubelet tries again. */
const passingPullFault =
  /time(d )?-?out|deadline exceeded|connection (refused|reset)|temporar|TLS handshake|too ?many ?requests|\b(429|50[0-4])\b|\bEOF\b/i

/** With one of these it will not. */
const permanentPullFault =
  /not found|manifest unknown|unauthori[sz]ed|authentication required|denied|forbidden|\b40[134]\b|no matching manifest|invalid reference|does not exist/i

/** How a container ended last, to stand behind a sentence about it. */
export const describeExit = (status: ContainerStatus): string => {
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
const containerReadiness = (pod: Pod, status: ContainerStatus, container: string): PodReadiness | undefined => {
  const waiting = status.state?.waiting
  if (waiting === undefined) return undefined
  const reason = waiting.reason ?? ""
  const who = `container ${status.name}`
  const detail = waiting.message ?? who
  if (permanentReasons.has(reason)) return failed(reason, detail)
  if (pullReasons.has(reason)) {
    const image = containerImage(pod, status)
    // The image's own name, which the message repeats, may hold any of these words.
    const message = detail.replaceAll(image, "")
    const activity = `image ${image} cannot be pulled yet`
    if (passingPullFault.test(message)) return starting(`${activity} (${detail})`)
    return permanentPullFault.test(message) ? failed(reason, detail) : healing(activity, reason, detail)
  }
  if (createReasons.has(reason)) {
    return permanentCreateFault.test(detail)
      ? failed(reason, detail)
      : healing(`${who} cannot be started yet`, reason, detail)
  }
  if (reason === "CrashLoopBackOff") {
    const keepsEnding = `${who} keeps ending${describeExit(status)}`
    // What the console container runs is ours, and would run by now. Another may wait for something by ending.
    return status.name === container ? failed(reason, keepsEnding) : healing("trying again", reason, keepsEnding)
  }
  return reason === "" || reason === "ContainerCreating" || reason === "PodInitializing"
    ? undefined
    : starting(`${who}: ${reason}`)
}

const condition = (pod: Pod, type: string) => pod.status?.conditions?.find((candidate) => candidate.type === type)

/**
 * Why the cluster itself takes a pod away (KEP-3329, `DisruptionTarget`): a pod of higher priority, an eviction, a node
 * that is lost, short of resources or shut down.
 */
export const disruption = (pod: Pod): PodFault | undefined => {
  const target = condition(pod, "DisruptionTarget")
  return target?.status === "True"
    ? { reason: target.reason ?? "DisruptionTarget", detail: target.message ?? "" }
    : undefined
}

const isSidecar = (pod: Pod, name: string): boolean => {
  const initContainers = pod.spec?.initContainers
  return Array.isArray(initContainers) &&
    initContainers.some((container: Container) => container.name === name && container.restartPolicy === "Always")
}

/** A text behind another, in brackets, if there is one. */
const inBrackets = (text: string | undefined): string => text === undefined || text === "" ? "" : ` (${text})`

const startingActivity = (pod: Pod): string => {
  const scheduled = condition(pod, "PodScheduled")
  if (scheduled?.status === "False") {
    const what = scheduled.reason === "SchedulingGated" ? "to be let to a node" : "for a node"
    return `waiting ${what} (${scheduled.message ?? scheduled.reason ?? "unschedulable"})`
  }
  if (pod.status?.phase === undefined || (pod.status.phase === "Pending" && scheduled === undefined)) {
    return "waiting for a node"
  }
  const init = pod.status.initContainerStatuses?.find((status) =>
    status.state?.running !== undefined && !isSidecar(pod, status.name)
  )
  if (init !== undefined && pod.status.phase === "Pending") return `running init container ${init.name}`
  const creating = pod.status.containerStatuses?.find((status) => status.state?.waiting !== undefined)
  if (creating !== undefined) return `creating container with image ${containerImage(pod, creating)}`
  return `waiting until it is ready${inBrackets(condition(pod, "Ready")?.message)}`
}

/** Whose end was the pod's: the console container's, or an init container's without which that never ran. */
const endedContainer = (pod: Pod, container: string): ContainerStatus | undefined => {
  const console = pod.status?.containerStatuses?.find((status) => status.name === container)
  return console?.state?.terminated === undefined && console?.lastState?.terminated === undefined
    ? pod.status?.initContainerStatuses?.find(({ state }) => (state?.terminated?.exitCode ?? 0) !== 0) ?? console
    : console
}

const ending = (pod: Pod, container: string): PodReadiness => {
  const { message, phase, reason } = pod.status ?? {}
  const disrupted = disruption(pod)
  const ended = endedContainer(pod, container)
  return failed(
    reason ?? disrupted?.reason ?? (phase === "Failed" ? "Failed" : "Completed"),
    message ?? disrupted?.detail ??
      `container ${ended?.name ?? container} has ended${ended === undefined ? "" : describeExit(ended)}`
  )
}

/**
 * What the pod is, seen by someone who wants to run programs in its container `container`. Statuses are looked up by
 * name: their order is not the spec's.
 */
export const podReadiness = (pod: Pod, container: string): PodReadiness => {
  const status = pod.status ?? {}
  if (pod.metadata.deletionTimestamp !== undefined) {
    const cause = disruption(pod)
    return { _tag: "Leaving", ...(cause === undefined ? {} : { cause }) }
  }
  if (status.phase === "Failed" || status.phase === "Succeeded") return ending(pod, container)
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  const holding = statuses.flatMap((candidate) => containerReadiness(pod, candidate, container) ?? [])
  const fault = holding.find((readiness) => readiness._tag === "Failed")
  if (fault !== undefined) return fault
  const console = status.containerStatuses?.find((candidate) => candidate.name === container)
  if (
    status.phase === "Running" && condition(pod, "Ready")?.status === "True" && console?.state?.running !== undefined
  ) {
    return { _tag: "Ready" }
  }
  // What may not heal is told before what only takes its time.
  return holding.find((readiness) => "fault" in readiness) ?? holding[0] ?? starting(startingActivity(pod))
}
