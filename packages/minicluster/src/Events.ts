/** Events of core/v1, as the scheduler and the kubelet record them. */
import { Clock, Effect } from "effect"
import { randomBytes, randomUUID } from "node:crypto"
import { type Pod, timestamp } from "./Objects.ts"
import { nodeName } from "./Scheduler.ts"
import { type Store } from "./Store.ts"

export type EventSource = "kubelet" | "default-scheduler"

export interface Events {
  /** Records one event about a pod; the same one again raises its count. Never fails. */
  readonly record: (
    pod: Pod,
    source: EventSource,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    container?: string
  ) => Effect.Effect<void>
}

/** Real clusters forget events after an hour; here the oldest go when there are more than these. */
const limit = 2000

export const makeEvents = (store: Store): Events => {
  // Insertion order is age.
  const known = new Map<string, { readonly namespace: string; readonly name: string }>()

  const forgetOldest = Effect.suspend(() => {
    const oldest = known.size > limit ? known.entries().next().value : undefined
    if (oldest === undefined) return Effect.void
    known.delete(oldest[0])
    return Effect.ignore(store.remove("events", oldest[1].namespace, oldest[1].name))
  })

  return {
    record: Effect.fnUntraced(function*(pod, source, type, reason, message, container) {
      const now = timestamp(yield* Clock.currentTimeMillis)
      const namespace = pod.metadata.namespace ?? ""
      const key = JSON.stringify([pod.metadata.uid, source, reason, message])
      const before = known.get(key)
      if (before !== undefined) {
        yield* Effect.ignore(store.update("events", namespace, before.name, (event) => ({
          ...event,
          count: event.count + 1,
          lastTimestamp: now
        })))
        return
      }
      const name = `${pod.metadata.name}.${randomBytes(8).toString("hex")}`
      known.set(key, { namespace, name })
      yield* Effect.ignore(store.create("events", {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name, namespace, uid: randomUUID(), resourceVersion: "", creationTimestamp: now },
        involvedObject: {
          apiVersion: "v1",
          kind: "Pod",
          namespace,
          name: pod.metadata.name,
          uid: pod.metadata.uid,
          resourceVersion: pod.metadata.resourceVersion,
          ...(container === undefined ? {} : { fieldPath: `spec.containers{${container}}` })
        },
        reason,
        message,
        type,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component: source, ...(source === "kubelet" ? { host: nodeName } : {}) }
      }))
      yield* forgetOldest
    })
  }
}
