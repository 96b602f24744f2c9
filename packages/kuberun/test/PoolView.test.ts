import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Pod } from "kuberun"
import { emptyView, existsSince, type PoolView, withAll, without, withPod } from "../src/pool/PoolView.ts"
import { modeKey, poolKey } from "../src/template/Labels.ts"

const pod = (uid: string, more: Partial<Pod["metadata"]> = {}): Pod => ({
  metadata: { name: uid, namespace: "default", uid, labels: { [modeKey]: "pool", [poolKey]: "default" }, ...more }
})

const uids = (view: PoolView) => [...view.pods.keys()].toSorted()

/** A moment of the API server's, whose clock goes an hour ahead of ours. */
const server = (seconds: number): string => new Date(3_600_000 + seconds * 1000).toISOString().replace(".000Z", "Z")

describe("what a replica sees of the pool", () => {
  it("a list that was asked for before a pod was told of does not take it away", () => {
    const listing = emptyView.turn
    const told = withPod(emptyView, pod("a"), 1)
    assert.deepStrictEqual(uids(withAll(told, [], listing, 2)), ["a"])
    assert.deepStrictEqual(uids(withAll(told, [], told.turn, 2)), [])
  })

  it("an old list brings back neither a pod that is gone nor an old state", () => {
    const first = withAll(emptyView, [pod("a"), pod("b")], 0, 1)
    const gone = without(first, "a", 2)
    const changed = withPod(gone, pod("b", { resourceVersion: "2" }), 2)
    const after = withAll(changed, [pod("a"), pod("b", { resourceVersion: "1" })], first.turn, 3)
    assert.deepStrictEqual(uids(after), ["b"])
    assert.strictEqual(after.pods.get("b")?.pod.metadata.resourceVersion, "2")
  })

  it("a pod that is told of without its pool is gone", () => {
    const seen = withPod(emptyView, pod("a"), 1)
    const claimed = withPod(seen, pod("a", { labels: {} }), 2)
    assert.deepStrictEqual(uids(withPod(claimed, pod("a"), 3)), [])
  })

  it("a pod is as old as it was seen, as long as nothing is known of the server's clock", () => {
    const view = withPod(emptyView, pod("a"), 1000)
    const [seen] = view.pods.values()
    assert.isDefined(seen)
    assert.strictEqual(existsSince(view, seen), 1000)
  })

  it("the creation of one pod tells how old another is, whatever the server's clock shows", () => {
    const old = pod("old", { creationTimestamp: server(0) })
    const first = withAll(emptyView, [old], 0, 500_000)
    const [seen] = first.pods.values()
    assert.isDefined(seen)
    assert.strictEqual(existsSince(first, seen), 500_000, "it may be new")
    const fresh = withPod(first, pod("fresh", { creationTimestamp: server(600) }), 600_000)
    assert.strictEqual(existsSince(fresh, seen), 0, "it was made 600 s before one that was made now")
  })

  it.effect.prop(
    "no pod is taken for older than it is",
    {
      lead: Schema.Int.check(Schema.isBetween({ minimum: -9_000_000, maximum: 9_000_000 })),
      pods: Schema.Array(Schema.Struct({
        made: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 })),
        later: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))
      })).check(Schema.isMaxLength(8))
    },
    ({ lead, pods }) =>
      Effect.sync(() => {
        const made = pods.map(({ made }) => 10_000_000 + made * 1000)
        const order = pods.map(({ later }, place) => ({ place, at: (made[place] ?? 0) + later * 1000 }))
          .toSorted((one, other) => one.at - other.at)
        const view = order.reduce((seen, { at, place }) => {
          const creationTimestamp = new Date((made[place] ?? 0) + lead).toISOString().replace(/\.\d+Z$/, "Z")
          return withPod(seen, pod(`p${place}`, { creationTimestamp }), at)
        }, emptyView)
        for (const [place, time] of made.entries()) {
          const seen = view.pods.get(`p${place}`)
          assert.isDefined(seen)
          // Timestamps are whole seconds.
          assert.isAbove(existsSince(view, seen), time - 1000)
        }
      }),
    { arbitrary: { runs: 300 } }
  )
})
