/** Events of core/v1, as the scheduler, the kubelet and the node controller record them. */
import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { nodeName } from "../node/Node.ts"
import { type KubeObject, type PodSpec, timestamp } from "../shapes/Objects.ts"
import { type Store } from "./Store.ts"

export type EventSource = "kubelet" | "default-scheduler" | "node-controller"

export interface Events {
  /** Records one event about a pod or the node; the same one again raises its count. Never fails. */
  readonly record: (
    about: KubeObject,
    source: EventSource,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    container?: string
  ) => Effect.Effect<void>
}

/** Real clusters forget events after an hour; here the oldest go when there are more than these: 500 pods' at once. */
const limit = 5000

const lists = ["containers", "initContainers", "ephemeralContainers"] as const

/** `fieldPath` of a reference to a container. */
const fieldPath = (about: KubeObject, container: string): string => {
  const { spec } = about as KubeObject & { readonly spec?: Partial<PodSpec> }
  const list = lists.find((list) => spec?.[list]?.some(({ name }) => name === container)) ?? "containers"
  return `spec.${list}{${container}}`
}

export const makeEvents = (store: Store): Events => {
  // Insertion order is age.
  const known = new Map<string, { readonly namespace: string; readonly name: string }>()
  // As client-go names them, by the nanosecond: a list in the order of names is in the order of time.
  let newest = 0n
  const suffix = (now: number) => {
    const nanos = BigInt(now) * 1_000_000n
    newest = nanos > newest ? nanos : newest + 1n
    return newest.toString(16)
  }

  const forgetOldest = Effect.suspend(() => {
    const oldest = known.size > limit ? known.entries().next().value : undefined
    if (oldest === undefined) return Effect.void
    known.delete(oldest[0])
    return Effect.ignore(store.remove("events", oldest[1].namespace, oldest[1].name))
  })

  return {
    record: Effect.fnUntraced(function*(about, source, type, reason, message, container) {
      const millis = yield* Clock.currentTimeMillis
      const now = timestamp(millis)
      const { namespace, resourceVersion, uid } = about.metadata
      const key = JSON.stringify([uid, source, reason, message, container])
      const before = known.get(key)
      if (before !== undefined) {
        const raised = yield* Effect.option(store.update("events", before.namespace, before.name, (event) => ({
          ...event,
          count: event.count + 1,
          lastTimestamp: now
        })))
        if (raised._tag === "Some") return
        // Somebody has deleted it: it is told anew.
        known.delete(key)
      }
      const home = namespace ?? "default"
      const name = `${about.metadata.name}.${suffix(millis)}`
      const host = source === "kubelet" ? nodeName : undefined
      known.set(key, { namespace: home, name })
      // What is told after the namespace has ended has nowhere to be.
      const place = store.get("namespaces", "", home)
      const event = store.create("events", {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name, namespace: home, uid: randomUUID(), resourceVersion: "", creationTimestamp: now },
        involvedObject: {
          apiVersion: about.apiVersion,
          kind: about.kind,
          ...(namespace === undefined ? {} : { namespace }),
          name: about.metadata.name,
          uid,
          resourceVersion,
          ...(container === undefined ? {} : { fieldPath: fieldPath(about, container) })
        },
        reason,
        message,
        type,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component: source, ...(host === undefined ? {} : { host }) },
        reportingComponent: source,
        reportingInstance: host ?? ""
      })
      yield* Effect.ignore(Effect.andThen(place, event))
      yield* forgetOldest
    })
  }
}
