/** Which resources are served: the one list that discovery, paths, storage, tables and OpenAPI are made from. */
import { type ConfigMap, type KubeEvent, type KubeObject, type Pod, type Secret } from "./Objects.ts"
import { type Role, type RoleBinding } from "./Roles.ts"

/** The kinds that are kept, by their plural name in a URL. No two groups share a name here. */
export interface Resources {
  readonly pods: Pod
  readonly events: KubeEvent
  readonly namespaces: KubeObject
  readonly nodes: KubeObject
  readonly configmaps: ConfigMap
  readonly secrets: Secret
  readonly serviceaccounts: KubeObject
  readonly persistentvolumeclaims: KubeObject
  readonly leases: KubeObject
  readonly roles: Role
  readonly rolebindings: RoleBinding
  readonly clusterroles: Role
  readonly clusterrolebindings: RoleBinding
}
export type Resource = keyof Resources

/** A resource that is asked and answers, and keeps nothing. */
export type Review = "selfsubjectaccessreviews" | "selfsubjectrulesreviews" | "selfsubjectreviews"

export interface ResourceType {
  /** "" for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly singular: string
  readonly namespaced: boolean
  readonly shortNames?: ReadonlyArray<string>
  readonly categories?: ReadonlyArray<string>
  /** Each with its kind and the verbs that are authorised for it. */
  readonly subresources?: Readonly<Record<string, { readonly kind: string; readonly verbs: ReadonlyArray<string> }>>
  /** Only for those that are not everything. */
  readonly verbs?: ReadonlyArray<string>
}

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
const state = ["get", "patch", "update"]
const connect = ["create", "get"]
const rbac = { group: "rbac.authorization.k8s.io", version: "v1" }
const core = { group: "", version: "v1" }

export const resourceTypes: Readonly<Record<Resource, ResourceType>> = {
  pods: {
    ...core,
    kind: "Pod",
    singular: "pod",
    namespaced: true,
    shortNames: ["po"],
    categories: ["all"],
    subresources: {
      attach: { kind: "PodAttachOptions", verbs: connect },
      ephemeralcontainers: { kind: "Pod", verbs: state },
      eviction: { kind: "Eviction", verbs: ["create"] },
      exec: { kind: "PodExecOptions", verbs: connect },
      log: { kind: "Pod", verbs: ["get"] },
      portforward: { kind: "PodPortForwardOptions", verbs: connect },
      status: { kind: "Pod", verbs: state }
    }
  },
  events: { ...core, kind: "Event", singular: "event", namespaced: true, shortNames: ["ev"] },
  namespaces: {
    ...core,
    kind: "Namespace",
    singular: "namespace",
    namespaced: false,
    shortNames: ["ns"],
    verbs: allVerbs.filter((verb) => verb !== "deletecollection"),
    subresources: { status: { kind: "Namespace", verbs: state } }
  },
  nodes: {
    ...core,
    kind: "Node",
    singular: "node",
    namespaced: false,
    shortNames: ["no"],
    verbs: ["get", "list", "patch", "update", "watch"],
    subresources: { status: { kind: "Node", verbs: state } }
  },
  configmaps: { ...core, kind: "ConfigMap", singular: "configmap", namespaced: true, shortNames: ["cm"] },
  secrets: { ...core, kind: "Secret", singular: "secret", namespaced: true },
  serviceaccounts: {
    ...core,
    kind: "ServiceAccount",
    singular: "serviceaccount",
    namespaced: true,
    shortNames: ["sa"],
    subresources: { token: { kind: "TokenRequest", verbs: ["create"] } }
  },
  persistentvolumeclaims: {
    ...core,
    kind: "PersistentVolumeClaim",
    singular: "persistentvolumeclaim",
    namespaced: true,
    shortNames: ["pvc"],
    subresources: { status: { kind: "PersistentVolumeClaim", verbs: state } }
  },
  leases: { group: "coordination.k8s.io", version: "v1", kind: "Lease", singular: "lease", namespaced: true },
  roles: { ...rbac, kind: "Role", singular: "role", namespaced: true },
  rolebindings: { ...rbac, kind: "RoleBinding", singular: "rolebinding", namespaced: true },
  clusterroles: { ...rbac, kind: "ClusterRole", singular: "clusterrole", namespaced: false },
  clusterrolebindings: { ...rbac, kind: "ClusterRoleBinding", singular: "clusterrolebinding", namespaced: false }
}

const review = (group: string, kind: string): ResourceType => ({
  group,
  version: "v1",
  kind,
  singular: kind.toLowerCase(),
  namespaced: false,
  verbs: ["create"]
})

export const reviewTypes: Readonly<Record<Review, ResourceType>> = {
  selfsubjectaccessreviews: review("authorization.k8s.io", "SelfSubjectAccessReview"),
  selfsubjectrulesreviews: review("authorization.k8s.io", "SelfSubjectRulesReview"),
  selfsubjectreviews: review("authentication.k8s.io", "SelfSubjectReview")
}

export const isResource = (name: string): name is Resource => Object.hasOwn(resourceTypes, name)
export const isReview = (name: string): name is Review => Object.hasOwn(reviewTypes, name)

export const verbsOf = (type: ResourceType): ReadonlyArray<string> => type.verbs ?? allVerbs

/** "v1" or "group/v1". */
export const groupVersion = ({ group, version }: Pick<ResourceType, "group" | "version">): string =>
  group === "" ? version : `${group}/${version}`

/** The name by which refusals call a resource: "pods", "roles.rbac.authorization.k8s.io". */
export const qualifiedName = (resource: Resource): string => {
  const { group } = resourceTypes[resource]
  return group === "" ? resource : `${resource}.${group}`
}
