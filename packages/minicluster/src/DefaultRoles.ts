/** The roles and bindings that every cluster begins with, as far as what they name is served here (`bootstrappolicy`). */
import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { aggregated } from "./Aggregation.ts"
import { superusers } from "./Authorization.ts"
import { type PolicyRule, type Role, timestamp } from "./Objects.ts"
import { type Store } from "./Store.ts"

const group = "rbac.authorization.k8s.io"
const read = ["get", "list", "watch"]
const write = ["create", "delete", "deletecollection", "patch", "update"]
const readWrite = [...write.slice(0, 3), ...read, ...write.slice(3)].toSorted()

const rule = (apiGroup: string, verbs: ReadonlyArray<string>, ...resources: ReadonlyArray<string>): PolicyRule => ({
  apiGroups: [apiGroup],
  resources,
  verbs
})
const paths = (...nonResourceURLs: ReadonlyArray<string>): PolicyRule => ({ nonResourceURLs, verbs: ["get"] })

const streams = ["pods/attach", "pods/exec", "pods/portforward"]
const publicPaths = ["/healthz", "/livez", "/readyz", "/version", "/version/"]

interface Definition {
  readonly name: string
  readonly rules?: ReadonlyArray<PolicyRule>
  /** Gathers the rules of those that are `partOf` it. */
  readonly gathers?: string
  readonly partOf?: string
}

/** What is gathered from stands before what gathers it. */
const definitions: ReadonlyArray<Definition> = [
  { name: "cluster-admin", rules: [rule("*", ["*"], "*"), { nonResourceURLs: ["*"], verbs: ["*"] }] },
  {
    name: "system:aggregate-to-view",
    partOf: "view",
    rules: [
      rule(
        "",
        read,
        "configmaps",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "serviceaccounts"
      ),
      rule("", read, "events", "namespaces/status", "pods/log", "pods/status"),
      rule("", read, "namespaces")
    ]
  },
  { name: "view", gathers: "view", partOf: "edit" },
  {
    name: "system:aggregate-to-edit",
    partOf: "edit",
    rules: [
      rule("", read, ...streams, "secrets"),
      rule("", ["impersonate"], "serviceaccounts"),
      rule("", write, "pods", ...streams),
      rule("", ["create"], "pods/eviction"),
      rule("", write, "configmaps", "events", "persistentvolumeclaims", "secrets", "serviceaccounts"),
      rule("", ["create"], "serviceaccounts/token"),
      rule("coordination.k8s.io", readWrite, "leases")
    ]
  },
  { name: "edit", gathers: "edit", partOf: "admin" },
  { name: "system:aggregate-to-admin", partOf: "admin", rules: [rule(group, readWrite, "rolebindings", "roles")] },
  { name: "admin", gathers: "admin" },
  {
    name: "system:basic-user",
    rules: [
      rule("authorization.k8s.io", ["create"], "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
      rule("authentication.k8s.io", ["create"], "selfsubjectreviews")
    ]
  },
  {
    name: "system:discovery",
    rules: [paths("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", ...publicPaths)]
  },
  { name: "system:public-info-viewer", rules: [paths(...publicPaths)] }
]

/** Role, and the groups that have it cluster-wide. */
const bindings: Readonly<Record<string, ReadonlyArray<string>>> = {
  "cluster-admin": [superusers],
  "system:basic-user": ["system:authenticated"],
  "system:discovery": ["system:authenticated"],
  "system:public-info-viewer": ["system:authenticated", "system:unauthenticated"]
}

const aggregateTo = (name: string): Readonly<Record<string, string>> => ({ [`${group}/aggregate-to-${name}`]: "true" })

/** Stores them all in a cluster that has none. */
export const storeDefaultRoles = Effect.fnUntraced(function*(store: Store): Effect.fn.Return<void> {
  const creationTimestamp = timestamp(yield* Clock.currentTimeMillis)
  const metadata = (name: string, labels = {}) => ({
    name,
    uid: randomUUID(),
    resourceVersion: "",
    creationTimestamp,
    labels: { "kubernetes.io/bootstrapping": "rbac-defaults", ...labels },
    annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" }
  })
  const roles: Array<Role> = []
  for (const { gathers, name, partOf, rules = [] } of definitions) {
    const role: Role = {
      apiVersion: `${group}/v1`,
      kind: "ClusterRole",
      metadata: metadata(name, partOf === undefined ? {} : aggregateTo(partOf)),
      rules,
      ...(gathers === undefined
        ? {}
        : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregateTo(gathers) }] } })
    }
    roles.push(gathers === undefined ? role : { ...role, rules: aggregated(role, roles) })
  }
  for (const role of roles) yield* Effect.orDie(store.create("clusterroles", role))
  for (const [name, groups] of Object.entries(bindings)) {
    yield* Effect.orDie(store.create("clusterrolebindings", {
      apiVersion: `${group}/v1`,
      kind: "ClusterRoleBinding",
      metadata: metadata(name),
      roleRef: { apiGroup: group, kind: "ClusterRole", name },
      subjects: groups.map((name) => ({ apiGroup: group, kind: "Group", name }))
    }))
  }
})
