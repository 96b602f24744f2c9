import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Lease } from "kuberun"
import { deserted, lives, nextDeath, noReplicas, type ReplicaView, withLeases } from "../src/modes/ReplicaView.ts"

const lease = (id: string, version: number): Lease => ({
  metadata: { name: `kuberun-${id}`, namespace: "default", uid: id, resourceVersion: String(version) },
  spec: { holderIdentity: id, leaseDurationSeconds: 30, renewTime: "1999-12-31T23:59:59.000000Z" }
})

const seconds = (count: number) => count * 1000

describe("which replicas live", () => {
  it("lets one die that has not renewed its Lease for as long as that lasts, whatever times are written in it", () => {
    const first = withLeases(noReplicas, [lease("a", 1)], [], 0)
    const second = withLeases(first, [lease("a", 1)], [], seconds(20))
    assert.isTrue(lives(second, "a", seconds(29.9)))
    assert.isFalse(lives(second, "a", seconds(30)))
    const renewed = withLeases(second, [lease("a", 2)], [], seconds(20))
    assert.isTrue(lives(renewed, "a", seconds(49.9)))
    assert.strictEqual(nextDeath(renewed, ["a"], seconds(40)), seconds(50))
  })

  it("lets one that has no Lease live for as long as one would last, since it may be about to create it", () => {
    const view = withLeases(noReplicas, [], ["a"], seconds(5))
    assert.isTrue(lives(view, "a", seconds(34)))
    assert.isFalse(lives(view, "a", seconds(35)))
    assert.isTrue(lives(view, "never asked about", seconds(100)))
    // Its Lease comes: it lives.
    assert.isTrue(lives(withLeases(view, [lease("a", 1)], ["a"], seconds(36)), "a", seconds(60)))
  })

  it("takes the deletion of a Lease for no sign of life", () => {
    const view = withLeases(withLeases(noReplicas, [lease("a", 1)], ["a"], 0), [], ["a"], seconds(20))
    assert.isFalse(lives(view, "a", seconds(30)))
  })

  it("finds the Leases that nobody will renew any more, long after their replicas died", () => {
    const view = withLeases(noReplicas, [lease("a", 1)], [], 0)
    assert.deepStrictEqual(deserted(view, seconds(299)), [])
    assert.deepStrictEqual(deserted(view, seconds(300)).map(({ metadata }) => metadata.name), ["kuberun-a"])
  })

  it.effect.prop(
    "a replica that renews within its Lease's time never counts as dead, however seldom and when it is looked at",
    {
      renewals: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 29_999 }))).check(
        Schema.isMaxLength(20)
      ),
      looks: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 90_000 }))).check(
        Schema.isMaxLength(20)
      )
    },
    ({ looks, renewals }) =>
      Effect.sync(() => {
        const times = [0]
        for (const step of renewals) times.push((times.at(-1) ?? 0) + step)
        const end = (times.at(-1) ?? 0) + 29_999
        let now = 0
        let view: ReplicaView = noReplicas
        for (const step of looks) {
          now += step
          if (now > end) return
          const version = times.filter((time) => time <= now).length
          view = withLeases(view, [lease("a", version)], ["a"], now)
          assert.isTrue(lives(view, "a", now))
        }
      }),
    { arbitrary: { runs: 300 } }
  )
})
