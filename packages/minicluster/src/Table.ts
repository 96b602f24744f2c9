/** `meta.k8s.io/v1 Table`: the columns that kubectl prints, computed by the server. */
import { type KubeObject } from "./Objects.ts"
import { printers } from "./Printers.ts"
import { type Resource } from "./Resources.ts"

/** `withObject` is the query's `includeObject`: each row carries the metadata unless it asks for more or for none. */
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
      object: options.withObject === "Object"
        ? object
        : { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata }
    }))
  }
}

/** Whether the client's first choice is a table. */
export const wantsTable = (accept: string): boolean => /^\s*application\/json\s*;[^,]*as=Table/.test(accept)
