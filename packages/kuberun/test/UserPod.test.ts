import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { defaultConfig, type Pod } from "kuberun"
import {
  holderKey,
  holdersOf,
  holderValue,
  holdPatch,
  isHeldBy,
  releaseOf,
  releasePatch
} from "../src/modes/Holders.ts"
import { nextStep, userPodLabels } from "../src/modes/UserPod.ts"

const pod = (annotations: Readonly<Record<string, string>>, rest: Partial<Pod> = {}): Pod => ({
  metadata: {
    name: "p",
    namespace: "default",
    uid: "u",
    labels: userPodLabels(defaultConfig),
    annotations: { containerssh_username: "alice", ...annotations }
  },
  ...rest
})

const wish = { username: "alice", container: "shell", key: holderKey("c1"), value: "r1" }
const next = (found: Pod | undefined) => nextStep(defaultConfig, found, wish)
const waitingFor = (reason: string): Partial<Pod> => ({
  status: {
    phase: "Pending",
    containerStatuses: [{ name: "shell", state: { waiting: { reason, message: "no" } } }]
  }
})

describe("what to do about a user's pod", () => {
  it("makes, holds, keeps, waits, replaces or refuses, by what is found", () => {
    assert.strictEqual(next(undefined), "Create")
    assert.strictEqual(next(pod({})), "Hold")
    assert.strictEqual(next(pod({ "holder.kuberun.dev/c1": "r1" })), "Held")
    // Ours, but not as it has to be now: it is written anew.
    assert.strictEqual(next(pod({ "holder.kuberun.dev/c1": "r1 (without a Lease)" })), "Hold")
    assert.strictEqual(next(pod({ "holder.kuberun.dev/c1": "r2" })), "Hold")
    const going = pod({ "holder.kuberun.dev/c1": "r1" })
    assert.strictEqual(next({ ...going, metadata: { ...going.metadata, deletionTimestamp: "now" } }), "Wait")
    assert.strictEqual(next(pod({ "holder.kuberun.dev/c2": "r2" }, { status: { phase: "Succeeded" } })), "Replace")
  })

  it("replaces a pod with a fault where nobody waits for it, and joins those who do", () => {
    for (const reason of ["ErrImagePull", "InvalidImageName", "CrashLoopBackOff"]) {
      assert.strictEqual(next(pod({}, waitingFor(reason))), "Replace", reason)
      assert.strictEqual(next(pod({ "holder.kuberun.dev/c2": "r2" }, waitingFor(reason))), "Hold", reason)
    }
    assert.strictEqual(next(pod({}, waitingFor("ContainerCreating"))), "Hold")
  })

  it("refuses a pod of another user, installation or mode, or one that has no mark of ours", () => {
    assert.strictEqual(next(pod({ containerssh_username: "Alice" })), "Refuse")
    for (const key of Object.keys(userPodLabels(defaultConfig))) {
      const found = pod({})
      assert.strictEqual(
        next({ ...found, metadata: { ...found.metadata, labels: { ...found.metadata.labels, [key]: "other" } } }),
        "Refuse"
      )
    }
    assert.strictEqual(next({ metadata: { name: "p", namespace: "default" } }), "Refuse")
  })
})

describe("holders", () => {
  it.effect.prop(
    "a hold that was written is read, by its replica and nobody else, and is gone after its release",
    { connectionId: Schema.String, other: Schema.String, leased: Schema.Boolean },
    ({ connectionId, leased, other }) =>
      Effect.sync(() => {
        const key = holderKey(connectionId)
        assert.match(key, /^holder\.kuberun\.dev\/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/)
        assert.isTrue(key !== holderKey(other) || connectionId === other || [connectionId, other].includes(""))
        const value = holderValue("r1", leased)
        assert.deepStrictEqual(holdPatch(key, value).annotations, { [key]: value })
        const held = pod({ [key]: value })
        assert.deepStrictEqual(holdersOf(held), [{ key, replica: "r1", leased }])
        assert.isTrue(isHeldBy(held, key, "r1"))
        assert.isFalse(isHeldBy(held, key, "r2"))
        const { annotations } = releasePatch([key], "r1-7")
        assert.deepStrictEqual(annotations, { [key]: null, "kuberun.dev/released": "r1-7" })
      }),
    { arbitrary: { runs: 300 } }
  )

  it("are in another state after every release", () => {
    const states = [pod({}), pod({ "kuberun.dev/released": "r1-1" }), pod({ "kuberun.dev/released": "r1-2" })]
    assert.strictEqual(new Set(states.map(releaseOf)).size, 3)
    assert.strictEqual(releaseOf(pod({ unrelated: "x" })), releaseOf(pod({})))
  })
})
