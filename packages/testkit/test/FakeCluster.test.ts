import { assert, it } from "@effect/vitest"
import { FakeCluster } from "@kuberun/testkit"
import { Effect } from "effect"
import { Cluster } from "kuberun"

it.effect("a claim is made once under its name, as the port says", () =>
  Effect.gen(function*() {
    const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
    const claim = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "home-alice", namespace: "default" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } }
    } as const
    yield* Effect.gen(function*() {
      const cluster = yield* Cluster
      yield* cluster.createClaim(claim)
      const again = yield* Effect.flip(cluster.createClaim(claim))
      assert.strictEqual(again.reason._tag, "AlreadyExists")
      yield* cluster.createClaim({ ...claim, metadata: { ...claim.metadata, name: "home-bob" } })
    }).pipe(Effect.provide(layer))
    assert.deepStrictEqual((yield* world.claims).map(({ metadata }) => metadata.name), ["home-alice", "home-bob"])
  }))
