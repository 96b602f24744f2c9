import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually, start } from "./support/Service.ts"

describe("a pod", () => {
  it.live(
    "is there for a connection without any session, and leaves with it",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start()
        const idle = yield* service.script("exec $SSH -N")
        assert.lengthOf(yield* eventually(service.pods, (pods) => pods[0]?.phase === "Running"), 1)
        yield* idle.signal("SIGKILL")
        yield* service.podsGone
      })),
    60_000
  )
})
