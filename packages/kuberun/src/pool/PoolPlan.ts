/**
 * What one replica does now to keep the pool as it should be. Pure.
 *
 * All replicas keep the same pool and talk to each other through the cluster only. What keeps them out of each other's
 * way: who claims a pod replaces it at once, while the others give that a moment; of too many pods all choose the same
 * ones to go, and each deletes its own; what another replica made and left alone for a while, anybody may tidy up.
 */

/** A free pod, as far as it matters for planning. Times are milliseconds of this replica's clock. */
export interface WaitingPod {
  readonly uid: string
  readonly name: string
  readonly poolClass: string
  /** The fingerprint of the template that it was made from. */
  readonly template: string
  /** The replica that made it. */
  readonly replica: string
  /**
   * `starting`: on its way, on a node; `held`: it waits for a node, or for an image that cannot be pulled yet; `failed`:
   * it has ended or will not become ready; `leaving`: somebody deletes it.
   */
  readonly state: "ready" | "starting" | "held" | "failed" | "leaving"
  /** The API server's word for when it was made, by which all replicas put the pods in the same order. */
  readonly created: string
  readonly firstSeen: number
  /** Since when it exists at least. */
  readonly existsSince: number
}

export interface PoolFacts {
  readonly now: number
  readonly replica: string
  /** How many pods should wait for each class. */
  readonly sizes: ReadonlyMap<string, number>
  /** The fingerprint of the present template of each class. */
  readonly templates: ReadonlyMap<string, string>
  readonly maxAge: number
  /** A pod that is not ready after so long counts as failed. */
  readonly startTimeout: number
  /** How long this replica looks on when pods are missing that it does not owe. */
  readonly fillDelay: number
  /** Without those that are being claimed or deleted by this replica. */
  readonly waiting: ReadonlyArray<WaitingPod>
  /** The class of each creation that was asked for and whose pod was not seen yet. */
  readonly asked: ReadonlyArray<string>
  /** How many pods of each class this replica has claimed and not replaced yet. */
  readonly owed: ReadonlyMap<string, number>
  /** Since when pods of a class are missing, for those where any are. */
  readonly shortSince: ReadonlyMap<string, number>
  /** No pod is created before this time, because creations failed. */
  readonly pausedUntil: number
  /** How many creations may begin now. */
  readonly slots: number
}

export type RemovalReason = "failed" | "outdated" | "surplus" | "aged"

export interface PoolPlan {
  /** The class of each pod to create. */
  readonly create: ReadonlyArray<string>
  readonly remove: ReadonlyArray<{ readonly pod: WaitingPod; readonly reason: RemovalReason }>
  /** `shortSince` of the next facts. */
  readonly shortSince: ReadonlyMap<string, number>
  /** When the plan may be another although nothing has happened; `undefined`: never. */
  readonly again: number | undefined
}

/**
 * How long a replica leaves alone what another made and should tidy up itself: while configurations change, replicas
 * with the old and the new one each keep pods of their own, and do not delete the other's as fast as they are made.
 */
export const othersPatience = 60_000

type Standing = "fresh" | "aged" | "outdated" | "failed" | "leaving"

const standing = (pod: WaitingPod, facts: PoolFacts): Standing => {
  if (pod.state === "leaving") return "leaving"
  if (pod.template !== facts.templates.get(pod.poolClass)) return "outdated"
  if (pod.state === "failed") return "failed"
  if (pod.state !== "ready" && facts.now - pod.firstSeen >= facts.startTimeout) return "failed"
  return facts.now - pod.existsSince >= facts.maxAge ? "aged" : "fresh"
}

const compare = (one: string, other: string): number => one < other ? -1 : one > other ? 1 : 0

const oldestFirst = (one: WaitingPod, other: WaitingPod): number =>
  compare(one.created, other.created) || compare(one.name, other.name)

const readyFirst = (one: WaitingPod, other: WaitingPod): number =>
  Number(other.state === "ready") - Number(one.state === "ready")

/** What of one class is too much: beyond its size, or old and replaced. */
const tooMany = (size: number, fresh: ReadonlyArray<WaitingPod>, aged: ReadonlyArray<WaitingPod>) => {
  const ready = fresh.filter(({ state }) => state === "ready").length
  // An old pod stays until there is a ready one in its place.
  const replaced = aged.toSorted((one, other) => readyFirst(one, other) || oldestFirst(other, one))
    .slice(Math.max(0, size - ready))
  return [
    ...fresh.toSorted((one, other) => readyFirst(one, other) || oldestFirst(one, other)).slice(size).map((pod) => ({
      pod,
      reason: "surplus" as const
    })),
    ...replaced.map((pod) => ({ pod, reason: "aged" as const }))
  ]
}

/** Decides. Asked again with the same facts at any time before `again`, it says the same. */
export const poolPlan = (facts: PoolFacts): PoolPlan => {
  const { now } = facts
  const standings = new Map(facts.waiting.map((pod) => [pod, standing(pod, facts)]))
  const of = (wanted: Standing) => facts.waiting.filter((pod) => standings.get(pod) === wanted)
  const create: Array<string> = []
  const shortSince = new Map<string, number>()
  const times: Array<number> = [
    ...of("fresh").map((pod) => pod.existsSince + facts.maxAge),
    ...[...of("fresh"), ...of("aged")].filter(({ state }) => state !== "ready")
      .map((pod) => pod.firstSeen + facts.startTimeout)
  ]
  const unwanted: Array<{ readonly pod: WaitingPod; readonly reason: RemovalReason }> = [
    ...of("failed").map((pod) => ({ pod, reason: "failed" as const })),
    ...of("outdated").map((pod) => ({ pod, reason: "outdated" as const }))
  ]
  for (const [poolClass, size] of facts.sizes) {
    const inClass = (pod: WaitingPod): boolean => pod.poolClass === poolClass
    const fresh = of("fresh").filter(inClass)
    unwanted.push(...tooMany(size, fresh, of("aged").filter(inClass)))
    const missing = size - fresh.length - facts.asked.filter((asked) => asked === poolClass).length
    if (missing <= 0) continue
    const since = facts.shortSince.get(poolClass) ?? now
    shortSince.set(poolClass, since)
    const fillAt = Math.max(since + facts.fillDelay, facts.pausedUntil)
    const owed = now >= facts.pausedUntil ? Math.min(missing, facts.owed.get(poolClass) ?? 0) : 0
    const begin = Math.min(now >= fillAt ? missing : owed, facts.slots - create.length)
    create.push(...Array.from({ length: begin }, () => poolClass))
    times.push(fillAt, facts.pausedUntil)
  }
  const mayRemoveAt = (pod: WaitingPod): number => pod.replica === facts.replica ? now : pod.firstSeen + othersPatience
  times.push(...unwanted.map(({ pod }) => mayRemoveAt(pod)))
  const later = times.filter((time) => time > now)
  return {
    create,
    remove: unwanted.filter(({ pod }) => mayRemoveAt(pod) <= now),
    shortSince,
    again: later.length === 0 ? undefined : Math.min(...later)
  }
}

/**
 * The pod that a claim should try first. A ready one, made by this replica if there is one, so that replicas seldom try
 * the same, and the oldest of those; one that is past its age where there is no other. Where none is ready, the oldest
 * that is being started on a node: it has gone through what a new one still has before it. One that is held up by
 * something is no better than a new one.
 */
export const pick = (facts: PoolFacts, poolClass: string): WaitingPod | undefined => {
  const rank = (pod: WaitingPod): number => {
    const place = standing(pod, facts)
    if (pod.poolClass !== poolClass || (place !== "fresh" && place !== "aged")) return Number.POSITIVE_INFINITY
    if (pod.state === "ready") return place === "fresh" ? 0 : 1
    return pod.state === "starting" ? 2 : Number.POSITIVE_INFINITY
  }
  return facts.waiting.filter((pod) => Number.isFinite(rank(pod))).toSorted((one, other) =>
    rank(one) - rank(other) ||
    Number(other.replica === facts.replica) - Number(one.replica === facts.replica) || oldestFirst(one, other)
  )[0]
}
