import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PodLedger from "../src/pod/PodLedger.ts"

it.effect("of pods left behind the last thousand are remembered", () =>
  Effect.gen(function*() {
    const { onLeftBehind, pods } = yield* PodLedger.make
    for (let place = 0; place < 1001; place++) yield* onLeftBehind({ namespace: "default", name: `pod-${place}` })
    const left = yield* pods
    assert.lengthOf(left, 1000)
    assert.deepStrictEqual(left.at(-1), { namespace: "default", name: "pod-1000" })
  }))
