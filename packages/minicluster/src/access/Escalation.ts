/**
 * Nobody grants what they do not hold: `pkg/registry/rbac/validation` and the policy-based storages of Kubernetes.
 *
 * Exempt are members of system:masters, and whoever has the verb `escalate` on the role, or `bind` on the role bound.
 */
import { Effect } from "effect"
import { type User } from "../api/Http.ts"
import { type ApiError, forbidden } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type KubeObject } from "../shapes/Objects.ts"
import { qualifiedName, type Resource } from "../shapes/Resources.ts"
import { type PolicyRule, type Role, type RoleBinding } from "../shapes/Roles.ts"
import { type Attributes, decide, grantsOf, none, roleOf, ruleAllows } from "./Authorization.ts"

const group = "rbac.authorization.k8s.io"

/** A rule as every single thing that it allows. */
const partsOf = ({ apiGroups = [], nonResourceURLs = [], resourceNames = [], resources = [], verbs }: PolicyRule) =>
  verbs.flatMap((verb): ReadonlyArray<Attributes> => [
    ...nonResourceURLs.map((path) => ({ ...none, verb, path })),
    ...apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        (resourceNames.length === 0 ? [""] : resourceNames).map((name) => ({ ...none, verb, group, resource, name }))
      )
    )
  ])

const quoted = (...list: ReadonlyArray<string>): string => `[${list.map((text) => JSON.stringify(text)).join(" ")}]`

/** As `CompactRules` and `CompactString` put it: a line for each resource, with the verbs that are missing. */
const describe = (missing: ReadonlyArray<Attributes>): string => {
  const verbs = new Map<string, Set<string>>()
  for (const { group, name, path, resource, verb } of missing) {
    const names = name === "" ? "" : `, ResourceNames:${quoted(name)}`
    const what = resource === ""
      ? `NonResourceURLs:${quoted(path)}`
      : `APIGroups:${quoted(group)}, Resources:${quoted(resource)}${names}`
    verbs.set(what, (verbs.get(what) ?? new Set()).add(verb))
  }
  return Array.from(verbs, ([what, set]) => `{${what}, Verbs:${quoted(...set)}}`).toSorted().join("\n")
}

/**
 * To be asked before a role or binding is written; every other resource passes. 403, or 404 for a role that is not
 * there. `isNew` is whether the object is being created, when a role has no name to be authorised by.
 */
export const checkEscalation = (
  store: Store,
  user: User,
  resource: Resource,
  next: KubeObject,
  isNew: boolean
): Effect.Effect<void, ApiError> =>
  Effect.gen(function*() {
    const isBinding = resource === "rolebindings" || resource === "clusterrolebindings"
    if (!isBinding && resource !== "roles" && resource !== "clusterroles") return
    const { name, namespace = "" } = next.metadata
    const { roleRef } = next as RoleBinding
    const asked = isBinding
      ? { verb: "bind", resource: roleRef.kind === "ClusterRole" ? "clusterroles" : "roles", name: roleRef.name }
      : { verb: "escalate", resource, name: isNew ? "" : name }
    if ((yield* decide(store, user, { ...none, group, namespace, ...asked })).allowed) return
    const role: Role = isBinding ? yield* roleOf(store, roleRef, namespace) : next
    const { grants } = yield* grantsOf(store, user, namespace)
    // What gathers rules by labels may come to hold anything.
    const anything = isBinding || role.aggregationRule === undefined ? [] : [
      { verbs: ["*"], apiGroups: ["*"], resources: ["*"] }
    ]
    const missing = [...role.rules ?? [], ...anything].flatMap(partsOf).filter((part) =>
      !grants.some(({ rule }) => ruleAllows(rule, part))
    )
    if (missing.length === 0) return
    const why = `is attempting to grant RBAC permissions not currently held:\n${describe(missing)}`
    const who = `user ${JSON.stringify(user.name)} (groups=${quoted(...user.groups)})`
    return yield* forbidden(qualifiedName(resource), name, `${who} ${why}`)
  })
