/**
 * Pods and what happens to them, as the port asks for them.
 */
import { Effect, Stream } from "effect"
import {
  type Cluster,
  type ClusterError,
  type LabelQuery,
  type Pod,
  type PodEvent,
  type PodManifest,
  type PodRef,
  type PodsEvent,
  ProtocolViolation
} from "kuberun"
import type { ApiCall } from "./ApiCall.ts"
import { failed, isRecord } from "./ApiFault.ts"
import { encode } from "./ExecWire.ts"
import { checked, checkedNamespace } from "./ObjectName.ts"
import { noticeOf, sinceFirst } from "./PodNotices.ts"
import { conflictOfIdentity, deleteOptions, metadataPatch } from "./Preconditions.ts"
import { fieldSelector, labelSelector, query } from "./Selector.ts"
import { type ApiObject, listed, watch } from "./Watch.ts"

/** The operations of the port that are about pods as objects. */
export type Pods = Pick<
  Cluster["Service"],
  "createPod" | "readPod" | "deletePod" | "patchPod" | "listPods" | "watchPods" | "watchPod" | "podNotices"
>

/** As far as the API server's own kind of answer has to be checked: it has an identity. */
const isPod = (value: unknown): value is Pod =>
  isRecord(value) && isRecord(value["metadata"]) && typeof value["metadata"]["name"] === "string" &&
  typeof value["metadata"]["namespace"] === "string"

const asPod = (operation: string) => (value: unknown): Effect.Effect<Pod, ClusterError> =>
  isPod(value)
    ? Effect.succeed(value)
    : Effect.fail(failed(operation)(new ProtocolViolation({ detail: "the API server's answer is not a pod" })))

const collection = (namespace: string, resource: "pods" | "events"): string =>
  `/api/v1/namespaces/${encode(namespace)}/${resource}`

const pathOf = (pod: PodRef): string => `${collection(pod.namespace, "pods")}/${encode(pod.name)}`

const podEvent = (operation: string, object: ApiObject): Effect.Effect<PodEvent, ClusterError> =>
  Effect.map(asPod(operation)(object), (pod) => ({ _tag: "Present", pod }))

const absent: PodEvent = { _tag: "Absent" }

/** The operations over one way to the API server. */
export const make = (api: ApiCall): Pods => {
  const createPod = Effect.fn("Pods.createPod")(function*(manifest: PodManifest) {
    const { metadata } = manifest
    const operation = `create pod ${metadata.namespace}/${metadata.name}`
    yield* checked(operation, metadata)
    const path = collection(metadata.namespace, "pods")
    return yield* asPod(operation)(yield* api.json(operation, { method: "POST", path, body: manifest }))
  })

  const readPod = Effect.fn("Pods.readPod")(function*(pod: PodRef) {
    const operation = `read pod ${pod.namespace}/${pod.name}`
    yield* checked(operation, pod)
    return yield* asPod(operation)(yield* api.json(operation, { method: "GET", path: pathOf(pod) }))
  })

  const deletePod: Pods["deletePod"] = Effect.fn("Pods.deletePod")(function*(pod, options) {
    const operation = `delete pod ${pod.namespace}/${pod.name}`
    yield* checked(operation, pod)
    yield* api.json(operation, { method: "DELETE", path: pathOf(pod), body: deleteOptions(options) })
  })

  const patchPod: Pods["patchPod"] = Effect.fn("Pods.patchPod")(function*(pod, patch, precondition) {
    const operation = `change pod ${pod.namespace}/${pod.name}`
    yield* checked(operation, pod)
    const body = metadataPatch(patch, precondition)
    const answer = yield* api.json(operation, { method: "PATCH", path: pathOf(pod), body }).pipe(
      Effect.mapError(conflictOfIdentity(precondition))
    )
    return yield* asPod(operation)(answer)
  })

  const listPods = Effect.fn("Pods.listPods")(function*({ labels, namespace }: LabelQuery) {
    const operation = `list pods in ${namespace}`
    yield* checkedNamespace(operation, namespace)
    const path = `${collection(namespace, "pods")}?${query(yield* labelSelector(operation, labels))}`
    const { items } = yield* listed(operation, yield* api.json(operation, { method: "GET", path }))
    return yield* Effect.forEach(items, asPod(operation))
  })

  const watchPods = ({ labels, namespace }: LabelQuery) =>
    Stream.unwrap(Effect.gen(function*() {
      const operation = `watch pods in ${namespace}`
      yield* checkedNamespace(operation, namespace)
      const selector = yield* labelSelector(operation, labels)
      const { changes, initial } = yield* watch(api, operation, collection(namespace, "pods"), selector)
      const pods = yield* Effect.forEach(initial, asPod(operation))
      return changes.pipe(
        Stream.mapEffect(({ _tag, object }) =>
          Effect.map(asPod(operation)(object), (pod): PodsEvent => ({ _tag, pod }))
        ),
        Stream.prepend<PodsEvent>([{ _tag: "Listed", pods }])
      )
    }))

  const watchPod = (pod: PodRef) =>
    Stream.unwrap(Effect.gen(function*() {
      const operation = `watch pod ${pod.namespace}/${pod.name}`
      yield* checked(operation, pod)
      const selector = fieldSelector("metadata.name", pod.name)
      const { changes, initial } = yield* watch(api, operation, collection(pod.namespace, "pods"), selector)
      const present = initial[0] === undefined ? absent : yield* podEvent(operation, initial[0])
      return changes.pipe(
        Stream.mapEffect((event) =>
          event._tag === "Removed" ? Effect.succeed(absent) : podEvent(operation, event.object)
        ),
        Stream.prepend([present])
      )
    }))

  const podNotices = (pod: PodRef & { readonly uid: string }) =>
    Stream.unwrap(Effect.gen(function*() {
      const operation = `watch the events of pod ${pod.namespace}/${pod.name}`
      yield* checked(operation, pod)
      const selector = fieldSelector("involvedObject.uid", pod.uid)
      const { changes, initial } = yield* watch(api, operation, collection(pod.namespace, "events"), selector)
      return changes.pipe(
        Stream.filter((event) => event._tag === "Put"),
        Stream.map((event) => noticeOf(event.object)),
        Stream.prepend(sinceFirst(initial).map(noticeOf))
      )
    }))

  return { createPod, readPod, deletePod, patchPod, listPods, watchPods, watchPod, podNotices }
}
