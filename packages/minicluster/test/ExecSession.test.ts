import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { detectIsolation } from "../src/runtime/Isolation.ts"
import { started, textOf } from "./support/Container.ts"

describe("a program executed in a container", () => {
  for (const withNamespaces of [true, false]) {
    for (const terminal of [undefined, { width: 80, height: 24 }]) {
      const how = `namespaces: ${withNamespaces}, terminal: ${terminal !== undefined}`
      it.live(`leads a session and a process group of its own, as with runc (${how})`, () =>
        Effect.gen(function*() {
          if (withNamespaces && (yield* detectIsolation(true))._tag !== "Namespaces") return
          const container = yield* started({ command: ["sleep", "1000"] }, {}, withNamespaces)
          const text = yield* Effect.scoped(Effect.gen(function*() {
            const program = yield* container.exec({
              argv: ["sh", "-c", "read -r line </proc/self/stat; echo \"$$ $line\""],
              stdin: false,
              stdout: true,
              stderr: false,
              terminal
            })
            return yield* textOf(program.stdout)
          }))
          const [self, pid, , , , group, session, device] = text.split(" ")
          assert.deepStrictEqual([pid, group, session], [self, self, self])
          assert.strictEqual(device !== "0", terminal !== undefined)
        }))
    }
  }
})
