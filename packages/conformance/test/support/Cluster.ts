/**
 * The pods, as somebody else sees them: through the API server, with the service's kubeconfig.
 */
import { CoreV1Api, KubeConfig, type V1Pod } from "@kubernetes/client-node"
import { Effect } from "effect"
import type { RunningService } from "./Service.ts"
import { until } from "./Until.ts"

const managed = "app.kubernetes.io/managed-by=kuberun"

const namespace = "default"

const api = (service: RunningService): CoreV1Api => {
  const kubeconfig = new KubeConfig()
  kubeconfig.loadFromFile(service.kubeconfigPath)
  return kubeconfig.makeApiClient(CoreV1Api)
}

/** The pods of the service that exist. */
export const pods = (service: RunningService): Effect.Effect<ReadonlyArray<V1Pod>> =>
  Effect.promise(() => api(service).listNamespacedPod({ namespace, labelSelector: managed })).pipe(
    Effect.map(({ items }) => items)
  )

export const podNames = (service: RunningService): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(pods(service), (all) => all.map((pod) => pod.metadata?.name ?? ""))

/** Waits until no pod is left, or not this one. */
export const podsGone = (service: RunningService, pod?: string): Effect.Effect<void> =>
  until(
    pod === undefined ? "the end of all pods" : `the end of ${pod}`,
    podNames(service),
    (names) => pod === undefined ? names.length === 0 : !names.includes(pod),
    "60 seconds"
  ).pipe(Effect.asVoid)

/** Waits until there are that many. */
export const podsAre = (service: RunningService, count: number): Effect.Effect<ReadonlyArray<string>> =>
  until(`${count} pods`, podNames(service), (names) => names.length === count, "60 seconds")

/** Deletes a pod from outside, as `kubectl delete pod` does. */
export const deletePod = (service: RunningService, name: string): Effect.Effect<void> =>
  Effect.promise(() => api(service).deleteNamespacedPod({ name, namespace })).pipe(Effect.asVoid)
