import { assert, it } from "@effect/vitest"
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect } from "effect"
import { defaultConfig, Kuberun } from "kuberun"

it.effect("deletes the pod of a client that hangs up, although the first answer to its creation was lost", () =>
  Effect.gen(function*() {
    const { layer, world } = yield* FakeCluster.make({
      ...FakeCluster.calmPlan,
      creates: ["answerLost"],
      startMillis: 3000
    })
    const { connection, end, open } = yield* FakeSsh.makeConnection()
    yield* Kuberun.use(({ handle }) => handle(connection)).pipe(
      Effect.provide(Kuberun.layer(defaultConfig)),
      Effect.provide(layer),
      Effect.forkChild
    )
    const client = yield* FakeSsh.makeClient()
    yield* open(client.channel)
    assert.isTrue(yield* client.request({ _tag: "Exec", command: "cat" }))
    yield* Time.pass("10 seconds")
    assert.lengthOf(yield* world.livePods, 1)
    assert.lengthOf(yield* world.execs, 1)

    yield* end
    yield* Time.pass("10 seconds")
    assert.deepStrictEqual(yield* world.livePods, [])
    assert.strictEqual(yield* world.openStreams, 0)
  }))
