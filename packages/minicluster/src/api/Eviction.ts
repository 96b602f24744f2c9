/** The eviction of a pod, as a subresource: what `kubectl drain` asks for. */
import { Clock, Effect } from "effect"
import { decodeBody, type DeleteOptions } from "../shapes/Decode.ts"
import { timestamp } from "../shapes/Objects.ts"
import { type ApiRequest, json } from "./Http.ts"
import { deleteOne, isDryRun, type Place } from "./Rest.ts"
import { type Store } from "./Store.ts"

/** `policy/v1 Eviction`: a deletion that says why (KEP-3329), and would heed a disruption budget if there were any. */
export const evict = Effect.fnUntraced(function*(store: Store, place: Place, request: ApiRequest) {
  const { namespace, name } = place
  const { object } = yield* decodeBody({ group: "policy", version: "v1", kind: "Eviction" }, request)
  const options = (object["deleteOptions"] ?? {}) as DeleteOptions
  const pod = yield* store.get("pods", namespace, name)
  const dryRun = (yield* isDryRun(request)) || (options.dryRun ?? []).includes("All")
  // Judged before anything is written of it.
  yield* deleteOne(store, "pods", pod, options, true)
  if (!dryRun) {
    const now = timestamp(yield* Clock.currentTimeMillis)
    const marked = yield* store.update(
      "pods",
      namespace,
      name,
      (current) =>
        current.metadata.deletionTimestamp !== undefined ? current : {
          ...current,
          status: {
            ...current.status,
            conditions: [...(current.status.conditions ?? []), {
              type: "DisruptionTarget",
              status: "True" as const,
              lastProbeTime: null,
              lastTransitionTime: now,
              reason: "EvictionByEvictionAPI",
              message: "Eviction API: evicting"
            }]
          }
        }
    )
    yield* deleteOne(store, "pods", marked, { ...options, preconditions: { uid: pod.metadata.uid } }, false)
  }
  return json({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201)
})
