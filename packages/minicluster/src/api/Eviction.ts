/** The eviction of a pod, as a subresource: what `kubectl drain` asks for. */
import { Clock, Effect } from "effect"
import { withCondition } from "../node/PodStatus.ts"
import { decodeBody, type DeleteOptions } from "../shapes/Decode.ts"
import { type ApiRequest, success } from "./Http.ts"
import { deleteOne, isDryRun, type Place } from "./Rest.ts"
import { type Store } from "./Store.ts"

const condition = {
  type: "DisruptionTarget",
  status: "True",
  reason: "EvictionByEvictionAPI",
  message: "Eviction API: evicting"
} as const

/** `policy/v1 Eviction`: a deletion that says why (KEP-3329), and would heed a disruption budget if there were any. */
export const evict = Effect.fnUntraced(function*(store: Store, place: Place, request: ApiRequest) {
  const { namespace, name } = place
  const { object } = yield* decodeBody({ group: "policy", version: "v1", kind: "Eviction" }, request)
  const options = (object["deleteOptions"] ?? {}) as DeleteOptions
  const pod = yield* store.get("pods", namespace, name)
  const dryRun = yield* isDryRun(request, options)
  // Judged before anything is written of it.
  yield* deleteOne(store, "pods", pod, options, true)
  if (!dryRun) {
    const now = yield* Clock.currentTimeMillis
    const marked = yield* store.update(
      "pods",
      namespace,
      name,
      (current) => current.metadata.deletionTimestamp === undefined ? withCondition(current, condition, now) : current
    )
    yield* deleteOne(store, "pods", marked, { ...options, preconditions: { uid: pod.metadata.uid } }, false)
  }
  return success({ code: 201 })
})
