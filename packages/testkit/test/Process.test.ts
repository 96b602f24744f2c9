import { assert, describe, it } from "@effect/vitest"
import { Process } from "@kuberun/testkit"
import { Effect } from "effect"
import { tmpdir } from "node:os"

describe("a process", () => {
  it.live("that cannot be started has ended, and says why", () =>
    Effect.gen(function*() {
      const running = yield* Process.start("kuberun-no-such-program", [], { cwd: tmpdir() })
      assert.notStrictEqual(yield* running.exit, 0)
      assert.match(yield* running.stderr, /kuberun-no-such-program.*ENOENT/)
    }))
})
