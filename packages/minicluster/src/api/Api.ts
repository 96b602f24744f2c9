/** The way of a request through the API: what it asks for, whether it may, and what answers it. */
import { Effect } from "effect"
import { authorize } from "../access/Authorization.ts"
import { review } from "../access/Reviews.ts"
import { requestToken, type Tokens } from "../access/Tokens.ts"
import { type FaultsControl, handleFaults } from "../faults/Faults.ts"
import { type Kubelet } from "../node/Kubelet.ts"
import { decodeBody } from "../shapes/Decode.ts"
import { openApi } from "../shapes/OpenApi.ts"
import { isResource, type Resource, resourceTypes, reviewTypes, verbsOf } from "../shapes/Resources.ts"
import { podLog } from "../streams/PodLog.ts"
import { discovery } from "./Discovery.ts"
import { evict } from "./Eviction.ts"
import { type ApiRequest, type ApiResponse, json } from "./Http.ts"
import { getObject, type List } from "./ListWatch.ts"
import { type RequestInfo, requestInfo, served } from "./RequestInfo.ts"
import { createObject, deleteCollection, deleteObject, patchObject, type Place, updateObject } from "./Rest.ts"
import { type ApiError, badRequest, methodNotAllowed, noSuchResource } from "./Status.ts"
import { type Store } from "./Store.ts"
import { watch } from "./Watch.ts"

export interface Api {
  readonly store: Store
  readonly kubelet: Kubelet
  readonly list: List
  readonly faults: FaultsControl
  readonly tokens: Tokens
  /** PEM of the cluster's certificate authority. */
  readonly authority: string
  /** HOST:PORT, for discovery. */
  readonly host: string
}

type Answer = Effect.Effect<ApiResponse, ApiError>

/** What answers at a path that is no resource. */
const nonResource = (api: Api, request: ApiRequest): Answer =>
  request.path.join("/") === "minicluster/faults"
    ? handleFaults(api.faults, request)
    : openApi(request.path) ?? Effect.suspend(() => {
      const found = discovery(request, api.host)
      if (found === undefined) return noSuchResource
      return request.method === "GET" ? Effect.succeed(found) : methodNotAllowed
    })

/** kubectl asks which kinds were added, before it says that a manifest's kind is unknown: none. */
const noDefinitions = ({ group, resource, verb }: RequestInfo): Answer | undefined =>
  group === "apiextensions.k8s.io" && resource === "customresourcedefinitions" && verb === "list"
    ? Effect.succeed(json({ kind: "CustomResourceDefinitionList", apiVersion: `${group}/v1`, metadata: {}, items: [] }))
    : undefined

/** With the name of what is to be created, which only the body tells. */
const named = (info: RequestInfo, { json }: ApiRequest): Effect.Effect<RequestInfo> => {
  if (info.verb !== "create" || info.resource === "" || info.name !== "") return Effect.succeed(info)
  return json.pipe(
    Effect.map((body) => {
      const { metadata } = (body ?? {}) as { readonly metadata?: { readonly name?: unknown } | null }
      return typeof metadata?.name === "string" ? { ...info, name: metadata.name } : info
    }),
    Effect.orElseSucceed(() => info)
  )
}

/** Everything but the upgrades: those are `Upgrade.ts`'. */
export const handle = (api: Api, request: ApiRequest): Answer => {
  const info = requestInfo(request)
  return authorize(api.store, request.user, info).pipe(
    // What mends a fault must not be its victim.
    Effect.andThen(
      info.path.startsWith("/minicluster/") ? Effect.void : Effect.flatMap(named(info, request), api.faults.request)
    ),
    Effect.andThen(Effect.suspend(() => {
      if (info.resource === "") return nonResource(api, request)
      const found = served(request, info)
      if (found === undefined) return noDefinitions(info) ?? noSuchResource
      if (isResource(found)) return handleResource(api, request, info, found)
      if (info.verb !== "create" || info.name !== "") return methodNotAllowed
      return Effect.flatMap(
        decodeBody(reviewTypes[found], request),
        ({ object }) => review(api.store, found, request, object)
      )
    }))
  )
}

const handleResource = (api: Api, request: ApiRequest, info: RequestInfo, resource: Resource): Answer => {
  const { faults, list, store } = api
  const type = resourceTypes[resource]
  const place: Place = { ...info, resource, namespace: resource === "namespaces" ? "" : info.namespace }
  if (info.subresource !== "") return handleSubresource(api, request, place, info.verb)
  if (!verbsOf(type).includes(info.verb)) return Effect.fail(methodNotAllowed)
  const within = type.namespaced && place.namespace !== "" ? place.namespace : undefined
  const swallow = resource === "pods" ? faults.deletionIgnored : Effect.succeed(false)
  switch (info.verb) {
    case "list":
      return list(resource, within, request)
    case "watch":
      return watch(store, faults, resource, within, request)
    case "get":
      return getObject(store, resource, place.namespace, place.name, request)
    default:
  }
  // What changes something has to say in which namespace.
  if (type.namespaced && within === undefined) return Effect.fail(methodNotAllowed)
  const isOfCollection = info.verb === "create" || info.verb === "deletecollection"
  if (isOfCollection !== (info.name === "")) return Effect.fail(methodNotAllowed)
  switch (info.verb) {
    case "create":
      return createObject(api, place, request)
    case "deletecollection":
      return deleteCollection(store, place, request, swallow)
    case "update":
      return updateObject(store, place, request)
    case "patch":
      return patchObject(api, place, request)
    default:
      return deleteObject(store, place, request, swallow)
  }
}

const upgradeRequired = badRequest("Upgrade request required")

const handleSubresource = (api: Api, request: ApiRequest, place: Place, verb: string): Answer => {
  const { name, namespace, resource, subresource } = place
  const { subresources = {} } = resourceTypes[resource]
  const offered = Object.hasOwn(subresources, subresource) ? subresources[subresource] : undefined
  if (offered === undefined) return Effect.fail(noSuchResource)
  if (!offered.verbs.includes(verb)) return Effect.fail(methodNotAllowed)
  switch (subresource) {
    case "log":
      return podLog(api.store, api.kubelet, namespace, name, request)
    case "eviction":
      return evict(api.store, place, request)
    case "token":
      return Effect.flatMap(
        decodeBody({ group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" }, request),
        ({ object }) => requestToken(api.store, api.tokens, namespace, name, object)
      )
    case "exec":
    case "attach":
    case "portforward":
      return Effect.andThen(api.store.get("pods", namespace, name), Effect.fail(upgradeRequired))
    default:
  }
  switch (verb) {
    case "get":
      return getObject(api.store, resource, namespace, name, request)
    case "update":
      return updateObject(api.store, place, request)
    default:
      return patchObject(api, place, request)
  }
}
