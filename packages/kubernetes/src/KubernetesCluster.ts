/**
 * The `Cluster` port over a real API server.
 */
import { Duration, Effect, Layer, Stream } from "effect"
import {
  Cluster,
  type ClusterError,
  type Pod,
  type PodEvent,
  type PodManifest,
  type PodRef,
  ProtocolViolation,
  Rejected
} from "kuberun"
import * as ApiAccess from "./ApiAccess.ts"
import * as ApiCall from "./ApiCall.ts"
import { failed, isRecord } from "./ApiFault.ts"
import type { ClusterSource } from "./ClusterSource.ts"
import * as Exec from "./Exec.ts"
import { encode } from "./ExecWire.ts"
import { noticeOf, sinceFirst } from "./PodNotices.ts"
import * as TokenBucket from "./TokenBucket.ts"
import { type ApiObject, watch } from "./Watch.ts"

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

/** A segment of a path that stays one: nothing empty, and nothing that a URL takes for a step upwards. */
const isSegment = (text: string): boolean => text !== "" && text !== "." && text !== ".."

/** Refuses what would be another path: without a name, a deletion would be one of all pods. */
const checked = (operation: string, pod: PodRef): Effect.Effect<void, ClusterError> =>
  isSegment(pod.namespace) && isSegment(pod.name)
    ? Effect.void
    : Effect.fail(
      failed(operation)(new Rejected({ status: 400, detail: "this cannot be a namespace's or pod's name" }))
    )

const collection = (namespace: string, resource: "pods" | "events"): string =>
  `/api/v1/namespaces/${encode(namespace)}/${resource}`

const pathOf = (pod: PodRef): string => `${collection(pod.namespace, "pods")}/${encode(pod.name)}`

const podEvent = (operation: string, object: ApiObject): Effect.Effect<PodEvent, ClusterError> =>
  Effect.map(asPod(operation)(object), (pod) => ({ _tag: "Present", pod }))

const absent: PodEvent = { _tag: "Absent" }

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
        ...(options?.uid === undefined ? {} : { preconditions: { uid: options.uid } }),
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
        `metadata.name=${pod.name}`
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
        `involvedObject.uid=${pod.uid}`
      )
      return changes.pipe(
        Stream.filter((event) => event._tag === "Put"),
        Stream.map((event) => noticeOf(event.object)),
        Stream.prepend(sinceFirst(initial).map(noticeOf))
      )
    }))

  return {
    createPod,
    readPod,
    deletePod,
    watchPod,
    podNotices,
    exec: Effect.fn("KubernetesCluster.exec")(function*(request) {
      yield* checked(`run a program in pod ${request.pod.namespace}/${request.pod.name}`, request.pod)
      return yield* Exec.exec(access, callOptions, request)
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
