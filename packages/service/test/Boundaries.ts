/**
 * Who may import whom: the table of the packages, as data, and the function that compares sources with it.
 *
 * A package's `src` may name only what its row says. Tests may name more, but nobody reaches into another package's
 * files past its door, its `exports`.
 */

/** A row of the table: the packages of this house that may be imported, and the ones from outside. */
export interface Row {
  readonly inside: ReadonlyArray<string>
  readonly outside: ReadonlyArray<string>
  /** Whether Node's own modules may be imported. */
  readonly node: boolean
}

/** By npm name, from the ground up. */
export const table: Readonly<Record<string, Row>> = {
  "kuberun": { inside: [], outside: ["effect"], node: false },
  "@kuberun/kubernetes": {
    inside: ["kuberun"],
    outside: ["effect", "@kubernetes/client-node", "undici", "ws"],
    node: true
  },
  "@kuberun/ssh": { inside: ["kuberun"], outside: ["effect", "ssh2"], node: true },
  "@kuberun/minicluster": {
    inside: [],
    outside: [
      "effect",
      "@kubernetes/client-node",
      "@lydell/node-pty",
      "@peculiar/x509",
      "reflect-metadata",
      "rfc6902",
      "ws",
      "yaml"
    ],
    node: true
  },
  "@kuberun/service": {
    inside: ["kuberun", "@kuberun/kubernetes", "@kuberun/ssh", "@kuberun/minicluster"],
    outside: ["effect", "@effect/platform-node", "yaml"],
    node: true
  },
  "@kuberun/testkit": { inside: ["kuberun"], outside: ["effect"], node: true },
  "@kuberun/conformance": {
    inside: ["kuberun", "@kuberun/service", "@kuberun/testkit"],
    outside: ["effect"],
    node: true
  },
  "@kuberun/bench": {
    inside: ["@kuberun/minicluster", "@kuberun/service", "@kuberun/testkit"],
    outside: ["effect", "@effect/platform-node"],
    node: true
  }
}

/** One source file of a package. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** A package as it lies on disk. */
export interface PackageOnDisk {
  readonly name: string
  readonly dependencies: ReadonlyArray<string>
  readonly src: ReadonlyArray<SourceFile>
  readonly test: ReadonlyArray<SourceFile>
}

/** The modules that a source text imports, statically or lazily, and re-exports. */
export const importsOf = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  const statements = /^[ \t]*(?:import|export)\b(?:[^"';]*?\bfrom)?\s*"([^"]+)"/gm
  const calls = /\b(?:import|require|require\.resolve|import\.meta\.resolve)\(\s*"([^"]+)"/g
  for (const pattern of [statements, calls]) {
    for (const match of text.matchAll(pattern)) {
      if (match[1] !== undefined) found.push(match[1])
    }
  }
  return found
}

/** The npm package of a module name: `@a/b` of `@a/b/c`. */
const packageOf = (specifier: string): string =>
  specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")

const isOwnFile = (specifier: string): boolean => specifier.startsWith("./") || specifier.startsWith("../")

/** A relative import that leaves its own package: `../../other/src/File.ts`, seen from a file in `src` or `test`. */
const leavesPackage = (file: SourceFile, specifier: string): boolean => {
  const depth = file.path.split("/").length - 1
  return isOwnFile(specifier) && specifier.split("/").filter((part) => part === "..").length > depth
}

const srcViolation = (name: string, row: Row, specifier: string): string | undefined => {
  if (isOwnFile(specifier)) return undefined
  if (specifier.startsWith("node:")) return row.node ? undefined : "Node's modules are not for this package"
  const target = packageOf(specifier)
  if (target === name) return "a package does not import itself by name"
  if (target in table) return row.inside.includes(target) ? undefined : "not in its row of the table"
  return row.outside.includes(target) ? undefined : "not in its row of the table"
}

/** Names that Node puts into every module, as they stand in code: those that the web has too are nobody's affair. */
const nodeGlobals = /(?<![\w.$"'`/*])(Buffer|__dirname|__filename|global|require|setImmediate)\b(?=[.([])/

/** A global of Node's in a package that is to run anywhere. */
const globalViolations = (name: string, row: Row, file: SourceFile): ReadonlyArray<string> => {
  const [, found] = row.node ? [] : nodeGlobals.exec(file.text) ?? []
  return found === undefined ? [] : [`${name}: ${file.path} uses ${found}: Node's globals are not for this package`]
}

/** Every sentence that the table disagrees with; none when the house is in order. */
export const violations = (packages: ReadonlyArray<PackageOnDisk>): ReadonlyArray<string> =>
  packages.flatMap((one) => {
    const row = table[one.name]
    if (row === undefined) return [`${one.name} has no row in the table`]
    const allowed = new Set([...row.inside, ...row.outside])
    return [
      ...one.dependencies.filter((dependency) => !allowed.has(dependency)).map((dependency) =>
        `${one.name}: package.json depends on ${dependency}: not in its row of the table`
      ),
      ...one.src.flatMap((file) =>
        importsOf(file.text).flatMap((specifier) => {
          const reason = srcViolation(one.name, row, specifier)
          return reason === undefined ? [] : [`${one.name}: ${file.path} imports ${specifier}: ${reason}`]
        })
      ),
      ...one.src.flatMap((file) => globalViolations(one.name, row, file)),
      ...[...one.src, ...one.test].flatMap((file) =>
        importsOf(file.text).filter((specifier) =>
          leavesPackage(file, specifier) || (packageOf(specifier) in table && specifier !== packageOf(specifier))
        ).map((specifier) => `${one.name}: ${file.path} imports ${specifier}: past that package's door`)
      )
    ]
  })
