/**
 * Names as parts of a path.
 */
import { Effect } from "effect"
import { type ClusterError, Rejected } from "kuberun"
import { failed } from "./ApiFault.ts"

/**
 * A segment of a path that stays one: nothing empty, nothing that a URL takes for a step upwards, and neither a slash
 * nor a percent sign, because the API server splits the path after it has decoded it: `pod%2Flog` is the pod's log
 * (`IsValidPathSegmentName` of apimachinery's `api/validation/path`).
 */
const isSegment = (text: string): boolean => text !== "" && text !== "." && text !== ".." && !/[/%]/u.test(text)

const refused = (operation: string): Effect.Effect<void, ClusterError> =>
  Effect.fail(failed(operation)(new Rejected({ status: 400, detail: "this cannot be a namespace's or object's name" })))

/** Refuses what would be another path: without a name, a deletion would be one of all objects. */
export const checked = (
  operation: string,
  object: { readonly namespace: string; readonly name: string }
): Effect.Effect<void, ClusterError> =>
  isSegment(object.namespace) && isSegment(object.name) ? Effect.void : refused(operation)

/** The same for a whole namespace. */
export const checkedNamespace = (operation: string, namespace: string): Effect.Effect<void, ClusterError> =>
  isSegment(namespace) ? Effect.void : refused(operation)
