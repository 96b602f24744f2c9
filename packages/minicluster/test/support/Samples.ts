/** One small object of each resource, and where it lives. */
import { type Minicluster } from "@kuberun/minicluster"
import { type Effect } from "effect"
import { groupVersion, type Resource, resourceTypes } from "../../src/shapes/Resources.ts"
import { type Answer, call, textAt } from "./Client.ts"

export const resources = Object.keys(resourceTypes) as ReadonlyArray<Resource>

const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]
const subjects = [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "somebody" }]
const roleRef = (kind: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name: "some" })

/** What stands in the object besides its metadata. No node takes the pod, so that nothing changes it. */
export const samples: Readonly<Record<Resource, object>> = {
  pods: { spec: { schedulerName: "nobody", containers: [{ name: "main", image: "busybox" }] } },
  events: {
    involvedObject: { kind: "Pod", namespace: "default", name: "some" },
    reason: "Tested",
    message: "a test wrote this",
    type: "Normal",
    source: { component: "test" }
  },
  namespaces: {},
  nodes: {},
  configmaps: { data: { key: "value" } },
  secrets: { stringData: { key: "value" } },
  serviceaccounts: {},
  persistentvolumeclaims: {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } }
  },
  leases: { spec: { holderIdentity: "somebody", leaseDurationSeconds: 15 } },
  roles: { rules },
  rolebindings: { roleRef: roleRef("Role"), subjects },
  clusterroles: { rules },
  clusterrolebindings: { roleRef: roleRef("ClusterRole"), subjects }
}

/** The path of a resource's collection, in one namespace where it is in any. */
export const pathOf = (resource: Resource, namespace = "default"): string => {
  const type = resourceTypes[resource]
  const root = type.group === "" ? "/api" : "/apis"
  return `${root}/${groupVersion(type)}${type.namespaced ? `/namespaces/${namespace}` : ""}/${resource}`
}

/** Creates an object of the sample's content. */
export const create = (
  cluster: Minicluster,
  resource: Resource,
  metadata: object,
  namespace = "default",
  query = ""
): Effect.Effect<Answer> =>
  call(cluster, "POST", `${pathOf(resource, namespace)}${query}`, { body: { ...samples[resource], metadata } })

export const uidOf = ({ body }: Answer): string => textAt(body, "metadata", "uid")
export const versionOf = ({ body }: Answer): string => textAt(body, "metadata", "resourceVersion")
/** Code, reason and sentence of a refusal. */
export const refusalOf = ({ body, code }: Answer) => [code, textAt(body, "reason"), textAt(body, "message")]
