/**
 * RBAC: what a user may do, by the roles and bindings in the store (`plugin/pkg/auth/authorizer/rbac` of Kubernetes).
 *
 * Roles only ever allow. The bindings are read anew for each request, so that a change is in force at once.
 */
import { Effect } from "effect"
import { type User } from "../api/Http.ts"
import { type RequestInfo } from "../api/RequestInfo.ts"
import { type ApiError, notPermitted } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type PolicyRule, type Role, type RoleBinding } from "../shapes/Roles.ts"

/** What is asked for. With an empty `resource` it is the path. */
export type Attributes = RequestInfo
export const none: Attributes = {
  verb: "",
  group: "",
  resource: "",
  subresource: "",
  namespace: "",
  name: "",
  path: ""
}

/** The group whose members are asked nothing (`authorizerfactory.NewPrivilegedGroups`). */
export const superusers = "system:masters"

const includes = (list: ReadonlyArray<string> | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value))

/** "pods", "pods/exec" */
const fullName = ({ resource, subresource }: Attributes) => subresource === "" ? resource : `${resource}/${subresource}`

/** `rbac.RuleAllows`. "*" in what is asked stands for itself: only a rule's own "*" covers it. */
export const ruleAllows = (rule: PolicyRule, asked: Attributes): boolean => {
  const { nonResourceURLs = [], resourceNames = [], resources } = rule
  if (!includes(rule.verbs, asked.verb)) return false
  if (asked.resource === "") {
    return nonResourceURLs.some((url) =>
      url === asked.path || (url.endsWith("*") && asked.path.startsWith(url.replace(/\*+$/, "")))
    )
  }
  const name = fullName(asked)
  return includes(rule.apiGroups, asked.group) &&
    // The second is "*/exec" for any "…/exec".
    (includes(resources, name) || includes(resources, name.replace(/^[^/]*/, "*"))) &&
    (resourceNames.length === 0 || resourceNames.includes(asked.name))
}

type Subject = NonNullable<RoleBinding["subjects"]>[number]

/** "NAMESPACE:NAME" of a service account. Without a namespace it is of the binding's; a cluster's binding has none. */
const accountOf = ({ name, namespace }: Subject, bindingNamespace: string) => [namespace || bindingNamespace, name]

const isSubject = (user: User, subject: Subject, bindingNamespace: string): boolean => {
  if (subject.kind === "Group") return user.groups.includes(subject.name)
  if (subject.kind === "User") return user.name === subject.name
  return user.name === `system:serviceaccount:${accountOf(subject, bindingNamespace).join(":")}`
}

/** The role that a binding refers to, or 404. */
export const roleOf = (store: Store, ref: RoleBinding["roleRef"], namespace: string): Effect.Effect<Role, ApiError> =>
  store.get(ref.kind === "ClusterRole" ? "clusterroles" : "roles", namespace, ref.name)

const sourceOf = ({ kind, metadata: { name, namespace }, roleRef }: RoleBinding, subject: Subject): string => {
  const binding = namespace === undefined ? name : `${name}/${namespace}`
  const account = accountOf(subject, namespace ?? "").toReversed().join("/")
  const who = subject.kind === "ServiceAccount" ? account : subject.name
  return `${kind} "${binding}" of ${roleRef.kind} "${roleRef.name}" to ${subject.kind} "${who}"`
}

/** All rules that a user holds, cluster-wide and in `namespace` when that is not "", each with the binding it is from. */
export interface Grants {
  readonly grants: ReadonlyArray<{ readonly rule: PolicyRule; readonly source: string }>
  /** Sentences about roles that are bound and not there. */
  readonly problems: ReadonlyArray<string>
}

export const grantsOf = (store: Store, user: User, namespace: string): Effect.Effect<Grants> =>
  Effect.gen(function*() {
    const everywhere = yield* store.list("clusterrolebindings", undefined)
    const here = namespace === "" ? { items: [] } : yield* store.list("rolebindings", namespace)
    const grants: Array<Grants["grants"][number]> = []
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
  return Effect.map(grantsOf(store, user, asked.resource === "" ? "" : asked.namespace), ({ grants, problems }) => {
    const grant = grants.find(({ rule }) => ruleAllows(rule, asked))
    if (grant !== undefined) return { allowed: true, reason: `RBAC: allowed by ${grant.source}` }
    const why = problems.length > 1 ? `[${problems.join(", ")}]` : problems[0]
    return { allowed: false, reason: why === undefined ? "" : `RBAC: ${why}` }
  })
}

/** `responsewriters.forbiddenMessage` */
const sentenceOf = (user: User, asked: Attributes): string => {
  const who = `User ${JSON.stringify(user.name)} cannot ${asked.verb}`
  if (asked.resource === "") return `${who} path ${JSON.stringify(asked.path)}`
  const where = asked.namespace === "" ? "at the cluster scope" : `in the namespace "${asked.namespace}"`
  return `${who} resource "${fullName(asked)}" in API group "${asked.group}" ${where}`
}

/** Fails with the 403 that names user, verb and resource. */
export const authorize = (store: Store, user: User, asked: Attributes): Effect.Effect<void, ApiError> =>
  Effect.flatMap(decide(store, user, asked), ({ allowed, reason }) => {
    if (allowed) return Effect.void
    const { group, name, resource } = asked
    const sentence = `${sentenceOf(user, asked)}${reason === "" ? "" : `: ${reason}`}`
    return notPermitted(group === "" ? resource : `${resource}.${group}`, name, sentence)
  })

/**
 * What exec, attach and portforward are authorised as, each in turn: a WebSocket comes by GET, and must not be let in by
 * a rule that is meant for reading (Kubernetes 1.35, `AuthorizePodWebsocketUpgradeCreatePermission`).
 */
export const streamVerbs = (method: string): ReadonlyArray<string> => method === "GET" ? ["get", "create"] : ["create"]
