/** Pure: whether the one node, this machine, takes a pod. */
import { arch, cpus, totalmem } from "node:os"
import { imageBehaviour } from "./Images.ts"
import { type Pod } from "./Objects.ts"

export const nodeName = "minicluster"

const goArchitectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" }

const nodeLabels: Readonly<Record<string, string>> = {
  "kubernetes.io/hostname": nodeName,
  "kubernetes.io/os": "linux",
  "kubernetes.io/arch": goArchitectures[arch()] ?? arch()
}

const suffixes: Readonly<Record<string, number>> = {
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60
}

/** A `resource.Quantity` in its base unit; 0 for what is none. */
export const quantity = (text: string | number): number => {
  const [, amount = "0", suffix = ""] = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(String(text)) ?? []
  return Number(amount) * (suffixes[suffix] ?? 0)
}

/** The sum over the containers; a limit alone is a request too. */
const requested = (pod: Pod, resource: string): number =>
  pod.spec.containers.reduce(
    (sum, { resources }) => sum + quantity(resources?.requests?.[resource] ?? resources?.limits?.[resource] ?? 0),
    0
  )

/** The scheduler's sentence for a pod that no node takes, or nothing when it has a place. */
export const unschedulable = (pod: Pod): string | undefined => {
  const sentence = (why: string, preemption: string) =>
    `0/1 nodes are available: 1 ${why}. preemption: 0/1 nodes are available: 1 ${preemption}.`
  const selector = Object.entries(pod.spec.nodeSelector ?? {})
  if (
    pod.spec.containers.some(({ image }) => imageBehaviour(image)._tag === "Unschedulable") ||
    selector.some(([key, value]) => nodeLabels[key] !== value)
  ) {
    return sentence("node(s) didn't match Pod's node affinity/selector", "Preemption is not helpful for scheduling")
  }
  const short = [
    ...(requested(pod, "cpu") > cpus().length ? ["Insufficient cpu"] : []),
    ...(requested(pod, "memory") > totalmem() ? ["Insufficient memory"] : [])
  ]
  return short.length === 0
    ? undefined
    : sentence(short.join(", 1 "), "No preemption victims found for incoming pod")
}
