/**
 * Nobody grants what they do not hold: `pkg/registry/rbac/validation` and the policy-based storages of Kubernetes.
 *
 * Exempt are members of system:masters, and whoever has the verb `escalate` on the role, or `bind` on the role bound.
 */
import { Effect } from "effect"
import { isDeepStrictEqual } from "node:util"
import { type Attributes, decide, grantsOf, roleOf, ruleAllows } from "./Authorization.ts"
import { type User } from "./Http.ts"
import { type KubeObject, type PolicyRule, type Role, type RoleBinding } from "./Objects.ts"
import { qualifiedName, type Resource } from "./Resources.ts"
import { type ApiError, forbidden } from "./Status.ts"
import { type Store } from "./Store.ts"

const nothing: Attributes = { verb: "", group: "", resource: "", subresource: "", namespace: "", name: "", path: "" }
const group = "rbac.authorization.k8s.io"

/** One of each: a rule as every single thing that it allows, in the order of `BreakdownRule`. */
const partsOf = (rule: PolicyRule): ReadonlyArray<Attributes> => [
  ...(rule.apiGroups ?? []).flatMap((group) =>
    (rule.resources ?? []).flatMap((path) => {
      const [resource = "", ...subresource] = path.split("/")
      const names = (rule.resourceNames ?? []).length === 0 ? [""] : rule.resourceNames ?? []
      return rule.verbs.flatMap((verb) =>
        names.map((name) => ({ ...nothing, verb, group, resource, subresource: subresource.join("/"), name }))
      )
    })
  ),
  ...(rule.nonResourceURLs ?? []).flatMap((path) => rule.verbs.map((verb) => ({ ...nothing, verb, path })))
]

const quoted = (list: ReadonlyArray<string>): string => `[${list.map((text) => JSON.stringify(text)).join(" ")}]`

/** As `CompactRules` and `CompactString` put it: a line for each resource, with the verbs that are missing. */
const describe = (missing: ReadonlyArray<Attributes>): string => {
  const verbs = new Map<string, Set<string>>()
  for (const { group, name, path, resource, subresource, verb } of missing) {
    const what = resource === ""
      ? [`NonResourceURLs:${quoted([path])}`]
      : [
        `APIGroups:${quoted([group])}`,
        `Resources:${quoted([subresource === "" ? resource : `${resource}/${subresource}`])}`,
        ...(name === "" ? [] : [`ResourceNames:${quoted([name])}`])
      ]
    // Only rules without names are joined.
    const key = `${what.join(", ")}${resource === "" || name !== "" ? `\0${verb}` : ""}`
    verbs.set(key, (verbs.get(key) ?? new Set()).add(verb))
  }
  const lines = Array.from(verbs, ([key, set]) => `{${key.split("\0")[0]}, Verbs:${quoted(Array.from(set))}}`)
  return lines.toSorted().join("\n")
}

/** What the garbage collector writes changes no rule. */
const withoutCollectorFields = ({ metadata, ...rest }: KubeObject) => {
  const { finalizers: _f, ownerReferences: _o, resourceVersion: _r, ...others } = metadata
  return { ...rest, metadata: others }
}

/** To be asked before a role or binding is written; every other resource passes. 403, or 404 for a role that is not there. */
export const checkEscalation = (
  store: Store,
  user: User,
  resource: Resource,
  next: KubeObject,
  previous: KubeObject | undefined
): Effect.Effect<void, ApiError> =>
  Effect.gen(function*() {
    const isBinding = resource === "rolebindings" || resource === "clusterrolebindings"
    if (!isBinding && resource !== "roles" && resource !== "clusterroles") return
    if (
      previous !== undefined && isDeepStrictEqual(withoutCollectorFields(next), withoutCollectorFields(previous))
    ) return
    const namespace = next.metadata.namespace ?? ""
    const { roleRef } = next as RoleBinding
    const exempt = yield* decide(store, user, {
      ...nothing,
      group,
      namespace,
      ...(isBinding
        ? { verb: "bind", resource: roleRef.kind === "ClusterRole" ? "clusterroles" : "roles", name: roleRef.name }
        : { verb: "escalate", resource, name: previous === undefined ? "" : next.metadata.name })
    })
    if (exempt.allowed) return
    const role: Role = isBinding ? yield* roleOf(store, roleRef, namespace) : next
    const { grants } = yield* grantsOf(store, user, namespace)
    const isHeld = (part: Attributes) => grants.some(({ rule }) => ruleAllows(rule, part))
    const refused = (why: string) => forbidden(qualifiedName(resource), next.metadata.name, why)
    const missing = (role.rules ?? []).flatMap(partsOf).filter((part) => !isHeld(part))
    if (missing.length > 0) {
      return yield* refused(
        `user ${JSON.stringify(user.name)} (groups=${quoted(user.groups)}) is attempting to grant RBAC permissions ` +
          `not currently held:\n${describe(missing)}`
      )
    }
    const everything = { ...nothing, verb: "*", group: "*", resource: "*" }
    if (!isBinding && role.aggregationRule !== undefined && !isHeld(everything)) {
      return yield* refused("must have cluster-admin privileges to use the aggregationRule")
    }
  })
