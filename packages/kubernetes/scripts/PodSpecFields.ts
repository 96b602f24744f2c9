/**
 * Writes `packages/kuberun/src/config/PodSpecFields.ts`: which fields a `PodSpec` and all that is in it have, as the models of
 * client-node say it, which are made from the API's OpenAPI document.
 *
 * The library may not know client-node, so that it holds the table as text. Run this after client-node was updated:
 *
 *     node --conditions=@kuberun/source packages/kubernetes/scripts/PodSpecFields.ts
 */
import { readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const require = createRequire(import.meta.url)
const models = join(dirname(require.resolve("@kubernetes/client-node")), "gen", "models")

/** The file that is written. */
export const tableFile = fileURLToPath(new URL("../../kuberun/src/config/PodSpecFields.ts", import.meta.url))

interface Attribute {
  readonly baseName: string
  readonly type: string
  readonly format: string
}

/** The fields that hold a quantity, or a map of them; the models call them text. */
const quantities: ReadonlySet<string> = new Set(["divisor", "limits", "overhead", "requests", "sizeLimit"])

const scalars: Readonly<Record<string, string>> = {
  boolean: "boolean",
  Date: "time",
  IntOrString: "intOrString",
  any: "any"
}

const typeOf = ({ baseName, format, type }: Attribute): string => {
  const [, list, inMap] = /^(?:Array<(.*)>|\{ \[key: string\]: (.*); \})$/.exec(type) ?? []
  if (list !== undefined) return `[]${typeOf({ baseName, format, type: list })}`
  if (inMap !== undefined) return `{}${typeOf({ baseName, format, type: inMap })}`
  if (type === "string") return quantities.has(baseName) ? "quantity" : format === "byte" ? "bytes" : "string"
  if (type === "number") return format === "" ? "number" : format
  return scalars[type] ?? type
}

/** The API's own name for a model: `V1Pod` is `Pod`, `CoreV1ResourceClaim` is `ResourceClaim`. */
const nameOf = (model: string): string => model.replace(/^(?:Core)?V1/, "")

const attributesOf = (model: string): ReadonlyArray<Attribute> => {
  const loaded = require(join(models, `${model}.js`)) as Record<string, { attributeTypeMap: ReadonlyArray<Attribute> }>
  const found = loaded[model]
  if (found === undefined) throw new Error(`client-node has no model ${model}`)
  return found.attributeTypeMap
}

/** The fields that the API asks for; only the models' declarations tell them. */
const requiredOf = (model: string): ReadonlySet<string> =>
  new Set(
    [...readFileSync(join(models, `${model}.d.ts`), "utf8").matchAll(/^ {4}'(\w+)': /gm)].map(([, name = ""]) => name)
  )

const modelIn = (type: string): string | undefined => /^(?:\[\]|\{\})*((?:Core)?V1\w+)$/.exec(type)?.[1]

const widest = 116

const lines = (model: string): { readonly text: string; readonly next: ReadonlyArray<string> } => {
  const required = requiredOf(model)
  const next: Array<string> = []
  const done: Array<string> = []
  let line = `${nameOf(model)}:`
  for (const attribute of attributesOf(model)) {
    const type = typeOf(attribute)
    const word = ` ${attribute.baseName}${required.has(attribute.baseName) ? "!" : ""}=${
      type.replace(/[A-Z]\w*$/, nameOf)
    }`
    const inside = modelIn(type)
    if (inside !== undefined) next.push(inside)
    if (line.length + word.length > widest) {
      done.push(line)
      line = " "
    }
    line += word
  }
  return { text: [...done, line].join("\n"), next }
}

/** The whole file's text. */
export const table = (): string => {
  const written = new Map<string, string>()
  const waiting = ["V1PodSpec"]
  for (let model = waiting.shift(); model !== undefined; model = waiting.shift()) {
    if (written.has(model)) continue
    const { next, text } = lines(model)
    written.set(model, text)
    waiting.push(...next)
  }
  return `/**
 * The fields of a \`PodSpec\` and of all that is in it. Written by \`packages/kubernetes/scripts/PodSpecFields.ts\` from the
 * models of client-node, which are made from the API's OpenAPI document; not to be changed by hand.
 *
 * A line begins with a type's name, and has a word for each field: its name, \`!\` where the API asks for it, and its type.
 * \`[]\` is a list, \`{}\` a map by name. Lines that begin with a blank go on with the type before.
 */
export const podSpecFields = \`
${[...written.values()].join("\n")}
\`
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(tableFile, table())
