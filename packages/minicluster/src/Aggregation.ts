/** ClusterRoles that are put together from others by labels (`pkg/controller/clusterroleaggregation` of Kubernetes). */
import { Effect, Schedule } from "effect"
import { isDeepStrictEqual } from "node:util"
import { type LabelSelector, type PolicyRule, type Role } from "./Objects.ts"
import { type Store } from "./Store.ts"

const selects = ({ matchExpressions = [], matchLabels = {} }: LabelSelector, role: Role): boolean => {
  const labels = role.metadata.labels ?? {}
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key]
      const isIn = value !== undefined && values.includes(value)
      return { In: isIn, NotIn: !isIn, Exists: value !== undefined, DoesNotExist: value === undefined }[operator] ??
        false
    })
}

/** The rules of those in `all` that `role` gathers, in the order of their names, each once. */
export const aggregated = (role: Role, all: ReadonlyArray<Role>): ReadonlyArray<PolicyRule> => {
  const rules: Array<PolicyRule> = []
  const sources = all.toSorted((left, right) => left.metadata.name < right.metadata.name ? -1 : 1)
  for (const selector of role.aggregationRule?.clusterRoleSelectors ?? []) {
    for (const source of sources) {
      if (source.metadata.name === role.metadata.name || !selects(selector, source)) continue
      for (const rule of source.rules ?? []) if (!rules.some((one) => isDeepStrictEqual(one, rule))) rules.push(rule)
    }
  }
  return rules
}

const aggregateAll = Effect.fnUntraced(function*(store: Store) {
  const { items } = yield* store.list("clusterroles", undefined)
  for (const role of items) {
    if (role.aggregationRule === undefined) continue
    const rules = aggregated(role, items)
    if (isDeepStrictEqual(role.rules ?? [], rules)) continue
    // Whoever was deleted meanwhile needs no rules.
    yield* Effect.ignore(store.update("clusterroles", "", role.metadata.name, (current) => ({ ...current, rules })))
  }
})

/** Keeps them so, until it is interrupted. */
export const keepAggregated = (store: Store): Effect.Effect<never> =>
  Effect.scoped(Effect.gen(function*() {
    const { next } = yield* store.follow(yield* store.version)
    yield* aggregateAll(store)
    return yield* Effect.forever(Effect.flatMap(next, (changes) =>
      changes.some(({ resource }) => resource === "clusterroles")
        ? aggregateAll(store)
        : Effect.void))
  })).pipe(
    // The history went by faster than this could read it.
    Effect.retry(Schedule.spaced("100 millis")),
    Effect.orDie
  )
