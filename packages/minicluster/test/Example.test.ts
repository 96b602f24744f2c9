import { assert, layer } from "@effect/vitest"
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node"
import { layer as minicluster, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"

layer(minicluster(), { excludeTestServices: true })("a cluster of the test's own", (it) => {
  it.effect("runs a pod", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const config = new KubeConfig()
      config.loadFromString(cluster.kubeconfig)
      const api = config.makeApiClient(CoreV1Api)
      const body = { metadata: { name: "shell" }, spec: { containers: [{ name: "main", image: "busybox" }] } }
      yield* Effect.promise(() => api.createNamespacedPod({ namespace: "default", body }))
      const read = Effect.promise(() => api.readNamespacedPod({ namespace: "default", name: "shell" }))
      const pod = yield* Effect.repeat(read, { until: ({ status }) => status?.phase === "Running" })
      assert.strictEqual(pod.spec?.nodeName, "minicluster")
    }))
})
