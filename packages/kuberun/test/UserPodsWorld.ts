/**
 * Users' pods over a fake cluster, for tests under TestClock: a world with its plan, and what connections got in it.
 */
import { assert } from "@effect/vitest"
import { FakeCluster } from "@kuberun/testkit"
import { Effect, Exit, Ref } from "effect"
import { type Config, decodeConfig, type Pod } from "kuberun"
import { holdersOf } from "../src/modes/Holders.ts"
import { type Connection, make } from "./Replicas.ts"

const configOf = (pod: Readonly<Record<string, unknown>> = {}): Effect.Effect<Config> =>
  Effect.orDie(decodeConfig({ pod: { mode: "user", ...pod } }))

export const worldOf = Effect.fn(function*(
  plan: Partial<FakeCluster.FakeClusterPlan> = {},
  pod: Readonly<Record<string, unknown>> = {}
) {
  const fake = yield* FakeCluster.make({ ...FakeCluster.calmPlan, ...plan })
  const world = yield* make(fake, yield* configOf(pod))
  return { ...world, fake }
})

/** The pod that the connection got. */
export const podOf = ({ opened }: Connection) =>
  Effect.flatMap(Ref.get(opened), (exit) => {
    assert.isTrue(exit !== undefined && Exit.isSuccess(exit), "the connection has its pod")
    return exit !== undefined && Exit.isSuccess(exit) ? Effect.succeed(exit.value) : Effect.never
  })

/** Why it got none. */
export const refusalOf = ({ opened }: Connection) =>
  Effect.map(Ref.get(opened), (exit) => {
    const reason = exit !== undefined && Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
    return reason?._tag === "Fail" ? reason.error.message : undefined
  })

export const holderKeys = (pod: Pod | undefined) =>
  pod === undefined ? [] : holdersOf(pod).map(({ key }) => key).toSorted()
