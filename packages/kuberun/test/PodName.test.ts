import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { persistentPodName, userClaimName, userPodName } from "../src/template/PodName.ts"
import { isDnsLabel } from "../src/template/SafeText.ts"
import { config, nastyText, owner } from "./TemplateDriver.ts"

describe("the name of a user's pod, and of their claim", () => {
  it.effect.prop(
    "is a DNS label with the prefix, and no other user's or installation's",
    { left: nastyText, right: nastyText, prefix: Schema.String.check(Schema.isPattern(/^[a-z0-9][-a-z0-9]{0,39}$/)) },
    ({ left, prefix, right }) =>
      Effect.gen(function*() {
        const settings = yield* config({ namePrefix: prefix })
        const other = yield* config({ namePrefix: prefix }, "other")
        const own = userPodName(settings, left)
        assert.isTrue(isDnsLabel(own), own)
        assert.isTrue(own.startsWith(prefix))
        assert.isTrue(isDnsLabel(userClaimName(settings, left)))
        for (const user of [right, own, own.slice(prefix.length), left.toUpperCase(), left.toLowerCase(), `${left}-`]) {
          if (user === left) continue
          assert.notStrictEqual(userPodName(settings, user), own)
          assert.notStrictEqual(userClaimName(settings, user), userClaimName(settings, left))
        }
        assert.notStrictEqual(userPodName(other, left), own)
        assert.notStrictEqual(userClaimName(other, left), userClaimName(settings, left))
        assert.strictEqual(userPodName(yield* config({ namePrefix: prefix }), left), own)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect("shows who the user is, and the claim's is another's affair than the pod's", () =>
    Effect.gen(function*() {
      const settings = yield* config({ namePrefix: "desk-" })
      assert.match(userPodName(settings, "alice"), /^desk-alice-[a-z0-9]{20}$/)
      assert.strictEqual(userClaimName(yield* config(), "alice"), userClaimName(settings, "alice"))
      assert.match(userPodName(settings, "@alice@"), /^desk-alice-[a-z0-9]{20}$/)
      assert.match(userPodName(settings, ""), /^desk-x-[a-z0-9]{20}$/)
    }))

  it.effect("of mode persistent is what the configuration says", () =>
    Effect.gen(function*() {
      const settings = yield* config({ mode: "persistent", name: "desk-{{username}}" })
      assert.strictEqual(persistentPodName(settings, { ...owner, username: "alice" }), "desk-alice")
      assert.match(persistentPodName(settings, { ...owner, username: "Alice" }), /^desk-alice-[a-z0-9]{20}$/)
    }))
})
