import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { ConfigProvider, Effect, Exit, Layer, Ref } from "effect"
import { Cluster, configFrom, decodeConfig, defaultConfig, Kuberun } from "kuberun"
import { exec } from "./PolicyDriver.ts"
import { statuses } from "./SessionDriver.ts"

/** One user who runs one program, to its end, by whatever Kuberun there is. */
const oneSession = Effect.gen(function*() {
  const { connection, end, open } = yield* FakeSsh.makeConnection({ username: "alice" })
  const serving = yield* Kuberun.use(({ handle }) => handle(connection)).pipe(
    Effect.forkChild({ startImmediately: true })
  )
  const client = yield* FakeSsh.makeClient()
  yield* open(client.channel)
  yield* client.request(exec("cat"))
  yield* client.eof
  yield* Time.pass("10 seconds")
  const exits = yield* statuses(client)
  yield* end
  yield* Time.pass("10 seconds")
  assert.isDefined(serving.pollUnsafe(), "it goes on though the connection has ended")
  return exits
})

describe("Kuberun as a layer", () => {
  it.effect("serves with the configuration that it is given", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const config = yield* decodeConfig({ pod: { namespace: "guests", namePrefix: "desk-" } })
      const exits = yield* oneSession.pipe(Effect.provide(Kuberun.layer(config)), Effect.provide(layer))
      assert.deepStrictEqual(exits, [{ _tag: "Exited", code: 0 }])
      const [manifest] = yield* world.manifests
      assert.strictEqual(manifest?.metadata.namespace, "guests")
      assert.match(manifest?.metadata.name ?? "", /^desk-/)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("takes its configuration from Effect's Config, whatever provides that", () =>
    Effect.gen(function*() {
      const sources = {
        variables: ConfigProvider.fromEnvRecord({ kuberun_pod_namespace: "guests", kuberun_pod_namePrefix: "desk-" }),
        file: ConfigProvider.fromUnknown({ kuberun: { pod: { namespace: "guests", namePrefix: "desk-" } } })
      }
      for (const [name, source] of Object.entries(sources)) {
        const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
        const exits = yield* oneSession.pipe(
          Effect.provide(Kuberun.layerConfig(configFrom("kuberun"))),
          Effect.provide(layer),
          Effect.provide(ConfigProvider.layer(source))
        )
        assert.deepStrictEqual([name, exits], [name, [{ _tag: "Exited", code: 0 }]])
        const [manifest] = yield* world.manifests
        assert.strictEqual(manifest?.metadata.namespace, "guests")
        assert.match(manifest?.metadata.name ?? "", /^desk-/)
      }
    }))

  it.effect("is not built with a configuration that cannot be used, and no pod is asked for", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const error = yield* Layer.build(Kuberun.layerConfig(configFrom())).pipe(
        Effect.provide(layer),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({
          pod: { mode: "session", namespace: "Upper" },
          pool: { size: 3 }
        }))),
        Effect.flip
      )
      assert.include(error.message, "namespace")
      assert.deepStrictEqual(yield* world.manifests, [])
    }))

  it.effect("asks the Cluster that is provided, of which a wrapper is one", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const asked = yield* Ref.make<ReadonlyArray<string>>([])
      const noting = Layer.effect(
        Cluster,
        Effect.map(Cluster, (cluster) =>
          Cluster.of({
            ...cluster,
            createPod: (manifest) =>
              Effect.andThen(
                Ref.update(asked, (before) => [...before, manifest.metadata.namespace]),
                cluster.createPod(manifest)
              )
          }))
      ).pipe(Layer.provide(layer))
      const exits = yield* oneSession.pipe(Effect.provide(Kuberun.layer(defaultConfig)), Effect.provide(noting))
      assert.deepStrictEqual(exits, [{ _tag: "Exited", code: 0 }])
      assert.deepStrictEqual(yield* Ref.get(asked), ["default"])
    }))

  it.effect("tells what is open, and nothing when all has ended", () =>
    Effect.gen(function*() {
      const { layer } = yield* FakeCluster.make(FakeCluster.calmPlan)
      yield* Effect.gen(function*() {
        const { status } = yield* Kuberun
        assert.deepStrictEqual(yield* status, { connections: 0, pods: [] })
        const { connection, end } = yield* FakeSsh.makeConnection()
        const serving = yield* Kuberun.use(({ handle }) => handle(connection)).pipe(Effect.forkChild)
        yield* Time.pass("5 seconds")
        const open = yield* status
        assert.strictEqual(open.connections, 1)
        assert.lengthOf(open.pods, 1)
        yield* end
        yield* Time.pass("5 seconds")
        assert.deepStrictEqual(serving.pollUnsafe(), Exit.void)
        assert.deepStrictEqual(yield* status, { connections: 0, pods: [] })
      }).pipe(Effect.provide(Kuberun.layer(defaultConfig)), Effect.provide(layer))
    }))
})
