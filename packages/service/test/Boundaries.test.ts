import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { importsOf, type PackageOnDisk, type SourceFile, table, violations } from "./Boundaries.ts"

const packagesFolder = fileURLToPath(new URL("../..", import.meta.url))

const filesUnder = (root: string, folder: string): ReadonlyArray<SourceFile> =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => /\.(ts|mts|mjs)$/.test(path))
      .map((path) => ({ path: join(folder, path), text: readFileSync(join(root, folder, path), "utf8") }))
    : []

const packagesOnDisk = (): ReadonlyArray<PackageOnDisk> =>
  readdirSync(packagesFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(packagesFolder, entry.name, "package.json")))
    .map((entry) => {
      const root = join(packagesFolder, entry.name)
      const manifest: { readonly name: string; readonly dependencies?: Record<string, string> } = JSON.parse(
        readFileSync(join(root, "package.json"), "utf8")
      )
      return {
        name: manifest.name,
        dependencies: Object.keys(manifest.dependencies ?? {}),
        src: filesUnder(root, "src"),
        test: filesUnder(root, "test")
      }
    })

const library = (text: string): PackageOnDisk => ({
  name: "kuberun",
  dependencies: ["effect"],
  src: [{ path: "src/Pod.ts", text }],
  test: []
})

describe("who may import whom", () => {
  it("every package of the house keeps to its row of the table", () => {
    const packages = packagesOnDisk()
    assert.isAtLeast(packages.length, 7)
    assert.deepStrictEqual(violations(packages), [])
  })

  it("sees static, lazy, type-only and re-exporting imports, on one line and over several", () => {
    const text = [
      `import "a"`,
      `import { b } from "b"`,
      `import type {`,
      `  C`,
      `} from "c"`,
      `export * from "d"`,
      `const e = () => import("e")`,
      `/** not an import from "f" */`
    ].join("\n")
    assert.deepStrictEqual([...importsOf(text)].toSorted(), ["a", "b", "c", "d", "e"])
  })

  it("refuses an adapter, a Node module and a stranger in the library", () => {
    for (const specifier of ["@kuberun/ssh", "node:fs", "ssh2", "@effect/platform-node"]) {
      assert.lengthOf(violations([library(`import { x } from "${specifier}"`)]), 1, specifier)
    }
    assert.deepStrictEqual(violations([library(`import { Effect } from "effect"\nimport { y } from "./Y.ts"`)]), [])
  })

  it("refuses a global of Node's in the library", () => {
    for (const text of ["const a = Buffer.from(b)", "return Buffer.concat([a])", "setImmediate(f)", "require('fs')"]) {
      assert.lengthOf(violations([library(text)]), 1, text)
    }
    assert.deepStrictEqual(violations([library("const view = new ArrayBuffer(8)\n// Buffers are bounded")]), [])
  })

  it("refuses one adapter in another, and service below the service", () => {
    const imports = (name: string, specifier: string) =>
      violations([{
        name,
        dependencies: [],
        src: [{ path: "src/A.ts", text: `import { a } from "${specifier}"` }],
        test: []
      }])
    const adapters = ["@kuberun/ssh", "@kuberun/kubernetes", "@kuberun/minicluster"]
    for (const adapter of adapters) {
      for (const other of [...adapters, "@kuberun/service"]) assert.lengthOf(imports(adapter, other), 1)
    }
  })

  it("refuses a reach past another package's door, also from tests", () => {
    for (const specifier of ["../../ssh/src/Server.ts", "kuberun/src/Pod.ts"]) {
      const found = violations([{
        name: "@kuberun/testkit",
        dependencies: [],
        src: [],
        test: [{ path: "test/A.test.ts", text: `import { a } from "${specifier}"` }]
      }])
      assert.lengthOf(found, 1, specifier)
    }
  })

  it("refuses a dependency outside the row, and a package without a row", () => {
    assert.lengthOf(violations([{ ...library(""), dependencies: ["effect", "ssh2"] }]), 1)
    assert.lengthOf(violations([{ ...library(""), name: "@kuberun/unknown" }]), 1)
  })

  it("the table has no way round: inside imports only go down", () => {
    const depth = (name: string): number => 1 + Math.max(0, ...(table[name]?.inside ?? []).map((below) => depth(below)))
    for (const [name, row] of Object.entries(table)) {
      for (const below of row.inside) assert.isBelow(depth(below), depth(name))
    }
  })
})
