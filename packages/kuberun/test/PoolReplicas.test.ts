import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Effect, Schema } from "effect"
import { ownerKeys } from "../src/template/Labels.ts"
import { connect, type FakeClaim, freeOf, names, poolConfig, startReplica } from "./PoolDriver.ts"

const { calmPlan } = FakeCluster

/** With the time to let go of what lost answers leave open. */
const quiet = Time.pass("6 minutes")

const upTo = (max: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max }))
const some = <const A extends ReadonlyArray<string>>(values: A) =>
  Schema.Array(Schema.Literals(values)).check(Schema.isMaxLength(4))

const step = Schema.Struct({
  waitMillis: upTo(6000),
  what: Schema.Literals(["claim", "claim", "claim", "close", "touch"]),
  replica: upTo(2),
  user: Schema.Literals(["max", "prof-x"]),
  place: upTo(7)
})

const worlds = {
  replicas: Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 3 })),
  size: upTo(3),
  staff: upTo(2),
  steps: Schema.Array(step).check(Schema.isMaxLength(12)),
  startMillis: upTo(12_000),
  settleMillis: upTo(20_000)
}

const faults = {
  creates: some(["ok", "answerLost", "late", "requestLost", "fault", "forbidden", "hangs"]),
  deletes: some(["ok", "answerLost", "requestLost", "fault", "forbidden"]),
  patches: Schema.Array(Schema.Literals(["ok", "answerLost", "requestLost", "fault"])).check(Schema.isMaxLength(12)),
  watches: some(["ok", "breaks", "silent"]),
  createMillis: upTo(4000)
}

type World = {
  readonly replicas: number
  readonly size: number
  readonly staff: number
  readonly steps: ReadonlyArray<typeof step.Type>
  readonly startMillis: number
  readonly settleMillis: number
}

/** Plays a world, and checks what must hold in each. Answers how many pods were created and how many claims made. */
const play = (world: World, plan: Partial<FakeCluster.FakeClusterPlan>) =>
  Effect.gen(function*() {
    const cluster = yield* FakeCluster.make({ ...calmPlan, startMillis: world.startMillis, ...plan })
    const config = yield* poolConfig({
      size: world.size,
      classes: [{ name: "staff", users: ["prof-*"], size: world.staff }]
    })
    const claims: Array<FakeClaim & { readonly id: string; readonly user: string; open: boolean }> = []
    const holds = Effect.gen(function*() {
      const pods = yield* cluster.world.pods
      const got = yield* Effect.forEach(claims, ({ got }) => got)
      const given = got.filter((name) => name !== undefined)
      assert.strictEqual(new Set(given).size, given.length, "one pod was given to two connections")
      for (const [place, { id, open }] of claims.entries()) {
        const name = got[place]
        if (name === undefined || !open) continue
        const pod = pods.find(({ metadata }) => metadata.name === name)
        assert.strictEqual(
          pod?.metadata.annotations?.[ownerKeys.connectionId],
          id,
          "a claimed pod is gone, or another's"
        )
      }
    })
    const end = (claim: (typeof claims)[number]) =>
      Effect.suspend(() => {
        claim.open = false
        return Effect.asVoid(Effect.forkDetach(claim.close))
      })
    yield* Effect.gen(function*() {
      const replicas = yield* Effect.forEach(
        Array.from({ length: world.replicas }, (_, place) => `replica-${place}`),
        (id) => startReplica(config, id)
      )
      yield* Time.pass(world.settleMillis)
      for (const { place, replica, user, waitMillis, what } of world.steps) {
        yield* Time.pass(waitMillis)
        yield* holds
        const pods = yield* cluster.world.pods
        const claim = claims[place]
        const touched = pods[place]
        const pool = replicas[replica % world.replicas]?.pool
        if (what === "claim" && pool !== undefined) {
          const id = `c${claims.length}`
          // Two at the same time, so that replicas meet.
          claims.push({ ...(yield* connect(pool, id, user)), id, user, open: true })
          const other = replicas[(replica + 1) % world.replicas]?.pool ?? pool
          claims.push({ ...(yield* connect(other, `${id}b`, user)), id: `${id}b`, user, open: true })
        } else if (what === "close" && claim?.open === true) yield* end(claim)
        else if (what === "touch" && touched !== undefined) {
          yield* cluster.world.changePod(touched.metadata.name, (pod) => ({ ...pod }))
        }
      }
      yield* quiet
      yield* holds
      const resting = yield* cluster.world.pods
      assert.lengthOf(freeOf(resting), world.size, "free pods")
      assert.lengthOf(freeOf(resting, "staff"), world.staff, "free pods of the class")
      yield* Effect.forEach(claims, end)
      yield* Time.pass("2 minutes")
      assert.lengthOf(yield* cluster.world.pods, world.size + world.staff, "a claimed pod outlives its connection")
      yield* Effect.forEach(replicas, ({ drain }) => Effect.forkDetach(drain))
      yield* Time.pass("2 minutes")
      assert.deepStrictEqual(names(yield* cluster.world.pods), [], "pods after the drain")
      assert.strictEqual(yield* cluster.world.openStreams, 0, "a watch was left open")
    }).pipe(Effect.provide(cluster.layer))
    const given = (yield* Effect.forEach(claims, ({ got }) => got)).filter((name) => name !== undefined).length
    return { created: (yield* cluster.world.manifests).length, claimed: given }
  })

const replays = { arbitrary: { runs: 300 } }

describe("a warm pool of several replicas", () => {
  it.effect.prop(
    "gives no pod to two, deletes each claimed one with its connection and no other, comes to rest at its size and drains to nothing, whatever fails",
    { ...worlds, ...faults },
    (world) =>
      Effect.gen(function*() {
        const { claimed, created } = yield* play(world, world)
        const connections = 2 * world.steps.length
        assert.isAtMost(
          created,
          world.replicas * (world.size + world.staff + 2) + claimed + connections + world.creates.length,
          "creations"
        )
      }),
    replays
  )

  it.effect.prop("in good weather makes hardly more pods than are claimed", worlds, (world) =>
    Effect.gen(function*() {
      const { claimed, created } = yield* play(world, {})
      assert.isAtMost(created, world.size + world.staff + claimed + 2 * (world.replicas - 1) * (1 + world.steps.length))
    }), replays)
})
