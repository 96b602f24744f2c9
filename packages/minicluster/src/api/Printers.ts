/** The columns that kubectl prints for each kind, and their cells: `k8s.io/kubernetes/pkg/printers/internalversion`. */
import { sidecarsOf } from "../node/PodStatus.ts"
import { at as valueAt, listOf, textOf } from "../shapes/Json.ts"
import {
  type ConfigMap,
  type ContainerStatus,
  type KubeEvent,
  type KubeObject,
  type Pod,
  type Secret
} from "../shapes/Objects.ts"
import { type Resource } from "../shapes/Resources.ts"
import { type RoleBinding } from "../shapes/Roles.ts"

/** `priority` 1 is shown by `-o wide` only. */
export interface Column {
  readonly name: string
  readonly type: "string"
  readonly format: string
  readonly description: string
  readonly priority: number
}

export interface Printer {
  readonly columns: ReadonlyArray<Column>
  readonly cells: (object: KubeObject, now: number) => ReadonlyArray<string>
}

/** `duration.HumanDuration`: the two largest units that say something. */
export const age = (since: string | undefined, now: number): string => {
  if (since === undefined) return "<unknown>"
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const two = (large: number, largeUnit: string, small: number, smallUnit: string) =>
    small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s")
  if (minutes < 180) return `${minutes}m`
  if (hours < 8) return two(hours, "h", minutes % 60, "m")
  if (hours < 48) return `${hours}h`
  return hours < 192 ? two(Math.floor(hours / 24), "d", hours % 24, "h") : `${Math.floor(hours / 24)}d`
}

const reasonOf = ({ state }: ContainerStatus): string | undefined => state.waiting?.reason ?? state.terminated?.reason

/** `Init:1/2`, `Init:Error` and the like while init containers are not through; sidecars count once they have started. */
const initReason = (pod: Pod): string | undefined => {
  const statuses = pod.status.initContainerStatuses ?? []
  const sidecars = sidecarsOf(pod.spec)
  const isThrough = (status: ContainerStatus) =>
    status.state.terminated?.exitCode === 0 || (sidecars.has(status.name) && status.started)
  const index = statuses.findIndex((status) => !isThrough(status))
  const current = statuses[index]
  if (current === undefined) return undefined
  const { terminated, waiting } = current.state
  if (terminated !== undefined) {
    return `Init:${terminated.reason === "" ? `ExitCode:${terminated.exitCode}` : terminated.reason}`
  }
  return waiting !== undefined && waiting.reason !== "PodInitializing"
    ? `Init:${waiting.reason}`
    : `Init:${index}/${pod.spec.initContainers?.length ?? 0}`
}

/** The STATUS column: the phase, unless a reason or the deletion says more (`printPod`). */
const podReason = (pod: Pod): string => {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating"
  const gated = pod.status.conditions?.find(({ reason, type }) =>
    type === "PodScheduled" && reason === "SchedulingGated"
  )
  let reason: string = gated?.reason ?? pod.status.reason ?? pod.status.phase
  const init = initReason(pod)
  if (init !== undefined && pod.status.reason === undefined) return init
  const statuses = pod.status.containerStatuses ?? []
  for (const status of statuses.toReversed()) reason = reasonOf(status) ?? reason
  const running = statuses.some(({ ready, state }) => ready && state.running !== undefined)
  return reason === "Completed" && running ? "Running" : pod.status.reason ?? reason
}

const podCells: Printer["cells"] = (object, now) => {
  const pod = object as Pod
  const sidecars = sidecarsOf(pod.spec)
  const statuses = [
    ...(pod.status.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
    ...(pod.status.containerStatuses ?? [])
  ]
  const counted = initReason(pod) === undefined ? statuses : pod.status.initContainerStatuses ?? []
  const restarts = counted.reduce((sum, { restartCount }) => sum + restartCount, 0)
  const last = counted.flatMap(({ lastState }) => lastState.terminated?.finishedAt ?? []).toSorted().at(-1)
  const gates = pod.spec.readinessGates ?? []
  const open = gates.filter(({ conditionType }) =>
    pod.status.conditions?.some(({ status, type }) => type === conditionType && status === "True") === true
  )
  return [
    pod.metadata.name,
    `${statuses.filter(({ ready, state }) => ready && state.running !== undefined).length}/${
      pod.spec.containers.length + sidecars.size
    }`,
    podReason(pod),
    restarts > 0 && last !== undefined ? `${restarts} (${age(last, now)} ago)` : String(restarts),
    age(pod.metadata.creationTimestamp, now),
    pod.status.podIP ?? "<none>",
    pod.spec.nodeName ?? "<none>",
    "<none>",
    gates.length === 0 ? "<none>" : `${open.length}/${gates.length}`
  ]
}

const eventCells: Printer["cells"] = (object, now) => {
  const event = object as KubeEvent
  const source = ["source.component", "source.host"].map((path) => at(event, path)).filter((part) => part !== "")
  return [
    age(event.lastTimestamp ?? event.metadata.creationTimestamp, now),
    at(event, "type"),
    at(event, "reason"),
    `${at(event, "involvedObject.kind").toLowerCase()}/${at(event, "involvedObject.name")}`,
    at(event, "involvedObject.fieldPath"),
    source.join(", "),
    at(event, "message"),
    age(event.firstTimestamp ?? event.metadata.creationTimestamp, now),
    String(event.count ?? 1),
    event.metadata.name
  ]
}

/** The text at a path of keys, or what stands for nothing. */
const at = (object: unknown, path: string, nothing = ""): string =>
  textOf(valueAt(object, ...path.split("."))) || nothing

const sizeOf = (...maps: ReadonlyArray<object | undefined>): string =>
  String(maps.reduce((sum, map) => sum + Object.keys(map ?? {}).length, 0))

const modes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP"
}

const accessModes = (claim: KubeObject): string =>
  listOf(valueAt(claim, "spec", "accessModes")).map(textOf).map((mode) => modes[mode] ?? mode).join(",")

const rolePrefix = "node-role.kubernetes.io/"

/** The labels that give a node its roles (`findNodeRoles`). */
const nodeRoles = ({ metadata: { labels = {} } }: KubeObject): string => {
  const roles = Object.entries(labels).flatMap(([key, value]) =>
    key.startsWith(rolePrefix) ? key.slice(rolePrefix.length) : key === "kubernetes.io/role" ? value : []
  ).filter((role) => role !== "")
  return roles.length === 0 ? "<none>" : [...new Set(roles)].toSorted().join(",")
}

const nodeCells: Printer["cells"] = (object, now) => {
  const ofType = (list: string, wanted: string) =>
    listOf(valueAt(object, "status", list)).find((one) => at(one, "type") === wanted)
  const ready = at(ofType("conditions", "Ready"), "status") === "True"
  const address = (wanted: string) => at(ofType("addresses", wanted), "address", "<none>")
  return [
    object.metadata.name,
    (ready ? "Ready" : "NotReady") + (valueAt(object, "spec", "unschedulable") === true ? ",SchedulingDisabled" : ""),
    nodeRoles(object),
    age(object.metadata.creationTimestamp, now),
    at(object, "status.nodeInfo.kubeletVersion"),
    address("InternalIP"),
    address("ExternalIP"),
    at(object, "status.nodeInfo.osImage", "<unknown>"),
    at(object, "status.nodeInfo.kernelVersion", "<unknown>"),
    at(object, "status.nodeInfo.containerRuntimeVersion", "<unknown>")
  ]
}

const bindingCells: Printer["cells"] = (object, now) => {
  const { roleRef, subjects = [] } = object as RoleBinding
  const of = (wanted: string) =>
    subjects.filter(({ kind }) => kind === wanted).map(({ name, namespace }) =>
      wanted === "ServiceAccount" ? `${namespace ?? ""}/${name}` : name
    ).join(", ")
  const { creationTimestamp, name } = object.metadata
  const others = ["User", "Group", "ServiceAccount"].map(of)
  return [name, `${roleRef.kind}/${roleRef.name}`, age(creationTimestamp, now), ...others]
}

/** Columns from their names: one in parentheses is for `-o wide`. */
const printer = (names: string, cells: Printer["cells"]): Printer => ({
  columns: names.split("|").map((given) => {
    const name = given.replace(/^\((.*)\)$/, "$1")
    const priority = name === given ? 0 : 1
    return { name, type: "string", format: name === "Name" ? "name" : "", description: name, priority }
  }),
  cells
})

/** Name, then what `between` says, then the age. */
const simple = (names: string, between: (object: KubeObject) => ReadonlyArray<string>): Printer =>
  printer(`Name|${names}|Age`, (object, now) => [
    object.metadata.name,
    ...between(object),
    age(object.metadata.creationTimestamp, now)
  ])

const role = printer("Name|Created At", ({ metadata }) => [metadata.name, metadata.creationTimestamp])
const binding = printer("Name|Role|Age|(Users)|(Groups)|(ServiceAccounts)", bindingCells)

export const printers: Readonly<Record<Resource, Printer>> = {
  pods: printer("Name|Ready|Status|Restarts|Age|(IP)|(Node)|(Nominated Node)|(Readiness Gates)", podCells),
  events: printer(
    "Last Seen|Type|Reason|Object|(Subobject)|(Source)|Message|(First Seen)|(Count)|(Name)",
    eventCells
  ),
  namespaces: simple("Status", (object) => [at(object, "status.phase")]),
  nodes: printer(
    "Name|Status|Roles|Age|Version|(Internal-IP)|(External-IP)|(OS-Image)|(Kernel-Version)|(Container-Runtime)",
    nodeCells
  ),
  configmaps: simple("Data", (object) => {
    const { binaryData, data } = object as ConfigMap
    return [sizeOf(data, binaryData)]
  }),
  secrets: simple("Type|Data", (object) => [at(object, "type"), sizeOf((object as Secret).data)]),
  serviceaccounts: simple("Secrets", (object) => [String(listOf(valueAt(object, "secrets")).length)]),
  persistentvolumeclaims: printer(
    "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|(VolumeMode)",
    (object, now) => [
      object.metadata.name,
      object.metadata.deletionTimestamp === undefined ? at(object, "status.phase") : "Terminating",
      at(object, "spec.volumeName"),
      at(object, "status.capacity.storage"),
      accessModes(object),
      at(object, "spec.storageClassName"),
      at(object, "spec.volumeAttributesClassName", "<unset>"),
      age(object.metadata.creationTimestamp, now),
      at(object, "spec.volumeMode", "<unset>")
    ]
  ),
  leases: simple("Holder", (object) => [at(object, "spec.holderIdentity")]),
  roles: role,
  clusterroles: role,
  rolebindings: binding,
  clusterrolebindings: binding
}
