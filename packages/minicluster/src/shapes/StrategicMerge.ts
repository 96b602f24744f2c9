/**
 * Strategic merge patch: a merge patch that knows which lists are maps in truth.
 *
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { Data } from "effect"
import { type Fields as Json, isRecord, listOf } from "./Json.ts"

/** A patch that says something impossible. */
export class PatchError extends Data.TaggedError("PatchError")<{ readonly message: string }> {}

/** By a list's name, the field that tells its elements apart: `patchMergeKey` in the API's Go types. */
const mergeKeys: Readonly<Record<string, string>> = {
  addresses: "type",
  conditions: "type",
  containers: "name",
  env: "name",
  ephemeralContainers: "name",
  hostAliases: "ip",
  hostIPs: "ip",
  imagePullSecrets: "name",
  initContainers: "name",
  ownerReferences: "uid",
  podIPs: "ip",
  ports: "containerPort",
  resourceClaims: "name",
  schedulingGates: "name",
  secrets: "name",
  topologySpreadConstraints: "topologyKey",
  volumeDevices: "devicePath",
  volumeMounts: "mountPath",
  volumes: "name"
}
/** The lists of texts that are sets. */
const sets = new Set(["finalizers", "podCIDRs"])

type List = ReadonlyArray<unknown>
/** What tells an element apart, as text. */
const identify = (key: string) => (element: unknown): string =>
  JSON.stringify(isRecord(element) ? element[key] : element) ?? ""
const placesOf = (list: List, key: string): ReadonlyMap<string, number> => {
  const places = new Map<string, number>()
  for (const [at, id] of list.map(identify(key)).entries()) if (!places.has(id)) places.set(id, at)
  return places
}

/** The elements that `order` names stand in its order; the others stay behind those that they stood behind `before`. */
const ordered = (elements: List, before: List, order: List, key: string): List => {
  const wanted = placesOf(order, key)
  const previous = placesOf(before, key)
  const place = (places: ReadonlyMap<string, number>, element: unknown) => places.get(identify(key)(element)) ?? -1
  const named = elements.filter((element) => place(wanted, element) >= 0)
    .toSorted((one, other) => place(wanted, one) - place(wanted, other))
  const others = elements.filter((element) => place(wanted, element) < 0)
  let next = 0
  const merged = named.flatMap((element) => {
    const from = next
    while (next < others.length && place(previous, others[next]) < place(previous, element)) next++
    return [...others.slice(from, next), element]
  })
  return [...merged, ...others.slice(next)]
}

const mergeList = (before: List, patch: ReadonlyArray<Json>, key: string): List => {
  const isMark = (element: Json) => element["$patch"] === "replace"
  const result: Array<unknown> = patch.some(isMark) ? [] : [...before]
  const places = new Map(placesOf(result, key))
  const deleted = new Set<number>()
  for (const element of patch.filter((one) => !isMark(one))) {
    if (element[key] === undefined) {
      throw new PatchError({ message: `map: ${JSON.stringify(element)} does not contain declared merge key: ${key}` })
    }
    const id = identify(key)(element)
    const at = places.get(id)
    if (element["$patch"] === "delete") {
      if (at !== undefined) deleted.add(at)
    } else if (at === undefined) places.set(id, result.push(strategicMerge({}, element)) - 1)
    else result[at] = strategicMerge(result[at], element)
  }
  return result.filter((_, at) => !deleted.has(at))
}

const mergeValue = (name: string, before: unknown, patch: unknown): unknown => {
  if (!Array.isArray(patch)) return strategicMerge(before, patch)
  const key = mergeKeys[name]
  if (sets.has(name)) return [...new Set([...listOf(before), ...patch])]
  return key !== undefined && patch.every(isRecord) ? mergeList(listOf(before), patch, key) : patch
}

/** The lists that only directives beside them speak of: `$setElementOrder/NAME`, `$deleteFromPrimitiveList/NAME`. */
const directive = (patch: Json, word: string): ReadonlyArray<readonly [name: string, value: List]> =>
  Object.entries(patch).flatMap(([field, value]) =>
    field.startsWith(`$${word}/`) ? [[field.slice(word.length + 2), listOf(value)] as const] : []
  )

/** `patch` laid over `target`. Null removes; a list without a key replaces; the patch's directives are followed. */
export const strategicMerge = (target: unknown, patch: unknown): unknown => {
  if (!isRecord(patch)) return patch
  const { $patch: how, $retainKeys: retained } = patch
  if (how !== undefined && how !== "delete" && how !== "merge" && how !== "replace") {
    throw new PatchError({ message: `Unknown patch type ${JSON.stringify(how)} found` })
  }
  if (how === "delete") return {}
  const before = how !== "replace" && isRecord(target) ? target : {}
  const kept = Array.isArray(retained)
    ? Object.entries(before).filter(([name]) => retained.includes(name))
    : Object.entries(before)
  const result = new Map(kept)
  for (const [name, gone] of directive(patch, "deleteFromPrimitiveList")) {
    const without = new Set(gone)
    result.set(name, listOf(result.get(name)).filter((one) => !without.has(one)))
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith("$")) continue
    if (value === null) result.delete(name)
    else result.set(name, mergeValue(name, result.get(name), value))
  }
  for (const [name, order] of directive(patch, "setElementOrder")) {
    const list = result.get(name)
    if (Array.isArray(list)) result.set(name, ordered(list, listOf(before[name]), order, mergeKeys[name] ?? ""))
  }
  return Object.fromEntries(result)
}
