/**
 * What a replica makes of the users' pods that it has listed. Pure.
 */
import { Duration } from "effect"
import type { Config } from "../config/Config.ts"
import type { Pod } from "../ports/Pod.ts"
import { type Holder, holdersOf } from "./Holders.ts"
import { lives, type ReplicaView } from "./ReplicaView.ts"

/** What a sweep knows beside the pods. */
export interface SweepFacts {
  readonly replica: string
  /** The keys of all holds of this replica, read after the pods were. */
  readonly open: ReadonlySet<string>
  readonly view: ReplicaView
  /** When the Leases were asked for (milliseconds); `undefined` where they cannot be read, and nobody counts as dead. */
  readonly asked: number | undefined
}

/**
 * Whether the hold still counts. This replica knows of its own; of others it does not know without their Lease, and
 * where they have none, what they hold stays held.
 */
const counts = ({ asked, open, replica, view }: SweepFacts, holder: Holder): boolean =>
  holder.replica === replica
    ? open.has(holder.key)
    : !holder.leased || asked === undefined || lives(view, holder.replica, asked)

/** The pod's holders whose replica has died, or has lost track of them. */
export const deadHolders = (pod: Pod, facts: SweepFacts): ReadonlyArray<string> =>
  holdersOf(pod).filter((holder) => !counts(facts, holder)).map(({ key }) => key)

/** The replicas, other than this one, on whose life it depends whether these pods are held. */
export const otherReplicas = (pods: ReadonlyArray<Pod>, replica: string): ReadonlySet<string> =>
  new Set(
    pods.flatMap((pod) => holdersOf(pod)).filter((holder) => holder.leased && holder.replica !== replica).map((
      holder
    ) => holder.replica)
  )

/** When each pod was first seen by this replica (milliseconds, its own clock), by identity. */
export type FirstSeen = ReadonlyMap<string, number>

/** The same after these, and no others, were seen at `now`. */
export const withSeen = (before: FirstSeen, pods: ReadonlyArray<Pod>, now: number): FirstSeen =>
  new Map(pods.map(({ metadata }) => {
    const uid = metadata.uid ?? ""
    return [uid, before.get(uid) ?? now]
  }))

/** Times of creation are in whole seconds. */
const timestampGrain = 1000

/**
 * A time of the API server's by our clock, at the latest; `undefined` where nothing is known of its clock. Both in
 * milliseconds.
 */
export const onOurClock = (created: number | undefined, clockLead: number | undefined): number | undefined =>
  created === undefined || clockLead === undefined ? undefined : created + clockLead + timestampGrain

/** When the pod was made, by our clock; `undefined` where that is not known. */
const madeAt = (pod: Pod, clockLead: number | undefined): number | undefined => {
  const created = Date.parse(pod.metadata.creationTimestamp ?? "")
  return onOurClock(Number.isNaN(created) ? undefined : created, clockLead)
}

/** Whether the pod has lived for as long as it may: its connections end, and nobody needs to begin another. */
export const hasExpired = (config: Config, pod: Pod, clockLead: number | undefined, now: number): boolean => {
  const made = madeAt(pod, clockLead)
  return config.pod.maxLifetime !== undefined && made !== undefined &&
    made + Duration.toMillis(config.pod.maxLifetime) <= now
}

/** The connections' own end comes first, also on a replica that knows less of the clocks: their users are told why. */
const farewell = 2000

/**
 * When the pod has outlived its lifetime, by our clock; `undefined` where it has no end. No two clocks are compared: the
 * pod's creation is placed on ours by the creation of something that we have seen being made (`clockLead`), or else
 * counts from when we first saw the pod. So it is never over too early, and later by no more than the service's last
 * start and a farewell.
 */
export const expiryOf = (
  config: Config,
  pod: Pod,
  firstSeen: FirstSeen,
  clockLead: number | undefined
): number | undefined => {
  const seen = firstSeen.get(pod.metadata.uid ?? "")
  if (config.pod.maxLifetime === undefined || seen === undefined) return undefined
  return Math.min(seen, madeAt(pod, clockLead) ?? seen) + Duration.toMillis(config.pod.maxLifetime) + farewell
}
