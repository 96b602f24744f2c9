/** ClusterRoles that are put together from others by labels (`pkg/controller/clusterroleaggregation` of Kubernetes). */
import { Effect, type Scope } from "effect"
import { isDeepStrictEqual } from "node:util"
import { inform } from "../api/Informer.ts"
import { type Store } from "../api/Store.ts"
import { type LabelSelector, type PolicyRule, type Role } from "../shapes/Roles.ts"

const selects = ({ matchExpressions = [], matchLabels = {} }: LabelSelector, { metadata: { labels = {} } }: Role) =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every(({ key, operator, values = [] }) => {
    const isThere = Object.hasOwn(labels, key)
    const isIn = isThere && values.includes(labels[key] ?? "")
    return { In: isIn, NotIn: !isIn, Exists: isThere, DoesNotExist: !isThere }[operator] ?? false
  })

/** The rules of those in `all` that `role` gathers, in the order of their names, each once. */
const aggregated = (role: Role, all: ReadonlyArray<Role>): ReadonlyArray<PolicyRule> =>
  (role.aggregationRule?.clusterRoleSelectors ?? [])
    .flatMap((selector) => all.filter((source) => source !== role && selects(selector, source)))
    .toSorted((left, right) => left.metadata.name < right.metadata.name ? -1 : 1)
    .flatMap(({ rules }) => rules ?? [])
    .filter((rule, index, rules) => rules.findIndex((one) => isDeepStrictEqual(one, rule)) === index)

/** Gathers once, until there is no more to gather. */
export const aggregateRoles = (store: Store): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { items } = yield* store.list("clusterroles", undefined)
    const role = items.find((one) =>
      one.aggregationRule !== undefined && !isDeepStrictEqual(one.rules ?? [], aggregated(one, items))
    )
    if (role === undefined) return
    const rules = aggregated(role, items)
    // Whoever was deleted meanwhile needs no rules.
    yield* Effect.ignore(store.update("clusterroles", "", role.metadata.name, (current) => ({ ...current, rules })))
    yield* aggregateRoles(store)
  })

/** Gathers anew with each change of a ClusterRole, for as long as the scope. */
export const keepAggregated = (store: Store): Effect.Effect<void, never, Scope.Scope> =>
  inform(store, {
    relist: aggregateRoles(store),
    change: ({ resource }) => resource === "clusterroles" ? aggregateRoles(store) : Effect.void
  })
