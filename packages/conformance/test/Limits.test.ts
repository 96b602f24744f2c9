import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/Service.ts"

describe("limits in time", () => {
  it.live(
    "end a connection on which nothing happens, and warn its terminals before",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { idleTimeout: "4s", warning: "2s" } })
        const shell = yield* service.script("exec script -qec 'TERM=dumb exec $SSH -tt' /dev/null", "open")
        yield* shell.stdoutMatch(/[$#] $/)
        yield* shell.stdoutMatch(/kuberun: [^\r]*ends in 2s/)
        // Whoever types then stays.
        yield* shell.write("echo st''ill here\n")
        yield* shell.stdoutMatch(/still here/)
        yield* shell.stdoutMatch(/kuberun: [^\r]*so this session ends\./)
        assert.strictEqual(yield* shell.exit, 255)
        yield* service.podsGone
      })),
    60_000
  )

  it.live(
    "end a connection, however busy it is, when its pod has lasted long enough",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { maxLifetime: "4s", warning: "2s" } })
        const { code, err } = yield* service.run("$SSH 'while :; do echo busy; sleep 0.2; done' > /dev/null")
        assert.strictEqual(code, 255)
        assert.match(err, /^kuberun: This session ends: 4s is all that it may last\.\n$/)
        yield* service.podsGone
      })),
    60_000
  )
})
