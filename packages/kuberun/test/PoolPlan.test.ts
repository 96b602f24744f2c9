import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { othersPatience, pick, type PoolFacts, poolPlan, type WaitingPod } from "../src/pool/PoolPlan.ts"

const now = 10_000_000

const pod = (name: string, more: Partial<WaitingPod> = {}): WaitingPod => ({
  uid: name,
  name,
  poolClass: "default",
  template: "t",
  replica: "me",
  state: "ready",
  created: "",
  firstSeen: now - 1000,
  existsSince: now - 1000,
  ...more
})

const facts = (more: Partial<PoolFacts> = {}): PoolFacts => ({
  now,
  replica: "me",
  sizes: new Map([["default", 2]]),
  templates: new Map([["default", "t"]]),
  maxAge: 3_600_000,
  startTimeout: 60_000,
  fillDelay: 1000,
  waiting: [],
  asked: [],
  owed: new Map(),
  shortSince: new Map(),
  pausedUntil: 0,
  slots: 2,
  ...more
})

const removed = (plan: ReturnType<typeof poolPlan>) => plan.remove.map(({ pod, reason }) => [pod.name, reason])

describe("the plan of a pool", () => {
  it("missing pods are given a moment for others to make them, and then made", () => {
    const first = poolPlan(facts())
    assert.deepStrictEqual([first.create, first.again], [[], now + 1000])
    const { shortSince } = first
    assert.deepStrictEqual(poolPlan(facts({ now: now + 1000, shortSince })).create, ["default", "default"])
  })

  it("what this replica claimed it replaces at once, and no more than is missing", () => {
    const owed = new Map([["default", 5]])
    assert.deepStrictEqual(poolPlan(facts({ owed, waiting: [pod("a")] })).create, ["default"])
    assert.deepStrictEqual(poolPlan(facts({ owed, waiting: [pod("a"), pod("b")] })).create, [])
    assert.deepStrictEqual(poolPlan(facts({ owed, waiting: [pod("a")], asked: ["default"] })).create, [])
  })

  it("nothing is created in a pause, nor more than there are slots", () => {
    const shortSince = new Map([["default", 0]])
    const paused = poolPlan(facts({ shortSince, owed: new Map([["default", 2]]), pausedUntil: now + 5000 }))
    assert.deepStrictEqual([paused.create, paused.again], [[], now + 5000])
    assert.deepStrictEqual(poolPlan(facts({ shortSince, slots: 1 })).create, ["default"])
    assert.deepStrictEqual(poolPlan(facts({ shortSince, slots: 0 })).create, [])
  })

  it("of too many the newest go, those that are not ready first", () => {
    const waiting = [
      pod("a", { created: "2" }),
      pod("b", { created: "1", state: "starting" }),
      pod("c", { created: "3" }),
      pod("d", { created: "4" })
    ]
    assert.deepStrictEqual(removed(poolPlan(facts({ waiting }))), [["d", "surplus"], ["b", "surplus"]])
  })

  it("another replica's pod is left to it for a while", () => {
    const waiting = [pod("a"), pod("b"), pod("c", { replica: "other" })]
    const plan = poolPlan(facts({ waiting }))
    assert.deepStrictEqual([removed(plan), plan.again], [[], now - 1000 + othersPatience])
    assert.deepStrictEqual(removed(poolPlan(facts({ waiting, now: now - 1000 + othersPatience }))), [["c", "surplus"]])
  })

  it("a pod of another template does not count, nor one of a class that there is not", () => {
    const waiting = [pod("a", { template: "old" }), pod("b", { poolClass: "gone" }), pod("c")]
    const plan = poolPlan(facts({ waiting, owed: new Map([["default", 2]]) }))
    assert.deepStrictEqual(removed(plan), [["a", "outdated"], ["b", "outdated"]])
    assert.deepStrictEqual(plan.create, ["default"])
  })

  it("a pod that failed, or is not ready in time, is replaced", () => {
    const waiting = [pod("a", { state: "failed" }), pod("b", { state: "held", firstSeen: now - 60_000 }), pod("c")]
    const plan = poolPlan(facts({ waiting }))
    assert.deepStrictEqual(removed(plan), [["a", "failed"], ["b", "failed"]])
    assert.isTrue(plan.shortSince.has("default"))
  })

  it("a pod that is too old goes when another is ready in its place", () => {
    const old = { existsSince: now - 3_600_000 }
    const waiting = [pod("a", old), pod("b", old)]
    const first = poolPlan(facts({ waiting, shortSince: new Map([["default", 0]]) }))
    assert.deepStrictEqual([removed(first), first.create], [[], ["default", "default"]])
    const oneStarts = [...waiting, pod("c"), pod("d", { state: "starting" })]
    assert.deepStrictEqual(removed(poolPlan(facts({ waiting: oneStarts }))), [["a", "aged"]])
    const young = poolPlan(facts({ waiting: [pod("a", { existsSince: now - 3_599_999 }), pod("b")] }))
    assert.strictEqual(young.again, now + 1)
  })

  it("a pod that somebody deletes is neither counted nor deleted again", () => {
    const plan = poolPlan(facts({ waiting: [pod("a", { state: "leaving" }), pod("b"), pod("c")] }))
    assert.deepStrictEqual([removed(plan), plan.create], [[], []])
  })
})

describe("the pod that a claim gets", () => {
  const chosen = (...waiting: ReadonlyArray<WaitingPod>) => pick(facts({ waiting }), "default")?.name

  it("is ready where one is, rather this replica's, rather the oldest", () => {
    assert.strictEqual(chosen(pod("a", { state: "starting" }), pod("b")), "b")
    assert.strictEqual(chosen(pod("a", { replica: "other" }), pod("b"), pod("c", { created: "0" })), "b")
    assert.strictEqual(chosen(pod("a", { existsSince: 0 }), pod("b")), "b")
    assert.strictEqual(chosen(pod("a", { existsSince: 0 }), pod("b", { state: "starting" })), "a")
  })

  it("is one that starts on a node where none is ready, but not one that is held up", () => {
    assert.strictEqual(chosen(pod("a", { state: "held" }), pod("b", { state: "starting" })), "b")
    assert.isUndefined(
      chosen(pod("a", { state: "held" }), pod("b", { state: "failed" }), pod("c", { state: "leaving" }))
    )
  })

  it("is never of another class or template", () => {
    assert.isUndefined(chosen(pod("a", { poolClass: "staff" }), pod("b", { template: "old" })))
  })
})

const upTo = (max: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max }))
const anyPod = Schema.Struct({
  poolClass: Schema.Literals(["default", "staff", "gone"]),
  template: Schema.Literals(["t", "t", "old"]),
  replica: Schema.Literals(["me", "other"]),
  state: Schema.Literals(["ready", "starting", "held", "failed", "leaving"]),
  created: Schema.Literals(["1", "2", "3"]),
  seen: upTo(120_000),
  older: upTo(7_200_000)
})
const anyFacts = {
  pods: Schema.Array(anyPod).check(Schema.isMaxLength(12)),
  sizes: Schema.Tuple([upTo(4), upTo(4)]),
  asked: Schema.Array(Schema.Literals(["default", "staff"])).check(Schema.isMaxLength(3)),
  owed: upTo(3),
  paused: upTo(10_000),
  short: upTo(3000),
  slots: upTo(3)
}
type AnyFacts = {
  readonly pods: ReadonlyArray<typeof anyPod.Type>
  readonly sizes: readonly [number, number]
  readonly asked: ReadonlyArray<string>
  readonly owed: number
  readonly paused: number
  readonly short: number
  readonly slots: number
}

const toFacts = ({ asked, owed, paused, pods, short, sizes, slots }: AnyFacts): PoolFacts =>
  facts({
    sizes: new Map([["default", sizes[0]], ["staff", sizes[1]]]),
    templates: new Map([["default", "t"], ["staff", "t"]]),
    waiting: pods.map(({ older, seen, ...more }, place) =>
      pod(`p${place}`, { ...more, firstSeen: now - seen, existsSince: now - seen - older })
    ),
    asked,
    owed: new Map([["default", owed]]),
    shortSince: new Map(short === 0 ? [] : [["default", now - short], ["staff", now - short]]),
    pausedUntil: now - 5000 + paused,
    slots
  })

const replays = { arbitrary: { runs: 500 } }

describe("any plan", () => {
  it.effect.prop("creates and deletes within its bounds", anyFacts, (any) =>
    Effect.sync(() => {
      const given = toFacts(any)
      const plan = poolPlan(given)
      assert.isAtMost(plan.create.length, given.slots)
      assert.strictEqual(new Set(plan.remove.map(({ pod }) => pod.uid)).size, plan.remove.length)
      if (given.pausedUntil > now) assert.deepStrictEqual(plan.create, [])
      for (const [poolClass, size] of given.sizes) {
        const good = given.waiting.filter((pod) =>
          pod.poolClass === poolClass && pod.template === "t" &&
          (pod.state === "ready" ||
            ((pod.state === "starting" || pod.state === "held") && pod.firstSeen > now - 60_000))
        )
        const left = good.filter((pod) => !plan.remove.some((removal) => removal.pod === pod))
        assert.isAtLeast(left.length, Math.min(good.length, size), "a pod that is needed was deleted")
        const ready = (pods: ReadonlyArray<WaitingPod>) => pods.filter(({ state }) => state === "ready").length
        assert.isAtLeast(ready(left), Math.min(ready(good), size), "a ready pod that is needed was deleted")
        const fresh = good.filter((pod) => now - pod.existsSince < given.maxAge).length
        const asked = given.asked.filter((other) => other === poolClass).length
        const created = plan.create.filter((other) => other === poolClass).length
        assert.isAtMost(created, Math.max(0, size - fresh - asked), "too many are created")
      }
    }), replays)

  it.effect.prop(
    "is the same at any time before it says that it may be another",
    { ...anyFacts, at: upTo(1_000_000) },
    ({ at, ...any }) =>
      Effect.sync(() => {
        const given = toFacts(any)
        const plan = poolPlan(given)
        assert.isTrue(plan.again === undefined || plan.again > now)
        const later = plan.again === undefined ? now + at : now + at % (plan.again - now)
        const { again: _, ...same } = poolPlan({ ...given, now: later, shortSince: plan.shortSince })
        const { again: __, ...expected } = plan
        assert.deepStrictEqual(same, expected)
      }),
    replays
  )

  it.effect.prop(
    "carried out again and again, it comes to rest with exactly the sizes",
    anyFacts,
    (any) =>
      Effect.sync(() => {
        const given = toFacts({ ...any, asked: [], slots: 2 })
        let waiting = given.waiting.filter(({ state }) => state !== "leaving")
        let { now: time, shortSince } = given
        let made = 0
        for (let round = 0; round < 200; round++) {
          const plan = poolPlan({ ...given, now: time, shortSince, waiting })
          const gone = new Set(plan.remove.map(({ pod }) => pod.uid))
          const fresh = plan.create.map((poolClass) =>
            pod(`new${made++}`, { poolClass, created: "9", firstSeen: time, existsSince: time })
          )
          const wait = gone.size > 0 || fresh.length > 0 ? 1 : (plan.again ?? Number.POSITIVE_INFINITY) - time
          // What would be renewed because of its age only is not waited for.
          if (wait > 300_000) break
          const ready = waiting.filter(({ uid }) => !gone.has(uid))
            .map((pod) => pod.state === "starting" ? { ...pod, state: "ready" as const } : pod)
          waiting = [...ready, ...fresh]
          time += wait
          shortSince = plan.shortSince
        }
        for (const [poolClass, size] of given.sizes) {
          assert.lengthOf(waiting.filter((pod) => pod.poolClass === poolClass), size)
        }
        assert.isAtMost(made, 4 + 4 + any.pods.length)
      }),
    replays
  )
})
