/**
 * What is wrong with a `podSpec` as far as fields and types go: a field that the API does not know, a value of another
 * type, one that is missing. Pure. What the values mean, the API server knows.
 *
 * The fields are those of the API that `PodSpecFields.ts` was made from; one that only a newer cluster has is refused.
 * As for the API server, `null` is a field that is not there.
 */
import { isDnsLabel } from "../template/SafeText.ts"
import type { ConfigPath } from "../template/TemplatePlaces.ts"
import { isFields } from "../template/TemplatePlaces.ts"
import { type FieldType, podSpecTypes, type Scalar } from "./PodSpecTypes.ts"

/** One fault; `path` begins below `podSpec`, and `message` fits behind it. */
export interface PodSpecFault {
  readonly path: ConfigPath
  readonly message: string
}

/** What a name of a container must be. */
const dnsLabelExpected = "expected 1 to 63 lower-case letters, digits or dashes, with a letter or digit at both ends"

export const missing = "is missing"
export const unknownKey = "is not a key that is known"

/** How many letters are to be added, taken away or changed to make one text the other. */
const distance = (left: string, right: string): number => {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const next = [i]
    for (let j = 1; j <= right.length; j++) {
      const same = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min(same, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[right.length] ?? 0
}

/** The known name that an unknown one was probably meant to be. */
const nearest = (name: string, known: Iterable<string>): string | undefined => {
  const limit = Math.min(2, Math.floor(name.length / 3))
  let best: { readonly name: string; readonly far: number } | undefined
  // Names of any length may be asked for.
  for (const candidate of name.length > 64 ? [] : known) {
    const far = distance(name.toLowerCase(), candidate.toLowerCase())
    if (far <= limit && far < (best?.far ?? Infinity)) best = { name: candidate, far }
  }
  return best?.name
}

const unknownField = (name: string, known: ReadonlyArray<string>): string => {
  const meant = nearest(name, known)
  return meant === undefined
    ? `${unknownKey}; allowed here: ${known.join(", ")}`
    : `${unknownKey}; did you mean ${meant}?`
}

const integer = (limit: number) => (value: unknown) =>
  Number.isInteger(value) && Math.abs(Number(value)) <= limit ? undefined : "expected an integer"

const isText = (value: unknown) => typeof value === "string" ? undefined : "expected string"

/** `resource.Quantity`'s notation (`apimachinery/pkg/api/resource`). */
const quantity = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$/

const scalarFault: Readonly<Record<Scalar, (value: unknown) => string | undefined>> = {
  string: isText,
  bytes: isText,
  time: isText,
  boolean: (value) => typeof value === "boolean" ? undefined : "expected boolean",
  int32: integer(2 ** 31),
  int64: integer(Number.MAX_SAFE_INTEGER),
  number: (value) => Number.isFinite(value) ? undefined : "expected a number",
  quantity: (value) =>
    (typeof value === "number" || typeof value === "string") && quantity.test(String(value))
      ? undefined
      : `expected a quantity such as 500m, 2 or "1Gi"`,
  intOrString: (value) =>
    typeof value === "string" || Number.isInteger(value) ? undefined : "expected an integer or a string",
  any: () => undefined
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null

const objectFaults = (name: string, value: unknown, path: ConfigPath): ReadonlyArray<PodSpecFault> => {
  if (!isFields(value)) return [{ path, message: "expected object" }]
  const fields = podSpecTypes.get(name) ?? new Map()
  return [
    ...Object.entries(value).flatMap(([key, item]) => {
      const at = [...path, key]
      const field = fields.get(key)
      if (field === undefined) return [{ path: at, message: unknownField(key, [...fields.keys()]) }]
      return isAbsent(item) ? [] : faultsOf(field.type, item, at)
    }),
    ...[...fields].flatMap(([key, { required }]) =>
      required && (!Object.hasOwn(value, key) || isAbsent(value[key]))
        ? [{ path: [...path, key], message: missing }]
        : []
    )
  ]
}

const faultsOf = (type: FieldType, value: unknown, path: ConfigPath): ReadonlyArray<PodSpecFault> => {
  switch (type._tag) {
    case "Scalar": {
      const message = scalarFault[type.name](value)
      return message === undefined ? [] : [{ path, message }]
    }
    case "List":
      return Array.isArray(value)
        ? value.flatMap((item, index) => faultsOf(type.of, item, [...path, index]))
        : [{ path, message: "expected array" }]
    case "Map":
      return isFields(value)
        ? Object.entries(value).flatMap(([key, item]) => faultsOf(type.of, item, [...path, key]))
        : [{ path, message: "expected object" }]
    case "Object":
      return objectFaults(type.name, value, path)
  }
}

/** Names of containers: the library finds them by these. */
const nameFaults = (spec: unknown): ReadonlyArray<PodSpecFault> => {
  if (!isFields(spec)) return []
  const taken = new Set<string>()
  return ["initContainers", "containers"].flatMap((list) => {
    const containers = spec[list]
    return !Array.isArray(containers) ? [] : containers.flatMap((container: unknown, index) => {
      const name = isFields(container) ? container["name"] : undefined
      if (typeof name !== "string") return []
      const path = [list, index, "name"]
      if (!isDnsLabel(name)) return [{ path, message: dnsLabelExpected }]
      if (taken.has(name)) return [{ path, message: "expected a name that no other container has" }]
      taken.add(name)
      return []
    })
  })
}

/** All faults of a `podSpec`, in its own order. */
export const podSpecFaults = (spec: unknown): ReadonlyArray<PodSpecFault> => [
  ...objectFaults("PodSpec", spec, []),
  ...nameFaults(spec),
  ...isFields(spec) && Array.isArray(spec["containers"]) && spec["containers"].length === 0
    ? [{ path: ["containers"], message: "expected at least one container" }]
    : []
]
