/** What the server says about itself before anything else: version, groups, resources; aggregated (KEP-3352) and one by one. */
import { platform } from "node:os"
import { architecture } from "../node/Node.ts"
import { groupVersion, type ResourceType, resourceTypes, reviewTypes, verbsOf } from "../shapes/Resources.ts"
import { type ApiRequest, type ApiResponse, json, text } from "./Http.ts"

const version = {
  major: "1",
  minor: "32",
  gitVersion: "v1.32.0+minicluster",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "go1.23.3",
  compiler: "gc",
  platform: `${platform()}/${architecture}`
}

const all = Object.entries<ResourceType>({ ...resourceTypes, ...reviewTypes })
const groups = new Map(all.map(([, type]) => [type.group, type.version]))
const named = Array.from(groups).filter(([group]) => group !== "")
const inGroup = (group: string) => all.filter(([, type]) => type.group === group)

const others = ["/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]

/** The subresources whose kind is of a group of its own. */
const foreignKinds: Readonly<Record<string, { readonly group: string; readonly version: string }>> = {
  Eviction: { group: "policy", version: "v1" },
  TokenRequest: { group: "authentication.k8s.io", version: "v1" }
}

const resourceList = (group: string): object => ({
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: groupVersion({ group, version: groups.get(group) ?? "" }),
  resources: inGroup(group).flatMap(([name, type]) => [
    {
      name,
      singularName: type.singular,
      namespaced: type.namespaced,
      kind: type.kind,
      verbs: verbsOf(type),
      ...(type.shortNames === undefined ? {} : { shortNames: type.shortNames }),
      ...(type.categories === undefined ? {} : { categories: type.categories })
    },
    ...Object.entries(type.subresources ?? {}).map(([subresource, { kind, verbs }]) => ({
      name: `${name}/${subresource}`,
      singularName: "",
      namespaced: type.namespaced,
      ...foreignKinds[kind],
      kind,
      verbs
    }))
  ])
})

const aggregated = (members: ReadonlyArray<readonly [group: string, version: string]>): object => ({
  kind: "APIGroupDiscoveryList",
  apiVersion: "apidiscovery.k8s.io/v2",
  metadata: {},
  items: members.map(([group, version]) => ({
    metadata: { ...(group === "" ? {} : { name: group }), creationTimestamp: null },
    versions: [{
      version,
      freshness: "Current",
      resources: inGroup(group).map(([resource, type]) => ({
        resource,
        responseKind: { group, version, kind: type.kind },
        scope: type.namespaced ? "Namespaced" : "Cluster",
        singularResource: type.singular,
        verbs: verbsOf(type),
        shortNames: type.shortNames,
        categories: type.categories,
        subresources: Object.entries(type.subresources ?? {}).map(([subresource, { kind, verbs }]) => ({
          subresource,
          responseKind: { ...(foreignKinds[kind] ?? { group, version }), kind },
          verbs
        }))
      }))
    }]
  }))
})

const groupOf = ([name, version]: readonly [string, string]) => {
  const preferred = { groupVersion: `${name}/${version}`, version }
  return { name, versions: [preferred], preferredVersion: preferred }
}

const discoveryType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
const wantsAggregated = (accept: string): boolean => accept.replaceAll(" ", "").includes(discoveryType)

/** The answer to a discovery request; `undefined` for any other path. `host` is HOST:PORT. */
export const discovery = ({ accept, path }: ApiRequest, host: string): ApiResponse | undefined => {
  const list = (members: ReadonlyArray<readonly [string, string]>, legacy: object): ApiResponse =>
    wantsAggregated(accept) ? { ...json(aggregated(members)), contentType: discoveryType } : json(legacy)
  const [root, group = "", version_, ...rest] = path
  if (root === "apis" && named.some(([name, version]) => name === group && (version_ ?? version) === version)) {
    if (rest.length > 0) return undefined
    return json(
      version_ === undefined
        ? { kind: "APIGroup", apiVersion: "v1", ...groupOf([group, groups.get(group) ?? ""]) }
        : resourceList(group)
    )
  }
  switch (path.join("/")) {
    case "version":
      return json(version)
    case "healthz":
    case "livez":
    case "readyz":
      return text("ok")
    case "":
      return json({ paths: ["/api", "/api/v1", "/apis", ...named.map(([name]) => `/apis/${name}`), ...others] })
    case "api":
      return list([["", "v1"]], {
        kind: "APIVersions",
        versions: ["v1"],
        serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: host }]
      })
    case "api/v1":
      return json(resourceList(""))
    case "apis":
      return list(named, { kind: "APIGroupList", apiVersion: "v1", groups: named.map(groupOf) })
    default:
      return undefined
  }
}
