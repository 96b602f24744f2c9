/** Replicas over one cluster in memory, in which pods are put up that none of them made. */
import { FakeCluster } from "@kuberun/testkit"
import { Effect } from "effect"
import { type Config, decodeConfig, type PodManifest } from "kuberun"
import { make } from "./Replicas.ts"

export const worldOf = Effect.fn(function*(pod: Readonly<Record<string, unknown>> = {}) {
  const fake = yield* FakeCluster.make(FakeCluster.calmPlan)
  const config: Config = yield* Effect.orDie(decodeConfig({ pod: { mode: "user", ...pod } }))
  return { ...(yield* make(fake, config)), fake }
})

export type World = Effect.Success<ReturnType<typeof worldOf>>

export const labels = {
  "app.kubernetes.io/managed-by": "kuberun",
  "app.kubernetes.io/instance": "kuberun",
  "kuberun.dev/mode": "user"
}

/** Puts a pod up that nobody here made. */
export const putUp = ({ store }: World, name: string, metadata: Partial<PodManifest["metadata"]>) =>
  store.createPod({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", labels, ...metadata, name },
    spec: { containers: [{ name: "shell" }] }
  })

export const names = ({ fake }: World) =>
  Effect.map(fake.world.pods, (pods) => pods.map(({ metadata }) => metadata.name))
