/**
 * The pod of a connection as it is sent to the API server: the user's `podSpec` with the idle command in its console
 * container, and labels that tell whose it is. Pure.
 */
import { type Config, consoleContainer } from "./Config.ts"
import type { Identity } from "./Identity.ts"
import { installationLabels, managedBy, ownerKeys } from "./Labels.ts"
import type { Pod, PodManifest } from "./Pod.ts"

const longestLabel = 63

/** 64-bit FNV-1a over the text's UTF-16 units, in base 36: tells apart what sanitising made alike. */
const fingerprint = (text: string): string => {
  let hash = 0xcbf29ce484222325n
  for (let index = 0; index < text.length; index++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(index))) * 0x100000001b3n)
  }
  return hash.toString(36)
}

/**
 * A valid label value for any text (Kubernetes: at most 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends). A valid
 * text is kept; any other gets its odd characters replaced by dashes and ends in a fingerprint of the original.
 */
export const labelValue = (text: string): string => {
  if (text === "" || (text.length <= longestLabel && /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text))) {
    return text
  }
  const suffix = fingerprint(text)
  const kept = text.replaceAll(/[^A-Za-z0-9._-]/g, "-").replace(/^[._-]+/, "").slice(
    0,
    longestLabel - suffix.length - 1
  )
  return kept === "" ? suffix : `${kept}-${suffix}`
}

/** The pod to create under `name`. The configuration is left as it is. */
export const podManifest = (config: Config, owner: Identity, name: string): PodManifest => {
  const console = consoleContainer(config.pod)
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: config.pod.namespace,
      labels: {
        ...installationLabels(config),
        [ownerKeys.connectionId]: labelValue(owner.connectionId),
        [ownerKeys.remoteAddress]: labelValue(owner.remoteAddress),
        [ownerKeys.username]: labelValue(owner.username)
      },
      annotations: {
        [ownerKeys.connectionId]: owner.connectionId,
        [ownerKeys.remoteAddress]: owner.remoteAddress,
        [ownerKeys.username]: owner.username
      }
    },
    spec: {
      ...config.pod.podSpec,
      containers: config.pod.podSpec.containers.map((container) =>
        container === console ? { ...container, command: config.pod.idleCommand } : container
      )
    }
  }
}

/**
 * Whether this pod, found under the manifest's name, is the one that the manifest was sent for: it carries the same
 * connection. Asked where a create's answer was lost.
 */
export const isFrom = (manifest: PodManifest, pod: Pod): boolean =>
  pod.metadata.labels?.[managedBy.key] === managedBy.value &&
  pod.metadata.annotations?.[ownerKeys.connectionId] === manifest.metadata.annotations?.[ownerKeys.connectionId]
