/** PATCH: from an object and a patch to the object that is wanted. */
import { Effect } from "effect"
import { applyPatch as applyOperations, type Operation, Pointer } from "rfc6902"
import { type ApiError, badRequest, failed, unprocessable, unsupportedMediaType } from "../api/Status.ts"
import { isRecord } from "./Json.ts"
import { mergePatch } from "./MergePatch.ts"
import { type ObjectMeta } from "./Objects.ts"
import { type ResourceType } from "./Resources.ts"
import { conform, jsonType, modelOf } from "./Schemas.ts"
import { PatchError, strategicMerge } from "./StrategicMerge.ts"

export const applyType = "application/apply-patch+yaml"
const patchTypes = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  applyType
]
/** The real server's limits, without which a small patch grows an object beyond all bounds: how many, and JSON copied. */
const maxOperations = 10_000
const copyLimit = 3 * 1024 * 1024

const jsonPatch = (current: object, patch: unknown): Effect.Effect<unknown, ApiError> => {
  if (!Array.isArray(patch)) {
    return Effect.fail(badRequest(`json: cannot unmarshal ${jsonType(patch)} into Go value of type jsonpatch.Patch`))
  }
  if (patch.length > maxOperations) {
    return Effect.fail(
      badRequest(`The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`)
    )
  }
  return Effect.try({
    try: () => {
      const target: unknown = structuredClone(current)
      let copied = 0
      for (const operation of patch as ReadonlyArray<Operation>) {
        if (operation.op === "copy") {
          copied += JSON.stringify(Pointer.fromJSON(operation.from).get(target) ?? null).length
        }
        if (copied > copyLimit || applyOperations(target, [operation]).some((fault) => fault !== null)) return undefined
      }
      return target
    },
    catch: () => unprocessable
  }).pipe(Effect.filterOrFail((target) => target !== undefined, () => unprocessable))
}

const mapPatch = (merge: (target: unknown, patch: unknown) => unknown, current: object, patch: unknown) =>
  isRecord(patch)
    ? Effect.try({
      try: () => merge(current, patch),
      catch: (error) => badRequest(error instanceof PatchError ? error.message : "the patch is nested too deeply")
    })
    : Effect.fail(badRequest(`json: cannot unmarshal ${jsonType(patch)} into Go value of type map[string]interface {}`))

/** What no field takes is refused here whatever `fieldValidation` says: fields are what an apply is about. */
const apply = (type: ResourceType, current: object, patch: unknown): Effect.Effect<unknown, ApiError> => {
  if (!isRecord(patch)) return Effect.fail(badRequest(`error decoding YAML: cannot unmarshal ${jsonType(patch)}`))
  const { fault, object, unknown } = conform(modelOf(type.kind), patch)
  const undeclared = unknown.map((sentence) => `${sentence.replace(/^.*"(.*)"$/, ".$1")}: field not declared in schema`)
  const faults = fault === undefined ? undeclared : [fault]
  const metadata = (object["metadata"] ?? {}) as Partial<ObjectMeta> & {
    readonly managedFields?: ReadonlyArray<unknown>
  }
  if (faults.length > 0) {
    const what = `${metadata.namespace ?? ""}/${metadata.name ?? ""}; ${type.group}/${type.version}, Kind=${type.kind}`
    const list = faults.length === 1 ? faults[0] : `errors:\n${faults.map((one) => `  ${one}`).join("\n")}`
    return Effect.fail(failed(`failed to create typed patch object (${what}): ${list}`))
  }
  if ((metadata.managedFields ?? []).length > 0) return Effect.fail(badRequest("metadata.managedFields must be nil"))
  return mapPatch(strategicMerge, current, object)
}

/**
 * The object that a patch makes of `current`, not yet judged; 415 for a content type that is none of the four.
 *
 * Only an apply may come where there is nothing. It merges as a server-side apply does (KEP-555), but owns no fields: it
 * never conflicts, and what a later apply leaves out stays.
 */
export const applyPatch = (
  type: ResourceType,
  contentType: string,
  current: object | undefined,
  patch: unknown
): Effect.Effect<unknown, ApiError> => {
  switch (contentType) {
    case applyType:
      return apply(type, current ?? {}, patch)
    case "application/json-patch+json":
      return jsonPatch(current ?? {}, patch)
    case "application/merge-patch+json":
      return mapPatch(mergePatch, current ?? {}, patch)
    case "application/strategic-merge-patch+json":
      return mapPatch(strategicMerge, current ?? {}, patch)
    default:
      return Effect.fail(unsupportedMediaType(patchTypes))
  }
}
