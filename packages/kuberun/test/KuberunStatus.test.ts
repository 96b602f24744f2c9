import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { decodeConfig, Kuberun } from "kuberun"

/** The library over a fake cluster, in a scope that can be closed. */
const running = Effect.fnUntraced(function*(config: unknown, plan: Partial<FakeCluster.FakeClusterPlan> = {}) {
  const settings = yield* Effect.orDie(decodeConfig(config))
  const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, ...plan })
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(Kuberun.layer(settings).pipe(Layer.provide(layer)), scope)
  const kuberun = yield* Effect.provideContext(Kuberun, context)
  return { kuberun, close: Scope.close(scope, Exit.void), world }
})

describe("what is still there", () => {
  it.effect("names the pods of connections until their deletion is through", () =>
    Effect.gen(function*() {
      const { close, kuberun, world } = yield* running({}, { deletes: ["fault"] })
      const connection = yield* FakeSsh.makeConnection()
      const handling = yield* Effect.forkChild(kuberun.handle(connection.connection), { startImmediately: true })
      yield* Time.pass("1 second")
      const [manifest] = yield* world.manifests
      const pod = { namespace: "default", name: manifest?.metadata.name }
      assert.deepStrictEqual<unknown>(yield* kuberun.status, { connections: 1, pods: [pod] })
      yield* connection.end
      yield* Time.settle
      assert.deepStrictEqual<unknown>((yield* kuberun.status).pods, [pod], "one delete has failed so far")
      yield* Time.pass("10 seconds")
      yield* Fiber.join(handling)
      assert.deepStrictEqual(yield* kuberun.status, { connections: 0, pods: [] })
      yield* close
    }))

  it.effect("names the pods that wait in the pool until it is emptied", () =>
    Effect.gen(function*() {
      const { close, kuberun, world } = yield* running({ pool: { size: 3 } })
      yield* Time.pass("30 seconds")
      assert.deepStrictEqual(
        (yield* kuberun.status).pods.map(({ name }) => name).toSorted(),
        (yield* world.manifests).map(({ metadata }) => metadata.name).toSorted()
      )
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* Time.pass("1 minute")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* world.livePods, [])
      assert.deepStrictEqual((yield* kuberun.status).pods, [])
    }))

  it.effect("goes on naming pods of the pool that could not be deleted", () =>
    Effect.gen(function*() {
      const { close, kuberun } = yield* running(
        { pool: { size: 2 }, timeout: "5s" },
        { deletes: Array.from({ length: 100 }, () => "forbidden" as const) }
      )
      yield* Time.pass("30 seconds")
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* Time.pass("1 minute")
      yield* Fiber.join(closing)
      assert.lengthOf((yield* kuberun.status).pods, 2)
    }))
})
