/** Pure: what the containers are in, said as the kubelet says it in a pod's status. */
import {
  type Container,
  type ContainerStatus,
  type Pod,
  type PodCondition,
  type PodPhase,
  type PodStatus,
  timestamp
} from "./Objects.ts"

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

/** `PodPhase` as `getPhase` of the kubelet counts it from the containers and the restart policy. */
export const podPhase = (restartPolicy: string, containers: ReadonlyArray<ContainerStatus>): PodPhase => {
  if (containers.some(({ lastState, state }) => state.waiting !== undefined && lastState.terminated === undefined)) {
    return "Pending"
  }
  if (containers.some(({ state }) => state.running !== undefined)) return "Running"
  const ended = containers.flatMap(({ lastState, state }) => state.terminated ?? lastState.terminated ?? [])
  if (restartPolicy === "Always") return "Running"
  const failed = ended.some(({ exitCode }) => exitCode !== 0)
  if (!failed) return containers.every(({ state }) => state.terminated !== undefined) ? "Succeeded" : "Running"
  return restartPolicy === "Never" ? "Failed" : "Running"
}

/** Puts a condition in its place; the time of transition stays while the status does. */
export const withCondition = (
  conditions: ReadonlyArray<PodCondition>,
  next: {
    readonly type: string
    readonly status: "True" | "False"
    readonly reason?: string
    readonly message?: string
  },
  now: number
): ReadonlyArray<PodCondition> => {
  const before = conditions.find(({ type }) => type === next.type)
  const lastTransitionTime = before?.status === next.status ? before.lastTransitionTime : timestamp(now)
  const condition: PodCondition = { lastProbeTime: null, lastTransitionTime, ...next }
  return before === undefined
    ? [...conditions, condition]
    : conditions.map((old) => old.type === next.type ? condition : old)
}

const readiness = (phase: PodPhase, containers: ReadonlyArray<ContainerStatus>) => {
  const unready = containers.filter(({ ready }) => !ready).map(({ name }) => name)
  if (unready.length === 0) return { status: "True" as const }
  if (phase === "Succeeded") return { status: "False" as const, reason: "PodCompleted" }
  if (phase === "Failed") return { status: "False" as const, reason: "PodFailed" }
  return {
    status: "False" as const,
    reason: "ContainersNotReady",
    message: `containers with unready status: [${unready.join(" ")}]`
  }
}

/** The whole status of a pod that a node has taken. `sandbox` says that the pod's surroundings are made. */
export const podStatus = (
  pod: Pod,
  containers: ReadonlyArray<ContainerStatus>,
  sandbox: boolean,
  now: number
): PodStatus => {
  const phase = podPhase(pod.spec.restartPolicy, containers)
  const ready = readiness(phase, containers)
  const conditions = [
    { type: "PodReadyToStartContainers", status: sandbox ? "True" as const : "False" as const },
    { type: "Initialized", status: "True" as const },
    { type: "Ready", ...ready },
    { type: "ContainersReady", ...ready }
  ].reduce<ReadonlyArray<PodCondition>>((all, next) => withCondition(all, next, now), pod.status.conditions ?? [])
  const address = "127.0.0.1"
  return {
    ...pod.status,
    phase,
    conditions,
    hostIP: address,
    hostIPs: [{ ip: address }],
    ...(sandbox ? { podIP: address, podIPs: [{ ip: address }] } : {}),
    startTime: pod.status.startTime ?? timestamp(now),
    containerStatuses: containers
  }
}
