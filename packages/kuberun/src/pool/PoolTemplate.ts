/**
 * A pod in waiting as it is sent to the API server, and what a claim makes of it. Pure.
 *
 * A free pod carries the installation's labels, `kuberun.dev/mode=pool` and `kuberun.dev/pool=<class>`. A claim takes the
 * second away, sets the first to the mode of the pod that it is from then on, and writes down whose it is.
 */
import type { Config } from "../config/Config.ts"
import type { LabelQuery } from "../ports/Cluster.ts"
import type { MetadataPatch } from "../ports/ClusterObjects.ts"
import type { Identity } from "../ports/Identity.ts"
import type { Pod, PodManifest } from "../ports/Pod.ts"
import { fingerprint } from "../template/Fingerprint.ts"
import { installationLabels, modeKey, poolKey, replicaKey, templateKey } from "../template/Labels.ts"
import { ownerPatch, poolManifest } from "../template/PodTemplate.ts"

/** What free pods have as their mode. */
const freeMode = "pool"

/** The free pods of all classes. */
export const freePods = (config: Config): LabelQuery => ({
  namespace: config.pod.namespace,
  labels: { ...installationLabels(config), [modeKey]: freeMode }
})

/** JSON that does not depend on the order in which keys were written. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => one < other ? -1 : 1))
      : part)

/** Changes when, and only when, what free pods of this class are made from does. */
export const poolTemplate = (config: Config, poolClass: string): string =>
  fingerprint(canonical(poolManifest(config, "", poolClass)))

/** The pod to create. */
export const freeManifest = (
  config: Config,
  options: { readonly replicaId: string; readonly poolClass: string; readonly template: string; readonly name: string }
): PodManifest => {
  const manifest = poolManifest(config, options.name, options.poolClass)
  return {
    ...manifest,
    metadata: {
      ...manifest.metadata,
      labels: { ...manifest.metadata.labels, [modeKey]: freeMode, [poolKey]: options.poolClass },
      annotations: {
        ...manifest.metadata.annotations,
        [replicaKey]: options.replicaId,
        [templateKey]: options.template
      }
    }
  }
}

/** Whether a pod that was found by `freePods` waits still. */
export const isFree = (pod: Pod): boolean =>
  pod.metadata.labels?.[modeKey] === freeMode && pod.metadata.labels[poolKey] !== undefined

/** The change that makes a free pod this connection's, at once and as a whole. */
export const claimPatch = (config: Config, identity: Identity, replicaId: string): MetadataPatch => {
  const owner = ownerPatch(config, identity)
  return {
    labels: { ...owner.labels, [modeKey]: config.pod.mode, [poolKey]: null },
    annotations: { ...owner.annotations, [replicaKey]: replicaId }
  }
}

/**
 * A change of a free pod that leaves it free. Sent in place of a claim, for the same state, it makes sure that the claim
 * is not carried out any more. The annotation has no other meaning; its value is new with every connection, because a
 * change that changes nothing would leave the pod in its state.
 */
export const withdrawal = (identity: Identity): MetadataPatch => ({
  annotations: { "kuberun.dev/withdrawn": identity.connectionId }
})

const patched = (
  before: Readonly<Record<string, string>> | undefined,
  changes: Readonly<Record<string, string | null>> | undefined
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries({ ...before, ...changes }).flatMap(([key, value]) => value === null ? [] : [[key, value]])
  )

/** The pod as it is when the claim was carried out: what `isFrom` compares with. */
export const claimedManifest = (pod: Pod, patch: MetadataPatch): PodManifest => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: pod.metadata.name,
    namespace: pod.metadata.namespace,
    labels: patched(pod.metadata.labels, patch.labels),
    annotations: patched(pod.metadata.annotations, patch.annotations)
  },
  spec: pod.spec ?? { containers: [] }
})
