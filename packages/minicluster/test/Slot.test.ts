import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { backOff, noBackOff, restarts } from "../src/node/Slot.ts"

it.effect.prop(
  "restarts come at once, then after 10 s, doubled up to 5 minutes; a run of more than 10 minutes clears it",
  {
    runs: Schema.Array(Schema.Literals([0, 30, 599, 600, 601, 5000])).check(Schema.isMaxLength(12))
  },
  ({ runs }) =>
    Effect.sync(() => {
      let pause = noBackOff
      runs.forEach((seconds, index) => {
        pause = backOff(pause, seconds)
        // How many attempts there were since, and with, the last that counts as the first.
        const failures = index - Math.max(0, runs.slice(0, index + 1).findLastIndex((run) => run > 600))
        assert.strictEqual(pause.wait, failures === 0 ? 0 : Math.min(300, 10 * 2 ** (failures - 1)))
      })
    })
)

it("a container's restart policy is the pod's, save for init, sidecar and ephemeral containers", () => {
  const table = (["main", "init", "sidecar", "ephemeral"] as const).map((role) =>
    ["Always", "OnFailure", "Never"].map((policy) =>
      [0, 1].map((code) => restarts(role, policy, code) ? "again" : "end")
    )
  )
  assert.deepStrictEqual(table, [
    [["again", "again"], ["end", "again"], ["end", "end"]],
    [["end", "again"], ["end", "again"], ["end", "end"]],
    [["again", "again"], ["again", "again"], ["again", "again"]],
    [["end", "end"], ["end", "end"], ["end", "end"]]
  ])
})
