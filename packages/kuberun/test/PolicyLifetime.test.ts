import { assert, describe, it } from "@effect/vitest"
import { Arbitraries, FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { defaultConfig, Kuberun } from "kuberun"
import * as Metrics from "../src/Metrics.ts"
import { allowCommand } from "../src/policy/AllowCommand.ts"
import { idleTimeout } from "../src/policy/IdleTimeout.ts"
import { maxLifetime } from "../src/policy/MaxLifetime.ts"
import { maxSessions } from "../src/policy/MaxSessions.ts"
import { apply } from "../src/policy/Policy.ts"

const upTo = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most }))

describe("a connection behind policies", () => {
  it.effect.prop(
    "leaves no pod and no stream behind, whoever ends it and whatever the cluster does",
    {
      who: Arbitraries.connection,
      plan: Arbitraries.clusterPlan,
      clients: Schema.Array(Arbitraries.clientSteps).check(Schema.isMaxLength(3)),
      idle: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 120 })),
      life: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 })),
      warning: upTo(60)
    },
    ({ clients, idle, life, plan, warning, who }) =>
      Effect.gen(function*() {
        const { layer, world } = yield* FakeCluster.make(plan)
        const { connection, open } = yield* FakeSsh.makeConnection(who)
        const policies = [
          Metrics.observe,
          maxLifetime({ after: `${life} seconds`, warning: `${warning} seconds` }),
          idleTimeout({ after: `${idle} seconds`, warning: `${warning} seconds` }),
          maxSessions(2),
          allowCommand(["*"], { shell: true })
        ]
        const serving = yield* Kuberun.use(({ handle }) => apply(handle, ...policies)(connection)).pipe(
          Effect.provide(Kuberun.layer(defaultConfig)),
          Effect.provide(layer),
          Effect.forkChild
        )
        for (const [id, steps] of clients.entries()) {
          const client = yield* FakeSsh.makeClient(Effect.void, id)
          yield* Effect.forkChild(Effect.andThen(open(client.channel), Arbitraries.drive(client, steps)))
        }
        // A start, a deletion and a farewell have a minute each at most.
        yield* TestClock.adjust(`${life} seconds`)
        yield* TestClock.adjust("5 minutes")
        yield* Time.settle
        assert.isDefined(serving.pollUnsafe(), "it is still served")
        assert.deepStrictEqual(yield* world.livePods, [])
        assert.strictEqual(yield* world.openStreams, 0)
      }),
    { arbitrary: { runs: 300 } }
  )
})
