/**
 * The `Cluster` port over a real API server.
 */
import { Duration, Effect, Layer, Stream } from "effect"
import {
  type ClaimManifest,
  Cluster,
  type ClusterError,
  type LabelQuery,
  type Pod,
  type PodEvent,
  type PodManifest,
  type PodRef,
  type PodsEvent,
  type Precondition,
  ProtocolViolation
} from "kuberun"
import * as ApiAccess from "./ApiAccess.ts"
import * as ApiCall from "./ApiCall.ts"
import { failed, isRecord } from "./ApiFault.ts"
import type { ClusterSource } from "./ClusterSource.ts"
import * as Exec from "./Exec.ts"
import { encode } from "./ExecWire.ts"
import * as Leases from "./Leases.ts"
import { checked, checkedNamespace } from "./ObjectName.ts"
import { noticeOf, sinceFirst } from "./PodNotices.ts"
import * as TokenBucket from "./TokenBucket.ts"
import { type ApiObject, listed, query, type Selector, watch } from "./Watch.ts"

/** How this adapter behaves, where its source does not say. */
export interface KubernetesOptions {
  /**
   * Time limit of one call, and of the way to an open stream. Wins over the one in a `Connection` source. Admission
   * webhooks may take 30 s each (their own upper limit), hence the default of 45 s.
   */
  readonly callTimeout?: Duration.Input | undefined
}

const DEFAULT_CALL_TIMEOUT = Duration.seconds(45)

/** As far as the API server's own kind of answer has to be checked: it has an identity. */
const isPod = (value: unknown): value is Pod =>
  isRecord(value) && isRecord(value["metadata"]) && typeof value["metadata"]["name"] === "string" &&
  typeof value["metadata"]["namespace"] === "string"

const asPod = (operation: string) => (value: unknown): Effect.Effect<Pod, ClusterError> =>
  isPod(value)
    ? Effect.succeed(value)
    : Effect.fail(failed(operation)(new ProtocolViolation({ detail: "the API server's answer is not a pod" })))

const collection = (namespace: string, resource: "pods" | "events" | "persistentvolumeclaims"): string =>
  `/api/v1/namespaces/${encode(namespace)}/${resource}`

const pathOf = (pod: PodRef): string => `${collection(pod.namespace, "pods")}/${encode(pod.name)}`

const podEvent = (operation: string, object: ApiObject): Effect.Effect<PodEvent, ClusterError> =>
  Effect.map(asPod(operation)(object), (pod) => ({ _tag: "Present", pod }))

const absent: PodEvent = { _tag: "Absent" }

/** What a write is meant for, as `metav1.Preconditions`. */
const preconditions = (precondition: Precondition | undefined) => {
  const { resourceVersion, uid } = precondition ?? {}
  if (uid === undefined && resourceVersion === undefined) return {}
  return {
    preconditions: {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion })
    }
  }
}

const labelSelector = (labels: LabelQuery["labels"]): Selector => ({
  labelSelector: Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",")
})

/** The operations over one way to the API server. */
const make = (access: ApiAccess.ApiAccess, callOptions: ApiCall.ApiCallOptions): Cluster["Service"] => {
  const api = ApiCall.make(access, callOptions)

  const createPod = Effect.fn("KubernetesCluster.createPod")(function*(manifest: PodManifest) {
    const { metadata } = manifest
    const operation = `create pod ${metadata.namespace}/${metadata.name}`
    yield* checked(operation, metadata)
    const path = collection(metadata.namespace, "pods")
    const answer = yield* api.json(operation, { method: "POST", path, body: manifest })
    return yield* asPod(operation)(answer)
  })

  const readPod = Effect.fn("KubernetesCluster.readPod")(function*(pod: PodRef) {
    const operation = `read pod ${pod.namespace}/${pod.name}`
    yield* checked(operation, pod)
    return yield* asPod(operation)(yield* api.json(operation, { method: "GET", path: pathOf(pod) }))
  })

  const deletePod: Cluster["Service"]["deletePod"] = Effect.fn("KubernetesCluster.deletePod")(function*(pod, options) {
    const operation = `delete pod ${pod.namespace}/${pod.name}`
    yield* checked(operation, pod)
    yield* api.json(operation, {
      method: "DELETE",
      path: pathOf(pod),
      body: {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy: "Background",
        ...preconditions(options),
        ...(options?.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds })
      }
    })
  })

  const watchPod = (pod: PodRef) =>
    Stream.unwrap(Effect.gen(function*() {
      const operation = `watch pod ${pod.namespace}/${pod.name}`
      yield* checked(operation, pod)
      const { changes, initial } = yield* watch(
        api,
        operation,
        collection(pod.namespace, "pods"),
        { fieldSelector: `metadata.name=${pod.name}` }
      )
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
      const { changes, initial } = yield* watch(
        api,
        operation,
        collection(pod.namespace, "events"),
        { fieldSelector: `involvedObject.uid=${pod.uid}` }
      )
      return changes.pipe(
        Stream.filter((event) => event._tag === "Put"),
        Stream.map((event) => noticeOf(event.object)),
        Stream.prepend(sinceFirst(initial).map(noticeOf))
      )
    }))

  const patchPod: Cluster["Service"]["patchPod"] = Effect.fn("KubernetesCluster.patchPod")(
    function*(pod, patch, precondition) {
      const operation = `change pod ${pod.namespace}/${pod.name}`
      yield* checked(operation, pod)
      // An identity or a version in the patch that is not the object's own makes it a conflict.
      const body = { metadata: { ...patch, ...preconditions(precondition).preconditions } }
      return yield* asPod(operation)(yield* api.json(operation, { method: "PATCH", path: pathOf(pod), body }))
    }
  )

  const listPods = Effect.fn("KubernetesCluster.listPods")(function*({ labels, namespace }: LabelQuery) {
    const operation = `list pods in ${namespace}`
    yield* checkedNamespace(operation, namespace)
    const path = `${collection(namespace, "pods")}?${query(labelSelector(labels))}`
    const { items } = yield* listed(operation, yield* api.json(operation, { method: "GET", path }))
    return yield* Effect.forEach(items, asPod(operation))
  })

  const watchPods = ({ labels, namespace }: LabelQuery) =>
    Stream.unwrap(Effect.gen(function*() {
      const operation = `watch pods in ${namespace}`
      yield* checkedNamespace(operation, namespace)
      const { changes, initial } = yield* watch(api, operation, collection(namespace, "pods"), labelSelector(labels))
      const pods = yield* Effect.forEach(initial, asPod(operation))
      return changes.pipe(
        Stream.mapEffect((event) =>
          Effect.map(
            asPod(operation)(event.object),
            (pod): PodsEvent => ({ _tag: event._tag === "Removed" ? "Removed" : "Put", pod })
          )
        ),
        Stream.prepend<PodsEvent>([{ _tag: "Listed", pods }])
      )
    }))

  const createClaim = Effect.fn("KubernetesCluster.createClaim")(function*(claim: ClaimManifest) {
    const { name, namespace } = claim.metadata
    const operation = `create persistent volume claim ${namespace}/${name}`
    yield* checked(operation, claim.metadata)
    const path = collection(namespace, "persistentvolumeclaims")
    yield* api.json(operation, { method: "POST", path, body: claim })
  })

  return {
    createPod,
    readPod,
    deletePod,
    patchPod,
    listPods,
    watchPods,
    createClaim,
    ...Leases.make(api),
    watchPod,
    podNotices,
    exec: Effect.fn("KubernetesCluster.exec")(function*(request) {
      yield* checked(`run a program in pod ${request.pod.namespace}/${request.pod.name}`, request.pod)
      return yield* Exec.exec(access, callOptions, request)
    }),
    attach: Effect.fn("KubernetesCluster.attach")(function*(request) {
      yield* checked(`connect with pod ${request.pod.namespace}/${request.pod.name}`, request.pod)
      return yield* Exec.attach(access, callOptions, request)
    })
  }
}

/**
 * `Cluster` over the API server that the source names. Building it reads the configuration (and fails with
 * `Misconfigured` when that cannot be used) but asks the server nothing: whether it answers, the first call tells.
 * Connections are kept for the next call, and closed with the layer.
 */
export const layer = (
  source: ClusterSource,
  options: KubernetesOptions = {}
): Layer.Layer<Cluster, ClusterError> =>
  Layer.effect(
    Cluster,
    Effect.gen(function*() {
      const access = yield* ApiAccess.make(source)
      const connection = source._tag === "Connection" ? source.connection : undefined
      const turn = connection !== undefined && connection.qps > 0
        ? yield* TokenBucket.make(connection.qps, connection.burst)
        : Effect.void
      const timeout = options.callTimeout ?? connection?.timeout ?? DEFAULT_CALL_TIMEOUT
      return Cluster.of(make(access, { timeout: Duration.fromInputUnsafe(timeout), turn }))
    })
  )
