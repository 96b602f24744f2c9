/** The roles and bindings that every cluster begins with, as far as what they name is served here (`bootstrappolicy`). */
import { Effect } from "effect"
import { makeObject } from "../api/Controllers.ts"
import { type Store } from "../api/Store.ts"
import { type PolicyRule } from "../shapes/Roles.ts"
import { aggregateRoles } from "./Aggregation.ts"
import { publicPaths } from "./Authentication.ts"
import { superusers } from "./Authorization.ts"

const apiGroup = "rbac.authorization.k8s.io"
const read = ["get", "list", "watch"]
const write = ["create", "delete", "deletecollection", "patch", "update"]
const both = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

/** The verbs on the resources of a group, in one text. */
const rule = (verbs: ReadonlyArray<string>, resources: string, group = ""): PolicyRule => ({
  apiGroups: [group],
  resources: resources.split(" "),
  verbs
})
const getPaths = (...nonResourceURLs: ReadonlyArray<string>): PolicyRule => ({ nonResourceURLs, verbs: ["get"] })

const streams = "pods/attach pods/exec pods/portforward"

/** What each aggregated role has beside what is in the one before it. */
const aggregated: Readonly<Record<string, ReadonlyArray<PolicyRule>>> = {
  view: [
    rule(read, "configmaps persistentvolumeclaims persistentvolumeclaims/status pods serviceaccounts"),
    rule(read, "events namespaces/status pods/log pods/status"),
    rule(read, "namespaces")
  ],
  edit: [
    rule(read, `${streams} secrets`),
    rule(["impersonate"], "serviceaccounts"),
    rule(write, `pods ${streams}`),
    rule(["create"], "pods/eviction"),
    rule(write, "configmaps events persistentvolumeclaims secrets serviceaccounts"),
    rule(["create"], "serviceaccounts/token"),
    rule(both, "leases", "coordination.k8s.io")
  ],
  admin: [rule(both, "rolebindings roles", apiGroup)]
}

const everybody = ["system:authenticated"]

/** Each with the groups that have it cluster-wide. */
const bound: Readonly<Record<string, { groups: ReadonlyArray<string>; rules: ReadonlyArray<PolicyRule> }>> = {
  "cluster-admin": { groups: [superusers], rules: [rule(["*"], "*", "*"), { nonResourceURLs: ["*"], verbs: ["*"] }] },
  "system:basic-user": {
    groups: everybody,
    rules: [
      rule(["create"], "selfsubjectaccessreviews selfsubjectrulesreviews", "authorization.k8s.io"),
      rule(["create"], "selfsubjectreviews", "authentication.k8s.io")
    ]
  },
  "system:discovery": {
    groups: everybody,
    rules: [getPaths("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", ...publicPaths)]
  },
  "system:public-info-viewer": { groups: [...everybody, "system:unauthenticated"], rules: [getPaths(...publicPaths)] }
}

const labelOf = (part: string | undefined) => part === undefined ? {} : { [`${apiGroup}/aggregate-to-${part}`]: "true" }

/** Stores them all; one that is there already stays as it is. */
export const storeDefaultRoles = (store: Store): Effect.Effect<void> =>
  Effect.gen(function*() {
    const make = (resource: "clusterroles" | "clusterrolebindings", name: string, content: object, labels = {}) =>
      makeObject(store, resource, name, undefined, {
        ...content,
        metadata: {
          labels: { "kubernetes.io/bootstrapping": "rbac-defaults", ...labels },
          annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" }
        }
      })
    const names = Object.keys(aggregated)
    for (const [index, name] of names.entries()) {
      const clusterRoleSelectors = [{ matchLabels: labelOf(name) }]
      yield* make("clusterroles", `system:aggregate-to-${name}`, { rules: aggregated[name] }, labelOf(name))
      yield* make("clusterroles", name, { aggregationRule: { clusterRoleSelectors } }, labelOf(names[index + 1]))
    }
    for (const [name, { groups, rules }] of Object.entries(bound)) {
      yield* make("clusterroles", name, { rules })
      yield* make("clusterrolebindings", name, {
        roleRef: { apiGroup, kind: "ClusterRole", name },
        subjects: groups.map((name) => ({ apiGroup, kind: "Group", name }))
      })
    }
    yield* aggregateRoles(store)
  })
