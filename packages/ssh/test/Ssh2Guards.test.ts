import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { make } from "../src/index.ts"
import { hostKey } from "./TestServer.ts"

const require = createRequire(import.meta.url)

/** Changes a part of ssh2 for the length of the scope. */
const changed = (module: Record<string, unknown>, name: string, value: unknown) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = module[name]
      module[name] = value
      return before
    }),
    (before) => Effect.sync(() => module[name] = before)
  )

const attempt = Effect.scoped(make({ host: "127.0.0.1", port: 0, hostKeys: [hostKey.privateKey] }))

describe("another ssh2 than the verified one", () => {
  it.effect("is refused at the start, by its version", () =>
    Effect.gen(function*() {
      yield* changed(require("ssh2/package.json"), "version", "1.99.0")
      const error = yield* Effect.flip(attempt)
      assert.strictEqual(error.reason, "IncompatibleSsh2")
      assert.include(error.message, "ssh2 1.99.0 is installed")
      assert.include(error.message, "ssh2@1.17.0")
    }))

  it.effect("is refused at the start, by its shape", () =>
    Effect.gen(function*() {
      yield* changed(require("ssh2/lib/protocol/utils.js"), "sendPacket", () => {})
      assert.strictEqual((yield* Effect.flip(attempt)).reason, "IncompatibleSsh2")
    }))

  it.effect("is refused at the start, by its protocol's shape", () =>
    Effect.gen(function*() {
      yield* changed(require("ssh2/lib/protocol/Protocol.js").prototype, "_destruct", undefined)
      assert.strictEqual((yield* Effect.flip(attempt)).reason, "IncompatibleSsh2")
    }))
})
