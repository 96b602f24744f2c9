/** The paths of the API and what answers at each. */
import { Effect } from "effect"
import { discovery } from "./Discovery.ts"
import { type ApiRequest, type ApiResponse } from "./Http.ts"
import { type Kubelet } from "./Kubelet.ts"
import { getObject, listOrWatch } from "./ListWatch.ts"
import { createPod, deletePod, patchPod, podLog } from "./Pods.ts"
import { type ApiError, badRequest, methodNotAllowed, noSuchResource } from "./Status.ts"
import { type Resource, type Store } from "./Store.ts"

const isResource = (name: string | undefined): name is Resource =>
  name === "pods" || name === "events" || name === "namespaces"

export interface Api {
  readonly store: Store
  readonly kubelet: Kubelet
  /** HOST:PORT, for discovery. */
  readonly host: string
}

/** Everything but the upgrades: those are `Exec.ts`. */
export const handle = (api: Api, request: ApiRequest): Effect.Effect<ApiResponse, ApiError> => {
  const { method, path } = request
  const found = discovery(path, api.host)
  if (found !== undefined) return Effect.succeed(found)
  const [root, version, ...rest] = path
  if (root !== "api" || version !== "v1") return Effect.fail(noSuchResource)
  const [first, namespace, second, name, subresource, ...tooMuch] = rest
  if (tooMuch.length > 0) return Effect.fail(noSuchResource)
  if (first !== "namespaces") {
    if (!isResource(first) || namespace !== undefined) return Effect.fail(noSuchResource)
    return method === "GET" ? listOrWatch(api.store, first, undefined, request) : Effect.fail(methodNotAllowed)
  }
  if (second === undefined) {
    if (method !== "GET") return Effect.fail(methodNotAllowed)
    return namespace === undefined
      ? listOrWatch(api.store, "namespaces", undefined, request)
      : getObject(api.store, "namespaces", "", namespace, request)
  }
  if (!isResource(second) || second === "namespaces" || namespace === undefined) return Effect.fail(noSuchResource)
  if (subresource !== undefined) return handleSubresource(api, request, second, namespace, name ?? "", subresource)
  if (name === undefined) {
    if (method === "GET") return listOrWatch(api.store, second, namespace, request)
    return method === "POST" && second === "pods"
      ? createPod(api.store, namespace, request)
      : Effect.fail(methodNotAllowed)
  }
  if (method === "GET") return getObject(api.store, second, namespace, name, request)
  if (second !== "pods") return Effect.fail(methodNotAllowed)
  if (method === "DELETE") return deletePod(api.store, namespace, name, request)
  return method === "PATCH" ? patchPod(api.store, namespace, name, request) : Effect.fail(methodNotAllowed)
}

const handleSubresource = (
  api: Api,
  request: ApiRequest,
  resource: Resource,
  namespace: string,
  name: string,
  subresource: string
): Effect.Effect<ApiResponse, ApiError> => {
  if (resource !== "pods") return Effect.fail(noSuchResource)
  switch (subresource) {
    case "exec":
      return Effect.andThen(
        api.store.get("pods", namespace, name),
        Effect.fail(
          badRequest(
            "Upgrade request required: exec is served over a WebSocket of v5.channel.k8s.io or v4.channel.k8s.io"
          )
        )
      )
    case "log":
      return request.method === "GET"
        ? podLog(api.store, api.kubelet, namespace, name, request)
        : Effect.fail(methodNotAllowed)
    default:
      return Effect.fail(noSuchResource)
  }
}
