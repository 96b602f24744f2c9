/**
 * The types of the Kubernetes API below a `PodSpec`, read from the table in `PodSpecFields.ts`. Pure.
 */
import { podSpecFields } from "./PodSpecFields.ts"

/** Types whose values are no lists and no maps. `quantity` and `intOrString` may be numbers or texts. */
export type Scalar =
  | "string"
  | "boolean"
  | "int32"
  | "int64"
  | "number"
  | "time"
  | "bytes"
  | "quantity"
  | "intOrString"
  | "any"

/** A type of the API. `Object` is one with fields of its own, by its name. */
export type FieldType =
  | { readonly _tag: "Scalar"; readonly name: Scalar }
  | { readonly _tag: "List"; readonly of: FieldType }
  | { readonly _tag: "Map"; readonly of: FieldType }
  | { readonly _tag: "Object"; readonly name: string }

export interface Field {
  readonly type: FieldType
  /** The API asks for it. */
  readonly required: boolean
}

export type FieldsOfType = ReadonlyMap<string, Field>

const scalars: ReadonlySet<string> = new Set<Scalar>([
  "string",
  "boolean",
  "int32",
  "int64",
  "number",
  "time",
  "bytes",
  "quantity",
  "intOrString",
  "any"
])

const isScalar = (name: string): name is Scalar => scalars.has(name)

const readType = (text: string): FieldType =>
  text.startsWith("[]")
    ? { _tag: "List", of: readType(text.slice(2)) }
    : text.startsWith("{}")
    ? { _tag: "Map", of: readType(text.slice(2)) }
    : isScalar(text)
    ? { _tag: "Scalar", name: text }
    : { _tag: "Object", name: text }

const readFields = (words: string): FieldsOfType =>
  new Map([...words.matchAll(/(\w+)(!?)=(\S+)/g)].map(([, name = "", mark, type = ""]) => [
    name,
    { type: readType(type), required: mark === "!" }
  ]))

/** All types with fields of their own, by name. */
export const podSpecTypes: ReadonlyMap<string, FieldsOfType> = new Map(
  podSpecFields.trim().split(/\n(?! )/).map((line) => {
    const [name = "", words = ""] = line.split(":")
    return [name, readFields(words)]
  })
)
