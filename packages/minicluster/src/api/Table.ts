/** `meta.k8s.io/v1 Table`: the columns that kubectl prints, computed by the server. */
import { type KubeObject } from "../shapes/Objects.ts"
import { type Resource } from "../shapes/Resources.ts"
import { printers } from "./Printers.ts"

/** Each row carries the object's metadata, unless `includeObject` asks for all of it or for none. */
const carried = (object: KubeObject, withObject: string | null): object | null => {
  if (withObject === "Object") return object
  if (withObject === "None") return null
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata }
}

/** `withObject` is the query's `includeObject`. */
export const table = (
  resource: Resource,
  objects: ReadonlyArray<KubeObject>,
  options: {
    readonly version: string
    readonly now: number
    readonly columns: boolean
    readonly withObject: string | null
  }
): object => {
  const { cells, columns } = printers[resource]
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: options.version },
    columnDefinitions: options.columns ? columns : [],
    rows: objects.map((object) => ({
      cells: cells(object, options.now),
      object: carried(object, options.withObject)
    }))
  }
}

/** Whether the client's first choice is a table. */
export const wantsTable = (accept: string): boolean => /^\s*application\/json\s*;[^,]*as=Table/.test(accept)
