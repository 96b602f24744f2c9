/** What a container may learn about its pod and itself: the downward API, for variables and for files. */
import { Effect } from "effect"
import { type Store } from "../api/Store.ts"
import { nodeAddress } from "../node/Node.ts"
import { type Container, type Pod, type ResourceFieldRef } from "../shapes/Objects.ts"
import { parseQuantity } from "../shapes/Quantity.ts"

/** As `fieldpath.FormatMap` writes labels and annotations: sorted, one `key="value"` a line. */
const formatMap = (map: Readonly<Record<string, string>> = {}): string =>
  Object.keys(map).toSorted().map((key) => `${key}=${JSON.stringify(map[key])}`).join("\n")

const fields: Readonly<Record<string, (pod: Pod) => string | undefined>> = {
  "metadata.name": ({ metadata }) => metadata.name,
  "metadata.namespace": ({ metadata }) => metadata.namespace,
  "metadata.uid": ({ metadata }) => metadata.uid,
  "metadata.labels": ({ metadata }) => formatMap(metadata.labels),
  "metadata.annotations": ({ metadata }) => formatMap(metadata.annotations),
  "spec.nodeName": ({ spec }) => spec.nodeName,
  "spec.serviceAccountName": ({ spec }) => spec.serviceAccountName,
  "status.hostIP": ({ status }) => status.hostIP ?? nodeAddress,
  "status.hostIPs": ({ status }) => status.hostIPs?.map(({ ip }) => ip).join() ?? nodeAddress,
  "status.podIP": ({ status }) => status.podIP ?? nodeAddress,
  "status.podIPs": ({ status }) => status.podIPs?.map(({ ip }) => ip).join() ?? nodeAddress
}

/** The value of a `fieldRef`; nothing for a path that there is not. A label that is not set is "". */
export const fieldValue = (pod: Pod, path: string): string | undefined => {
  const [, map, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? []
  if (key !== undefined) return pod.metadata[map === "labels" ? "labels" : "annotations"]?.[key] ?? ""
  const field = Object.hasOwn(fields, path) ? fields[path] : undefined
  return field === undefined ? undefined : field(pod) ?? ""
}

type Amounts = Readonly<Record<string, string | number>>

/** What the pod's node offers: in the place of a limit that is not set. */
export const allocatable = (store: Store, pod: Pod): Effect.Effect<Amounts> =>
  store.get("nodes", "", pod.spec.nodeName ?? "").pipe(
    Effect.map((node) => (node as { readonly status?: { readonly allocatable?: Amounts } }).status?.allocatable ?? {}),
    Effect.catch(() => Effect.succeed({}))
  )

/** `ExtractContainerResourceValue`: in units of the divisor, rounded up; 0 for a request that is not set. */
export const resourceValue = (
  spec: Container,
  { divisor = "1", resource }: ResourceFieldRef,
  node: Amounts
): string => {
  const [kind, name = ""] = resource.split(/\.(.*)/)
  const asked = kind === "limits" ? spec.resources?.limits?.[name] ?? node[name] : spec.resources?.requests?.[name]
  const amount = parseQuantity(asked ?? 0)?.amount ?? 0n
  const unit = parseQuantity(divisor)?.amount ?? 0n
  // A divisor of zero is one that is not set.
  const by = unit === 0n ? 1_000_000_000n : unit
  return String((amount + by - 1n) / by)
}
