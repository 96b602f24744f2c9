/**
 * Who holds a pod that several connections share: annotations of the pod, one for each connection, so that replicas and
 * restarts agree. Pure.
 *
 * All are written under the pod's `resourceVersion`: whoever sees a pod without a holder and deletes it in that very state
 * cannot meet one who has just taken hold of it.
 */
import type { MetadataPatch } from "../ports/ClusterObjects.ts"
import type { Pod } from "../ports/Pod.ts"
import { holderPrefix } from "../template/Labels.ts"
import { labelValue } from "../template/SafeText.ts"

/** One connection's hold. */
export interface Holder {
  /** The annotation's key. */
  readonly key: string
  /** The replica that serves the connection. */
  readonly replica: string
  /** False where that replica has no Lease: whether it lives is known to nobody else. */
  readonly leased: boolean
}

/** Annotation: differs after every release, so that the time since the last one can be told from any before. */
export const releaseKey = "kuberun.dev/released"

const withoutLease = " (without a Lease)"

/** What a replica writes as the value of its holders. */
export const holderValue = (replica: string, leased: boolean): string => `${replica}${leased ? "" : withoutLease}`

/** The annotation of a connection. Its name has a label value's alphabet and length (at least one character). */
export const holderKey = (connectionId: string): string => `${holderPrefix}${labelValue(connectionId) || "0"}`

/** All that hold the pod, whether their replicas live or not. */
export const holdersOf = (pod: Pod): ReadonlyArray<Holder> =>
  Object.entries(pod.metadata.annotations ?? {}).filter(([key]) => key.startsWith(holderPrefix)).map((
    [key, value]
  ) => ({
    key,
    replica: value.endsWith(withoutLease) ? value.slice(0, -withoutLease.length) : value,
    leased: !value.endsWith(withoutLease)
  }))

/** Whether this replica's connection is among the pod's holders. */
export const isHeldBy = (pod: Pod, key: string, replica: string): boolean =>
  holdersOf(pod).some((holder) => holder.key === key && holder.replica === replica)

/** Takes hold. */
export const holdPatch = (key: string, value: string): MetadataPatch => ({ annotations: { [key]: value } })

/** Takes holders away. `release` is a text that no release before had. */
export const releasePatch = (keys: ReadonlyArray<string>, release: string): MetadataPatch => ({
  annotations: { ...Object.fromEntries(keys.map((key) => [key, null])), [releaseKey]: release }
})

/** The pod in the state since its last release: another release makes it another state. */
export const releaseOf = (pod: Pod): string =>
  `${pod.metadata.uid ?? ""} ${pod.metadata.annotations?.[releaseKey] ?? ""}`
