/**
 * Which replicas live, as one of them sees it: by whether their Leases change, measured with its own clock. Nothing is
 * compared with the times that others write, so no two machines need to agree on the time. Pure.
 */
import type { Lease } from "../ports/ClusterObjects.ts"

/** How long a Lease counts after its last change, where it does not say so itself. */
export const leaseSeconds = 30

interface SeenLease {
  /** The Lease in the state that was seen last; `undefined` where there is none. */
  readonly lease: Lease | undefined
  /** Since when it is known to be in this state (milliseconds). */
  readonly since: number
}

/** By the replica's id, which is the Lease's `holderIdentity`. */
export type ReplicaView = ReadonlyMap<string, SeenLease>

export const noReplicas: ReplicaView = new Map()

const mark = (lease: Lease | undefined): string | undefined =>
  lease && `${lease.metadata.uid ?? ""} ${lease.metadata.resourceVersion ?? ""}`

const holderOf = (lease: Lease): string => lease.spec?.holderIdentity ?? ""

const lasts = ({ lease }: SeenLease): number => (lease?.spec?.leaseDurationSeconds ?? leaseSeconds) * 1000

/**
 * What is known after all Leases were listed, the answer to which came at `now`. Of `asked` it is known as well since
 * when they have none. A replica that is neither asked about nor has a Lease is forgotten.
 */
export const withLeases = (
  view: ReplicaView,
  leases: ReadonlyArray<Lease>,
  asked: ReadonlyArray<string>,
  now: number
): ReplicaView => {
  const found = new Map(leases.map((lease) => [holderOf(lease), lease]))
  return new Map([...new Set([...found.keys(), ...asked])].map((id) => {
    const lease = found.get(id)
    const before = view.get(id)
    // A Lease that was deleted is no sign of life.
    const same = before !== undefined && (lease === undefined || mark(before.lease) === mark(lease))
    return [id, { lease, since: same ? before.since : now }]
  }))
}

/**
 * Whether the replica counts as living, where the Leases were asked for at `asked`. It does not when its Lease has not
 * changed, or when it has had none, for as long as a Lease lasts.
 */
export const lives = (view: ReplicaView, id: string, asked: number): boolean => {
  const seen = view.get(id)
  return seen === undefined || asked - seen.since < lasts(seen)
}

/** When the first of these that lives would be found dead; `undefined` where none does. */
export const nextDeath = (view: ReplicaView, ids: Iterable<string>, asked: number): number | undefined => {
  const times = [...ids].flatMap((id) => {
    const seen = view.get(id)
    return seen === undefined || !lives(view, id, asked) ? [] : [seen.since + lasts(seen)]
  })
  return times.length === 0 ? undefined : Math.min(...times)
}

/** How many times its duration a Lease outlives its replica, for whoever looks for what became of it. */
const keptDurations = 10

/** The Leases of replicas that died so long ago, for nobody to renew any more. */
export const deserted = (view: ReplicaView, asked: number): ReadonlyArray<Lease> =>
  [...view.values()].flatMap((seen) =>
    seen.lease !== undefined && asked - seen.since >= keptDurations * lasts(seen) ? [seen.lease] : []
  )
