/** Pure: what the containers are in, said as the kubelet says it in a pod's status. */
import {
  type Container,
  type ContainerStatus,
  type Pod,
  type PodCondition,
  type PodPhase,
  type PodSpec,
  type PodStatus,
  timestamp
} from "../shapes/Objects.ts"
import { nodeAddress } from "./Node.ts"

const resources = (container: Container) => ({
  requests: container.resources?.requests ?? {},
  limits: container.resources?.limits ?? {}
})

/** Guaranteed when each container's limits of cpu and memory are its requests, BestEffort when none has any. */
export const qosClass = (containers: ReadonlyArray<Container>): string => {
  const all = containers.map(resources)
  const names = ["cpu", "memory"]
  if (all.every(({ limits, requests }) => names.every((name) => !(name in limits) && !(name in requests)))) {
    return "BestEffort"
  }
  const guaranteed = all.every(({ limits, requests }) =>
    names.every((name) => name in limits && String(requests[name] ?? limits[name]) === String(limits[name]))
  )
  return guaranteed ? "Guaranteed" : "Burstable"
}

/** An init container that stays (KEP-753). */
export const isSidecar = (container: Container): boolean => container.restartPolicy === "Always"

/** The names of a pod's sidecars. */
export const sidecarsOf = ({ initContainers = [] }: PodSpec): ReadonlySet<string> =>
  new Set(initContainers.filter(isSidecar).map(({ name }) => name))

/** The statuses of a pod's containers, each list in the order of the spec. */
export interface Statuses {
  readonly init: ReadonlyArray<ContainerStatus>
  readonly main: ReadonlyArray<ContainerStatus>
  readonly ephemeral: ReadonlyArray<ContainerStatus>
}

/** What the node knows of a pod. */
export interface PodView extends Statuses {
  /** The pod's surroundings are made: its volumes are there, its containers may start. */
  readonly sandbox: boolean
  /** All is over: nothing runs and nothing will. */
  readonly ended: boolean
  /** Why the node ended it, when it did. */
  readonly failure: { readonly reason: string; readonly message: string } | undefined
}

const never = ({ lastState, state }: ContainerStatus) =>
  state.waiting !== undefined && lastState.terminated === undefined
const isRunning = ({ state }: ContainerStatus) => state.running !== undefined
const end = ({ lastState, state }: ContainerStatus) => state.terminated ?? lastState.terminated

const split = (spec: PodSpec, { init }: Statuses) => {
  const sidecars = sidecarsOf(spec)
  return {
    sidecars: init.filter(({ name }) => sidecars.has(name)),
    regular: init.filter(({ name }) => !sidecars.has(name))
  }
}

/** Main containers have run before: what the init containers do now no longer holds the pod back. */
const hasStarted = ({ main }: Statuses) => main.some((status) => !never(status))

/** `getPhase` of the kubelet: from the containers and the restart policy; `ended` leaves the policy aside. */
export const podPhase = (spec: PodSpec, statuses: Statuses, ended = false): PodPhase => {
  const { main } = statuses
  const { regular, sidecars } = split(spec, statuses)
  const initFailed = regular.some((status) => (end(status)?.exitCode ?? 0) !== 0)
  if (initFailed && spec.restartPolicy === "Never") return "Failed"
  const uninitialized = regular.some((status) => isRunning(status) || never(status)) ||
    (!hasStarted(statuses) && sidecars.some((status) => never(status) || (isRunning(status) && !status.started)))
  if (uninitialized || [...main, ...sidecars].some(never)) return "Pending"
  if ([...main, ...sidecars].some(isRunning)) return "Running"
  const succeeded = main.every(({ state }) => state.terminated?.exitCode === 0)
  if (ended) return succeeded ? "Succeeded" : "Failed"
  if (spec.restartPolicy === "Always") return "Running"
  if (succeeded) return "Succeeded"
  return spec.restartPolicy === "Never" ? "Failed" : "Running"
}

export const isFinal = (phase: PodPhase): boolean => phase === "Failed" || phase === "Succeeded"

type NextCondition = Pick<PodCondition, "type" | "status" | "reason" | "message">

/** A condition as it is now; the time of transition stays while the status does. */
const stamped = (before: ReadonlyArray<PodCondition>, next: NextCondition, now: number): PodCondition => {
  const old = before.find(({ type }) => type === next.type)
  const lastTransitionTime = old?.status === next.status ? old.lastTransitionTime : timestamp(now)
  return { lastProbeTime: null, lastTransitionTime, ...next }
}

/** The pod with a condition in its place. */
export const withCondition = (pod: Pod, next: NextCondition, now: number): Pod => {
  const before = pod.status.conditions ?? []
  const condition = stamped(before, next, now)
  const conditions = before.some(({ type }) => type === next.type)
    ? before.map((old) => old.type === next.type ? condition : old)
    : [...before, condition]
  return { ...pod, status: { ...pod.status, conditions } }
}

type Verdict = Omit<NextCondition, "type">
const met: Verdict = { status: "True" }
const named = (what: string, statuses: ReadonlyArray<ContainerStatus>) =>
  `containers with ${what} status: [${statuses.map(({ name }) => name).join(" ")}]`

/** `GeneratePodInitializedCondition` */
const initialized = (spec: PodSpec, view: Statuses, phase: PodPhase): Verdict => {
  const { regular, sidecars } = split(spec, view)
  if (phase === "Succeeded") return { ...met, reason: "PodCompleted" }
  const waiting = [...regular.filter(({ ready }) => !ready), ...sidecars.filter(({ started }) => !started)]
  if (hasStarted(view) || waiting.length === 0) return met
  const incomplete = view.init.filter((status) => waiting.includes(status))
  return { status: "False", reason: "ContainersNotInitialized", message: named("incomplete", incomplete) }
}

/** `GenerateContainersReadyCondition` */
const containersReady = (spec: PodSpec, view: Statuses, phase: PodPhase): Verdict => {
  if (phase === "Succeeded") return { status: "False", reason: "PodCompleted" }
  if (phase === "Failed") return { status: "False", reason: "PodFailed" }
  const unready = [...split(spec, view).sidecars, ...view.main].filter(({ ready }) => !ready)
  return unready.length === 0
    ? met
    : { status: "False", reason: "ContainersNotReady", message: named("unready", unready) }
}

/** The readiness gates' part of `GeneratePodReadyCondition`. */
const gates = (spec: PodSpec, conditions: ReadonlyArray<PodCondition>): Verdict => {
  const faults = (spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = conditions.find(({ type }) => type === conditionType)
    if (condition === undefined) {
      return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`]
    }
    return condition.status === "True"
      ? []
      : [`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`]
  })
  return faults.length === 0
    ? met
    : { status: "False", reason: "ReadinessGatesNotReady", message: faults.join(", ") }
}

/** The kubelet's own conditions, in its order; those of others come before them. */
const conditionsOf = (pod: Pod, view: PodView, phase: PodPhase, now: number): ReadonlyArray<PodCondition> => {
  const before = pod.status.conditions ?? []
  const ready = containersReady(pod.spec, view, phase)
  const own: ReadonlyArray<NextCondition> = [
    { type: "PodReadyToStartContainers", status: view.sandbox && !view.ended ? "True" : "False" },
    { type: "Initialized", ...initialized(pod.spec, view, phase) },
    { type: "Ready", ...(ready.status === "True" ? gates(pod.spec, before) : ready) },
    { type: "ContainersReady", ...ready },
    { type: "PodScheduled", ...met }
  ]
  return [
    ...before.filter(({ type }) => own.every((condition) => condition.type !== type)),
    ...own.map((condition) => stamped(before, condition, now))
  ]
}

/** The whole status of a pod that a node has taken. */
export const podStatus = (pod: Pod, view: PodView, now: number): PodStatus => {
  const counted = view.failure === undefined || !view.ended ? podPhase(pod.spec, view, view.ended) : "Failed"
  // A pod is said to have ended only when the node is done with it, all in one write.
  const phase = isFinal(counted) && !view.ended ? pod.status.phase : counted
  return {
    ...pod.status,
    phase,
    ...(view.ended && view.failure !== undefined
      ? { reason: view.failure.reason, message: view.failure.message }
      : {}),
    conditions: conditionsOf(pod, view, phase, now),
    hostIP: nodeAddress,
    hostIPs: [{ ip: nodeAddress }],
    ...(view.sandbox ? { podIP: nodeAddress, podIPs: [{ ip: nodeAddress }] } : {}),
    startTime: pod.status.startTime ?? timestamp(now),
    ...(view.init.length === 0 ? {} : { initContainerStatuses: view.init }),
    containerStatuses: view.main,
    ...(view.ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: view.ephemeral })
  }
}
