import { assert, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const read = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8")
const readme = read("../README.md")

it("README's example is a test that runs", () => {
  assert.include(readme, `\`\`\`ts\n${read("./Example.test.ts")}\`\`\`\n`)
})

it.live("README's plan of faults is one", () =>
  Effect.gen(function*() {
    const [, plan = ""] = /```json\n([^`]*)```/.exec(readme) ?? []
    yield* make({ faults: JSON.parse(plan) })
  }))

it("README's rows of what is as on Kubernetes name test files that exist", () => {
  const rows = readme.split("| As Kubernetes does | Tests |")[1]?.split("\n\n")[0]?.split("\n").slice(2) ?? []
  assert.isAbove(rows.length, 10)
  for (const row of rows) {
    const names = row.split("|").at(-2)?.split(",").map((name) => name.trim()) ?? []
    assert.isAbove(names.length, 0)
    for (const name of names) {
      const files = name === "Kubectl*" ? ["KubectlPods", "KubectlObjects"] : [name]
      for (const file of files) {
        assert.isTrue(existsSync(fileURLToPath(new URL(`${file}.test.ts`, import.meta.url))), file)
      }
    }
  }
})
