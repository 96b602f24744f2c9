/** The scheduler: gives each pod that asks for none a place on the one node, or says why not. */
import { Clock, Effect, type Scope } from "effect"
import { type Events } from "../api/Events.ts"
import { inform } from "../api/Informer.ts"
import { type Change, type Store } from "../api/Store.ts"
import { imageBehaviour } from "../runtime/Images.ts"
import { type Container, type Pod } from "../shapes/Objects.ts"
import { parseQuantity } from "../shapes/Quantity.ts"
import { nodeLabels, nodeName, type NodeObject, nodeRoom, type Room, type Taint } from "./Node.ts"
import { isFinal, isSidecar, withCondition } from "./PodStatus.ts"

/** In cores or bytes; 0 for what is none. */
const quantity = (text: string | number): number => Number(parseQuantity(text)?.amount ?? 0n) / 1e9

/** A limit alone is a request too. */
const requested = ({ resources }: Container, resource: string): number =>
  quantity(resources?.requests?.[resource] ?? resources?.limits?.[resource] ?? 0)

/** What runs at once at the most: the containers with the sidecars, or an init container with those before it. */
const peak = (pod: Pod, resource: string): number => {
  let sidecars = 0
  let most = 0
  for (const container of pod.spec.initContainers ?? []) {
    const own = requested(container, resource)
    most = Math.max(most, sidecars + own)
    if (isSidecar(container)) sidecars += own
  }
  return Math.max(most, pod.spec.containers.reduce((sum, container) => sum + requested(container, resource), sidecars))
}

export const demand = (pod: Pod): Room => ({ cpu: peak(pod, "cpu"), memory: peak(pod, "memory"), pods: 1 })

const tolerated = (pod: Pod, taint: Taint): boolean =>
  (pod.spec.tolerations ?? []).some(({ effect, key, operator, value }) =>
    (effect === undefined || effect === taint.effect) &&
    (operator === "Exists" ? key === undefined || key === taint.key : key === taint.key && value === taint.value)
  )

const sentence = (why: string, preemption = "Preemption is not helpful for scheduling") =>
  `0/1 nodes are available: ${why}. preemption: 0/1 nodes are available: 1 ${preemption}.`

/** The scheduler's sentence for a pod that the node does not take, or nothing when it has a place. */
export const unschedulable = (
  pod: Pod,
  node: NodeObject["spec"] = {},
  used: Room = { cpu: 0, memory: 0, pods: 0 }
): string | undefined => {
  if (node.unschedulable === true) return sentence("1 node(s) were unschedulable")
  const taint = node.taints?.find((taint) => taint.effect !== "PreferNoSchedule" && !tolerated(pod, taint))
  if (taint !== undefined) {
    return sentence(`1 node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`)
  }
  const selector = Object.entries(pod.spec.nodeSelector ?? {})
  if (
    pod.spec.containers.some(({ image }) => imageBehaviour(image)._tag === "Unschedulable") ||
    selector.some(([key, value]) => nodeLabels[key] !== value)
  ) {
    return sentence("1 node(s) didn't match Pod's node affinity/selector")
  }
  const wanted = demand(pod)
  // A request of nothing is never refused, however full the node is.
  const lacks = (resource: keyof Room) => wanted[resource] > 0 && used[resource] + wanted[resource] > nodeRoom[resource]
  const short = [
    ...(lacks("pods") ? ["1 Too many pods"] : []),
    ...(lacks("cpu") ? ["1 Insufficient cpu"] : []),
    ...(lacks("memory") ? ["1 Insufficient memory"] : [])
  ]
  return short.length === 0
    ? undefined
    : sentence(short.join(", "), "No preemption victims found for incoming pod")
}

const gated = { reason: "SchedulingGated", message: "Scheduling is blocked due to non-empty scheduling gates" }

/** Schedules for as long as the scope. The room that is taken is counted as pods come and go. */
export const startScheduler = Effect.fnUntraced(function*(store: Store, events: Events) {
  const placed = new Map<string, Room>()
  const waiting = new Map<string, Pod>()
  const used = { cpu: 0, memory: 0, pods: 0 }
  let node: NodeObject["spec"] = {}

  const count = (room: Room, sign: 1 | -1) => {
    used.cpu += sign * room.cpu
    used.memory += sign * room.memory
    used.pods += sign
  }
  const place = (pod: Pod) => {
    waiting.delete(pod.metadata.uid)
    if (placed.has(pod.metadata.uid)) return
    placed.set(pod.metadata.uid, demand(pod))
    count(demand(pod), 1)
  }

  const missingClaim = Effect.fnUntraced(function*(pod: Pod) {
    for (const { persistentVolumeClaim } of pod.spec.volumes ?? []) {
      if (persistentVolumeClaim === undefined) continue
      const { claimName } = persistentVolumeClaim
      const found = yield* Effect.option(
        store.get("persistentvolumeclaims", pod.metadata.namespace ?? "", claimName)
      )
      if (found._tag === "None") return sentence(`persistentvolumeclaim "${claimName}" not found`)
    }
    return undefined
  })

  const verdict = Effect.fnUntraced(function*(pod: Pod) {
    if ((pod.spec.schedulingGates ?? []).length > 0) return gated
    const message = unschedulable(pod, node, used) ?? (yield* missingClaim(pod))
    return message === undefined ? undefined : { reason: "Unschedulable", message }
  })

  const attempt = Effect.fnUntraced(function*(pod: Pod) {
    const now = yield* Clock.currentTimeMillis
    const refusal = yield* verdict(pod)
    const { name, namespace = "", uid } = pod.metadata
    const old = pod.status.conditions?.find(({ type }) => type === "PodScheduled")
    if (refusal !== undefined && old?.reason === refusal.reason && old.message === refusal.message) return
    const condition = { type: "PodScheduled", status: refusal === undefined ? "True" as const : "False" as const }
    let isOpen = false
    const written = yield* store.update("pods", namespace, name, (current) => {
      // What was heard of may be older than what this has done about it already.
      isOpen = current.metadata.uid === uid && current.spec.nodeName === undefined
      if (!isOpen) return current
      const judged = withCondition(current, { ...condition, ...refusal }, now)
      return refusal === undefined ? { ...judged, spec: { ...current.spec, nodeName } } : judged
    })
    if (!isOpen) return void waiting.delete(uid)
    if (refusal === undefined) {
      place(written)
      const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`
      yield* events.record(pod, "default-scheduler", "Normal", "Scheduled", message)
    } else {
      waiting.set(uid, written)
      if (refusal !== gated) {
        yield* events.record(pod, "default-scheduler", "Warning", "FailedScheduling", refusal.message)
      }
    }
  }, (effect) => Effect.ignore(effect))

  const retry = Effect.suspend(() => Effect.forEach(Array.from(waiting.values()), attempt, { discard: true }))

  const leave = (pod: Pod) =>
    Effect.suspend(() => {
      waiting.delete(pod.metadata.uid)
      const room = placed.get(pod.metadata.uid)
      if (room === undefined) return Effect.void
      placed.delete(pod.metadata.uid)
      count(room, -1)
      return retry
    })

  const see = (pod: Pod): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isFinal(pod.status.phase)) return leave(pod)
      if (pod.spec.nodeName !== undefined) {
        if (pod.spec.nodeName === nodeName) place(pod)
        return Effect.void
      }
      if ((pod.spec.schedulerName ?? "default-scheduler") !== "default-scheduler") return Effect.void
      const known = waiting.get(pod.metadata.uid)
      waiting.set(pod.metadata.uid, pod)
      // The store keeps the spec as it is when only the status is written, by us for one.
      return known?.spec === pod.spec ? Effect.void : attempt(pod)
    })

  const relist = Effect.gen(function*() {
    const nodes = yield* store.list("nodes", undefined)
    for (const object of nodes.items) node = (object as NodeObject).spec
    const { items } = yield* store.list("pods", undefined)
    const there = new Set(items.map(({ metadata }) => metadata.uid))
    for (const uid of waiting.keys()) if (!there.has(uid)) waiting.delete(uid)
    for (const [uid, room] of placed) {
      if (there.has(uid)) continue
      placed.delete(uid)
      count(room, -1)
    }
    yield* Effect.forEach(items, see, { discard: true })
  })

  const change = ({ object, previous, resource, type }: Change): Effect.Effect<void> => {
    if (resource === "pods") return type === "DELETED" ? leave(object as Pod) : see(object as Pod)
    if (resource === "persistentvolumeclaims") return type === "ADDED" ? retry : Effect.void
    if (resource !== "nodes" || object.metadata.name !== nodeName || type === "DELETED") return Effect.void
    node = (object as NodeObject).spec
    return (previous as NodeObject | undefined)?.spec === node ? Effect.void : retry
  }

  yield* inform(store, { relist, change })
}) satisfies (store: Store, events: Events) => Effect.Effect<void, never, Scope.Scope>
