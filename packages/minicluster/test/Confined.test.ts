import { assert, it } from "@effect/vitest"
import { realpathSync } from "node:fs"
import { tmpdir } from "node:os"
import { confined } from "../src/runtime/Confined.ts"

it("the machine's own root confines nothing", () => {
  assert.strictEqual(confined("/", tmpdir(), "nothing"), realpathSync(tmpdir()))
})
