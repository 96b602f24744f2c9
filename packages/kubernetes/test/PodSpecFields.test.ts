import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { table, tableFile } from "../scripts/PodSpecFields.ts"

describe("the library's table of the fields of a pod", () => {
  it("is what the installed models of client-node say", () => {
    assert.strictEqual(
      readFileSync(tableFile, "utf8"),
      table(),
      "write it anew: node --conditions=@kuberun/source packages/kubernetes/scripts/PodSpecFields.ts"
    )
  })
})
