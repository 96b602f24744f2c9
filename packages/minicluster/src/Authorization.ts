/**
 * RBAC: what a user may do, by the roles and bindings in the store (`plugin/pkg/auth/authorizer/rbac` of Kubernetes).
 *
 * Roles only ever allow. The bindings are read anew for each request, so that a change is in force at once.
 */
import { Effect } from "effect"
import { type User } from "./Http.ts"
import { type PolicyRule, type Role, type RoleBinding } from "./Objects.ts"
import { type RequestInfo } from "./RequestInfo.ts"
import { type ApiError, notPermitted } from "./Status.ts"
import { type Store } from "./Store.ts"

/** What is asked for. With an empty `resource` it is the path. */
export type Attributes = RequestInfo

/** The group whose members are asked nothing (`authorizerfactory.NewPrivilegedGroups`). */
export const superusers = "system:masters"

const includes = (list: ReadonlyArray<string> | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value))

const coversPath = (pattern: string, path: string): boolean =>
  pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.replace(/\*+$/, "")))

/** `rbac.RuleAllows`. "*" in what is asked stands for itself: only a rule's own "*" covers it. */
export const ruleAllows = (rule: PolicyRule, asked: Attributes): boolean => {
  const { group, name, path, resource, subresource, verb } = asked
  if (!includes(rule.verbs, verb)) return false
  if (resource === "") return rule.nonResourceURLs?.some((pattern) => coversPath(pattern, path)) ?? false
  const isResource = subresource === ""
    ? includes(rule.resources, resource)
    : includes(rule.resources, `${resource}/${subresource}`) || rule.resources?.includes(`*/${subresource}`) === true
  const names = rule.resourceNames ?? []
  return isResource && includes(rule.apiGroups, group) && (names.length === 0 || names.includes(name))
}

type Subject = NonNullable<RoleBinding["subjects"]>[number]

/** A service account without a namespace is one of the binding's own, of which a cluster's binding has none. */
const namespaceOf = ({ namespace = "" }: Subject, bindingNamespace: string): string =>
  namespace === "" ? bindingNamespace : namespace

const isSubject = (user: User, subject: Subject, bindingNamespace: string): boolean => {
  switch (subject.kind) {
    case "User":
      return user.name === subject.name
    case "Group":
      return user.groups.includes(subject.name)
    case "ServiceAccount": {
      const namespace = namespaceOf(subject, bindingNamespace)
      return namespace !== "" && user.name === `system:serviceaccount:${namespace}:${subject.name}`
    }
    default:
      return false
  }
}

/** The role that a binding refers to, or 404. */
export const roleOf = (
  store: Store,
  { kind, name }: RoleBinding["roleRef"],
  namespace: string
): Effect.Effect<Role, ApiError> =>
  kind === "ClusterRole" ? store.get("clusterroles", "", name) : store.get("roles", namespace, name)

const sourceOf = ({ metadata, roleRef }: RoleBinding, subject: Subject): string => {
  const [kind, name] = metadata.namespace === undefined
    ? ["ClusterRoleBinding", metadata.name]
    : ["RoleBinding", `${metadata.name}/${metadata.namespace}`]
  const who = subject.kind === "ServiceAccount"
    ? `${subject.name}/${namespaceOf(subject, metadata.namespace ?? "")}`
    : subject.name
  return `${kind} "${name}" of ${roleRef.kind} "${roleRef.name}" to ${subject.kind} "${who}"`
}

/** One rule that is in force for a user, and the sentence that says by which binding. */
export interface Grant {
  readonly rule: PolicyRule
  readonly source: string
}

/**
 * All that a user holds: cluster-wide, and in `namespace` when that is not "". `problems` are the roles that are bound
 * and not there.
 */
export const grantsOf = (
  store: Store,
  user: User,
  namespace: string
): Effect.Effect<{ readonly grants: ReadonlyArray<Grant>; readonly problems: ReadonlyArray<string> }> =>
  Effect.gen(function*() {
    const everywhere = yield* store.list("clusterrolebindings", undefined)
    const here = namespace === "" ? { items: [] } : yield* store.list("rolebindings", namespace)
    const grants: Array<Grant> = []
    const problems = new Set<string>()
    for (const binding of [...everywhere.items, ...here.items]) {
      const within = binding.metadata.namespace ?? ""
      const subject = binding.subjects?.find((one) => isSubject(user, one, within))
      if (subject === undefined) continue
      const { kind, name } = binding.roleRef
      const role = yield* Effect.orElseSucceed(roleOf(store, binding.roleRef, within), () => undefined)
      if (role === undefined) problems.add(`${kind.toLowerCase()}.rbac.authorization.k8s.io "${name}" not found`)
      for (const rule of role?.rules ?? []) grants.push({ rule, source: sourceOf(binding, subject) })
    }
    return { grants, problems: Array.from(problems) }
  })

/** `reason` is empty where Kubernetes gives none. */
export interface Decision {
  readonly allowed: boolean
  readonly reason: string
}

export const decide = (store: Store, user: User, asked: Attributes): Effect.Effect<Decision> => {
  if (user.groups.includes(superusers)) return Effect.succeed({ allowed: true, reason: "" })
  const namespace = asked.resource === "" ? "" : asked.namespace
  return Effect.map(grantsOf(store, user, namespace), ({ grants, problems }) => {
    const grant = grants.find(({ rule }) => ruleAllows(rule, asked))
    if (grant !== undefined) return { allowed: true, reason: `RBAC: allowed by ${grant.source}` }
    const why = problems.length > 1 ? `[${problems.join(", ")}]` : problems.join("")
    return { allowed: false, reason: why === "" ? "" : `RBAC: ${why}` }
  })
}

/** `responsewriters.forbiddenMessage` */
const sentenceOf = (user: User, { group, namespace, path, resource, subresource, verb }: Attributes): string => {
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`
  if (resource === "") return `${who} path ${JSON.stringify(path)}`
  const what = subresource === "" ? resource : `${resource}/${subresource}`
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`
  return `${who} resource "${what}" in API group "${group}" ${where}`
}

/** Fails with the 403 that names user, verb and resource. */
export const authorize = (store: Store, user: User, asked: Attributes): Effect.Effect<void, ApiError> =>
  Effect.flatMap(decide(store, user, asked), ({ allowed, reason }) => {
    if (allowed) return Effect.void
    const { group, name, resource } = asked
    const sentence = [sentenceOf(user, asked), reason].filter((part) => part !== "").join(": ")
    return notPermitted(group === "" ? resource : `${resource}.${group}`, name, sentence)
  })

/**
 * What exec, attach and portforward are authorised as, each in turn: a WebSocket comes by GET, and must not be let in by
 * a rule that is meant for reading (Kubernetes 1.35, `AuthorizePodWebsocketUpgradeCreatePermission`).
 */
export const streamVerbs = (method: string): ReadonlyArray<string> => method === "GET" ? ["get", "create"] : ["create"]
