/**
 * The places of a `podSpec` in which placeholders may stand. Pure.
 */
import type { Container, PodSpec } from "../ports/Pod.ts"

/** The value of a variable, the part of a volume that is mounted, the claim of a volume. */
export type TemplatePlace = "env" | "subPath" | "claimName"

/** The name of the volume by which a user's own claim is in their pod (`pod.claim`). */
export const claimVolume = "kuberun-claim"

/** Where something stands in the configuration, from `pod` on: `["podSpec", "containers", 0, "name"]`. */
export type ConfigPath = ReadonlyArray<string | number>

export type Fields = Readonly<Record<string, unknown>>

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Says what stands in a place from now on. */
type Change = (text: string, place: TemplatePlace, path: ConfigPath) => string

/** Changes the maps in the list that stands under `key`, if it is one. What is no map is left for the API server. */
const inList = <A extends Fields>(
  parent: A,
  key: string,
  path: ConfigPath,
  change: (item: Fields, path: ConfigPath) => Fields
): A => {
  const list = parent[key]
  return Array.isArray(list)
    ? { ...parent, [key]: list.map((item, index) => isFields(item) ? change(item, [...path, key, index]) : item) }
    : parent
}

const inText = (parent: Fields, key: string, place: TemplatePlace, path: ConfigPath, change: Change): Fields => {
  const text = parent[key]
  return typeof text === "string" ? { ...parent, [key]: change(text, place, [...path, key]) } : parent
}

const inContainer = <A extends Fields>(container: A, path: ConfigPath, change: Change): A =>
  inList(
    inList(container, "env", path, (variable, at) => inText(variable, "value", "env", at, change)),
    "volumeMounts",
    path,
    (mount, at) => inText(mount, "subPath", "subPath", at, change)
  )

/** The same spec, with what `change` answers in each of the places. */
export const mapPlaces = (spec: PodSpec, change: Change): PodSpec => {
  const root: ConfigPath = ["podSpec"]
  const containers = spec.containers.map((container, index): Container =>
    inContainer(container, [...root, "containers", index], change)
  )
  const withInit = inList<PodSpec>(
    { ...spec, containers },
    "initContainers",
    root,
    (container, at) => inContainer(container, at, change)
  )
  return inList(withInit, "volumes", root, (volume, at) =>
    isFields(volume.persistentVolumeClaim)
      ? {
        ...volume,
        persistentVolumeClaim: inText(
          volume.persistentVolumeClaim,
          "claimName",
          "claimName",
          [...at, "persistentVolumeClaim"],
          change
        )
      }
      : volume)
}
