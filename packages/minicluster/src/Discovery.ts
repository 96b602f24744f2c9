/** What the server says about itself before anything else: version, groups, resources. */
import { arch, platform } from "node:os"
import { type ApiResponse, json, text } from "./Http.ts"

const version = {
  major: "1",
  minor: "32",
  gitVersion: "v1.32.0+minicluster",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "go1.23.3",
  compiler: "gc",
  platform: `${platform()}/${arch()}`
}

const resource = (
  name: string,
  singularName: string,
  kind: string,
  namespaced: boolean,
  verbs: ReadonlyArray<string>,
  more = {}
) => ({
  name,
  singularName,
  namespaced,
  kind,
  verbs,
  ...more
})

const coreResources = {
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: "v1",
  resources: [
    resource("events", "event", "Event", true, ["get", "list", "watch"], { shortNames: ["ev"] }),
    resource("namespaces", "namespace", "Namespace", false, ["get", "list", "watch"], { shortNames: ["ns"] }),
    resource("pods", "pod", "Pod", true, ["create", "delete", "get", "list", "patch", "watch"], {
      shortNames: ["po"],
      categories: ["all"]
    }),
    resource("pods/exec", "", "PodExecOptions", true, ["create", "get"]),
    resource("pods/log", "", "Pod", true, ["get"])
  ]
}

/** The answer to a discovery request; `undefined` for any other path. */
export const discovery = (path: ReadonlyArray<string>, host: string): ApiResponse | undefined => {
  switch (path.join("/")) {
    case "version":
      return json(version)
    case "healthz":
    case "livez":
    case "readyz":
      return text("ok")
    case "":
      return json({ paths: ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"] })
    case "api":
      return json({
        kind: "APIVersions",
        versions: ["v1"],
        serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: host }]
      })
    case "api/v1":
      return json(coreResources)
    case "apis":
      return json({ kind: "APIGroupList", apiVersion: "v1", groups: [] })
    default:
      return undefined
  }
}
