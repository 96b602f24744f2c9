/** What a request asks for, read from its method and path: `k8s.io/apiserver/pkg/endpoints/request.RequestInfo`. */
import { none } from "../access/Authorization.ts"
import {
  isResource,
  isReview,
  type Resource,
  type ResourceType,
  resourceTypes,
  type Review,
  reviewTypes
} from "../shapes/Resources.ts"
import { type ApiRequest } from "./Http.ts"
import { flag } from "./RequestPath.ts"

/** A verb is what RBAC names it: "list", "deletecollection"; for a path that is no resource, the method in lower case. */
export interface RequestInfo {
  readonly verb: string
  readonly group: string
  /** "" for a path that is no resource. */
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly path: string
}

const collectionVerbs: Readonly<Record<string, string>> = { POST: "create", DELETE: "deletecollection" }
const objectVerbs: Readonly<Record<string, string>> = {
  GET: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete"
}

const verbOf = (method: string, name: string, query: URLSearchParams): string => {
  if (name === "" && method === "GET") return flag(query, "watch") ? "watch" : "list"
  return (name === "" ? collectionVerbs[method] : undefined) ?? objectVerbs[method] ?? method.toLowerCase()
}

/** A list of the one object of a name is authorised as that object's. */
const nameInSelector = (query: URLSearchParams): string =>
  /(?:^|,)metadata\.name==?([^,]+)/.exec(query.get("fieldSelector") ?? "")?.[1] ?? ""

export const requestInfo = ({ method, path, query }: Pick<ApiRequest, "method" | "path" | "query">): RequestInfo => {
  const nowhere = { ...none, verb: method.toLowerCase(), path: `/${path.join("/")}` }
  const isCore = path[0] === "api"
  if ((!isCore && path[0] !== "apis") || path.length < (isCore ? 3 : 4)) return nowhere
  const group = isCore ? "" : path[1] ?? ""
  const parts = path.slice(isCore ? 2 : 3)
  // "namespaces" is a resource itself, and what leads to those inside of one.
  const inNamespace = parts[0] === "namespaces" && parts.length > 2 &&
    !(parts[2] === "status" || parts[2] === "finalize")
  const [resource = "", name = "", ...rest] = inNamespace ? parts.slice(2) : parts
  if (rest.length > 1) return nowhere
  const namespace = inNamespace || resource === "namespaces" ? (parts[1] ?? "") : ""
  const verb = verbOf(method, name, query)
  return {
    verb,
    group,
    resource,
    subresource: rest[0] ?? "",
    namespace,
    name: name === "" && (verb === "list" || verb === "watch") ? nameInSelector(query) : name,
    path: nowhere.path
  }
}

/** The resource of a request, when the cluster serves it in this group, version and scope. */
export const served = ({ path }: Pick<ApiRequest, "path">, info: RequestInfo): Resource | Review | undefined => {
  const version = info.group === "" ? path[1] : path[2]
  const fits = (type: ResourceType) => type.group === info.group && type.version === version
  if (isResource(info.resource)) {
    const type = resourceTypes[info.resource]
    const inNamespace = info.namespace !== "" && info.resource !== "namespaces"
    return fits(type) && (type.namespaced || !inNamespace) ? info.resource : undefined
  }
  const isServed = isReview(info.resource) && fits(reviewTypes[info.resource]) && info.namespace === ""
  return isServed ? info.resource : undefined
}
