import { assert, it } from "@effect/vitest"
import * as testkit from "@kuberun/testkit"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const read = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8")
const readme = read("../README.md")

for (
  const example of [
    "./Policy.test.ts",
    "./Property.test.ts",
    "./Cluster.test.ts",
    "../../service/test/RealClient.test.ts"
  ]
) {
  it(`README has ${example} as it is run`, () => assert.include(readme, `\`\`\`ts\n${read(example)}\`\`\`\n`))
}

it("README names everything that there is", () => {
  const named = [...readme.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  assert.deepStrictEqual(named, Object.keys(testkit).toSorted((one, other) => one < other ? -1 : 1))
})

it("is published, with what its README needs", () => {
  const manifest: unknown = JSON.parse(read("../package.json"))
  assert.notProperty(manifest, "private")
  assert.deepPropertyVal(manifest, "files", ["dist", "src", "README.md"])
})
