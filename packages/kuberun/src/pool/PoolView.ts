/**
 * The free pods of an installation as one replica sees them: by a watch that may be late or silent, by lists that may
 * be older than what the watch has told meanwhile, and by the answers to its own requests. Pure.
 */
import type { Pod } from "../ports/Pod.ts"
import { isFree } from "./PoolTemplate.ts"

export interface SeenPod {
  readonly pod: Pod
  /** When this replica saw it first, by its own clock (milliseconds). */
  readonly firstSeen: number
  /** When, in this view's own counting, it was told of last. */
  readonly turn: number
}

export interface PoolView {
  /** Whether all pods were told once: before that, none seen does not mean none there. */
  readonly complete: boolean
  /** Counts what the view was told. */
  readonly turn: number
  /** By identity. */
  readonly pods: ReadonlyMap<string, SeenPod>
  /** Identities that are claimed or deleted, since when: none of them becomes free again, whatever an old list says. */
  readonly gone: ReadonlyMap<string, number>
  /**
   * Our clock minus the API server's, at most: learned from the creation times of pods when they are seen, so that no
   * two machines need to agree on the time.
   */
  readonly clockLead: number | undefined
}

export const emptyView: PoolView = { complete: false, turn: 0, pods: new Map(), gone: new Map(), clockLead: undefined }

/** How long an identity that is gone is remembered: longer than any list is old. */
const rememberGone = 600_000

const createdAt = (pod: Pod): number | undefined => {
  const millis = Date.parse(pod.metadata.creationTimestamp ?? "")
  return Number.isNaN(millis) ? undefined : millis
}

const learnClock = (view: PoolView, pod: Pod, now: number): number | undefined => {
  const created = createdAt(pod)
  return created === undefined ? view.clockLead : Math.min(now - created, view.clockLead ?? Number.POSITIVE_INFINITY)
}

/** The pod was claimed or deleted. */
export const without = (view: PoolView, uid: string, now: number): PoolView => {
  const pods = new Map(view.pods)
  pods.delete(uid)
  const gone = new Map([...view.gone].filter(([, since]) => now - since < rememberGone)).set(uid, now)
  return { ...view, turn: view.turn + 1, pods, gone }
}

/** The pod is there, in this state. */
export const withPod = (view: PoolView, pod: Pod, now: number): PoolView => {
  const uid = pod.metadata.uid ?? ""
  if (view.gone.has(uid)) return view
  if (!isFree(pod)) return without(view, uid, now)
  const turn = view.turn + 1
  const firstSeen = view.pods.get(uid)?.firstSeen ?? now
  return {
    ...view,
    turn,
    pods: new Map(view.pods).set(uid, { pod, firstSeen, turn }),
    clockLead: view.pods.has(uid) ? view.clockLead : learnClock(view, pod, now)
  }
}

/**
 * These were all, in an answer to a question that was asked at `asked` of this view's turns. What the view was told
 * since then is newer.
 */
export const withAll = (view: PoolView, pods: ReadonlyArray<Pod>, asked: number, now: number): PoolView => {
  const told = new Set(pods.map(({ metadata }) => metadata.uid ?? ""))
  const isNewer = (uid: string): boolean => (view.pods.get(uid)?.turn ?? 0) > asked
  const missing = [...view.pods.keys()].filter((uid) => !told.has(uid) && !isNewer(uid))
  const kept = missing.reduce((seen, uid) => without(seen, uid, now), view)
  const changed = pods.filter(({ metadata }) => !isNewer(metadata.uid ?? ""))
  return { ...changed.reduce((seen, pod) => withPod(seen, pod, now), kept), complete: true }
}

/**
 * The time, by our clock, since which the pod exists at least: since it was seen, or since its creation where enough is
 * known of the server's clock. Never too early, so that no pod is taken for older than it is.
 */
export const existsSince = (view: PoolView, { firstSeen, pod }: SeenPod): number => {
  const created = createdAt(pod)
  return created === undefined || view.clockLead === undefined ? firstSeen : created + view.clockLead
}
