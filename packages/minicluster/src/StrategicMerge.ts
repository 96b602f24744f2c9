/**
 * Strategic merge patch: a merge patch that knows which lists are maps in truth.
 *
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { Data } from "effect"
import { isDeepStrictEqual } from "node:util"
import { isRecord } from "./Schemas.ts"

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

type Json = Readonly<Record<string, unknown>>
type List = ReadonlyArray<unknown>
const listOf = (value: unknown): List => Array.isArray(value) ? value : []
const keyOf = (element: unknown, key: string): unknown => isRecord(element) ? element[key] : element

/** `before` of the server's own elements stand where they stood; those that `order` names stand in its order. */
const ordered = (elements: List, before: List, order: List, key: string): List => {
  const place = (list: List, element: unknown) =>
    list.findIndex((one) => isDeepStrictEqual(keyOf(one, key), keyOf(element, key)))
  const isNamed = (element: unknown) => place(order, element) >= 0
  const named = elements.filter(isNamed).toSorted((one, other) => place(order, one) - place(order, other))
  const others = elements.filter((element) => !isNamed(element))
  const merged: Array<unknown> = []
  for (const element of named) {
    const at = place(before, element)
    while (others.length > 0 && place(before, others[0]) < at) merged.push(others.shift())
    merged.push(element)
  }
  return [...merged, ...others]
}

const mergeList = (before: List, patch: List, key: string): List => {
  if (patch.some((element) => isRecord(element) && element["$patch"] === "replace")) {
    return patch.filter((element) => isRecord(element) && element["$patch"] !== "replace").map((one) =>
      strategicMerge({}, one)
    )
  }
  let result = before
  for (const element of patch) {
    if (!isRecord(element) || element[key] === undefined) {
      throw new PatchError({ message: `map: ${JSON.stringify(element)} does not contain declared merge key: ${key}` })
    }
    const at = result.findIndex((one) => isDeepStrictEqual(keyOf(one, key), element[key]))
    const merged = element["$patch"] === "delete" ? [] : [strategicMerge(at < 0 ? {} : result[at], element)]
    result = at < 0 ? [...result, ...merged] : result.toSpliced(at, 1, ...merged)
  }
  return result
}

const union = (before: List, more: List): List => [...before, ...more.filter((one) => !before.includes(one))]

const mergeValue = (name: string, before: unknown, patch: unknown): unknown => {
  if (!Array.isArray(patch)) return strategicMerge(before, patch)
  const key = mergeKeys[name]
  if (sets.has(name)) return union(listOf(before), patch)
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
    result.set(name, listOf(result.get(name)).filter((one) => !gone.includes(one)))
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
