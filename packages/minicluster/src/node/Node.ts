/** The node: this machine, as its kubelet registers it with the API server. */
import { readFileSync, statfsSync } from "node:fs"
import { arch, cpus, release, tmpdir, totalmem } from "node:os"
import { type KubeObject, timestamp } from "../shapes/Objects.ts"

export const nodeName = "minicluster"
export const nodeAddress = "127.0.0.1"

export interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: string
  readonly timeAdded?: string
}

/** `v1.Node`, as far as it is read here. */
export interface NodeObject extends KubeObject {
  readonly spec: { readonly unschedulable?: boolean; readonly taints?: ReadonlyArray<Taint> }
  readonly status: object
}

/** What pods may ask for: cpu in cores, memory in bytes. */
export interface Room {
  readonly cpu: number
  readonly memory: number
  readonly pods: number
}

/** A kubelet's own limit is 110 pods; nothing here breaks at more, and whoever tests a crowd wants a crowd. */
export const nodeRoom: Room = { cpu: cpus().length, memory: totalmem(), pods: 1100 }

/** As Go names them. */
const goArchitectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" }
export const architecture = goArchitectures[arch()] ?? arch()

export const nodeLabels: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": architecture,
  "beta.kubernetes.io/os": "linux",
  "kubernetes.io/arch": architecture,
  "kubernetes.io/hostname": nodeName,
  "kubernetes.io/os": "linux"
}

/** A machine may lack any of the files that describe it. */
const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8").trim()
  } catch {
    return ""
  }
}

const diskSize = (): number => {
  try {
    const { blocks, bsize } = statfsSync(tmpdir())
    return blocks * bsize
  } catch {
    return 0
  }
}

const kibibytes = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`

const healthy = [
  ["MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
  ["DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
  ["PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
  ["Ready", "True", "KubeletReady", "kubelet is posting ready status"]
] as const

const conditions = (now: number, lost: boolean) =>
  healthy.map(([type, status, reason, message]) => ({
    type,
    lastHeartbeatTime: timestamp(now),
    lastTransitionTime: timestamp(now),
    ...(lost
      ? { status: "Unknown", reason: "NodeStatusUnknown", message: "Kubelet stopped posting node status." }
      : { status, reason, message })
  }))

/** The node as it comes up; without uid and version, which the store's caller gives. */
export const makeNode = (now: number): NodeObject => {
  const figures = {
    cpu: String(nodeRoom.cpu),
    "ephemeral-storage": kibibytes(diskSize()),
    memory: kibibytes(nodeRoom.memory),
    pods: String(nodeRoom.pods)
  }
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: nodeName,
      uid: "",
      resourceVersion: "",
      creationTimestamp: timestamp(now),
      labels: nodeLabels
    },
    spec: {},
    status: {
      capacity: figures,
      allocatable: figures,
      conditions: conditions(now, false),
      addresses: [{ type: "InternalIP", address: nodeAddress }, { type: "Hostname", address: nodeName }],
      nodeInfo: {
        machineID: read("/etc/machine-id"),
        systemUUID: "",
        bootID: read("/proc/sys/kernel/random/boot_id"),
        kernelVersion: release(),
        osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(read("/etc/os-release"))?.[1] ?? "Linux",
        containerRuntimeVersion: "minicluster://1.32.0",
        kubeletVersion: "v1.32.0",
        kubeProxyVersion: "",
        operatingSystem: "linux",
        architecture
      },
      images: []
    }
  }
}

const unreachable = "node.kubernetes.io/unreachable"

/** What the node controller makes of a node whose kubelet falls silent, and of one that is heard again. */
export const withReachability = (node: NodeObject, lost: boolean, now: number): NodeObject => {
  const others = (node.spec.taints ?? []).filter(({ key }) => key !== unreachable)
  const taints = lost
    ? [
      ...others,
      ...["NoSchedule", "NoExecute"].map((effect) => ({ key: unreachable, effect, timeAdded: timestamp(now) }))
    ]
    : others
  const { taints: _taints, ...spec } = node.spec
  return {
    ...node,
    spec: { ...spec, ...(taints.length === 0 ? {} : { taints }) },
    status: { ...node.status, conditions: conditions(now, lost) }
  }
}
