/**
 * Leases (`coordination.k8s.io/v1`) as the port asks for them.
 */
import { Effect } from "effect"
import { type Cluster, type ClusterError, type Lease, type LeaseManifest, ProtocolViolation, Rejected } from "kuberun"
import type { ApiCall } from "./ApiCall.ts"
import { failed, isRecord } from "./ApiFault.ts"
import { encode } from "./ExecWire.ts"
import { checked, checkedNamespace } from "./ObjectName.ts"
import { deleteOptions } from "./Preconditions.ts"
import { labelSelector, query } from "./Selector.ts"
import { listed } from "./Watch.ts"

const collection = (namespace: string): string => `/apis/coordination.k8s.io/v1/namespaces/${encode(namespace)}/leases`

const isLease = (value: unknown): value is Lease =>
  isRecord(value) && isRecord(value["metadata"]) && typeof value["metadata"]["name"] === "string" &&
  typeof value["metadata"]["namespace"] === "string"

const asLease = (operation: string) => (value: unknown): Effect.Effect<Lease, ClusterError> =>
  isLease(value)
    ? Effect.succeed(value)
    : Effect.fail(failed(operation)(new ProtocolViolation({ detail: "the API server's answer is not a Lease" })))

/** The operations over one way to the API server. */
export const make = (
  api: ApiCall
): Pick<Cluster["Service"], "createLease" | "updateLease" | "listLeases" | "deleteLease"> => ({
  createLease: Effect.fn("Leases.createLease")(function*(lease: LeaseManifest) {
    const { name, namespace } = lease.metadata
    const operation = `create lease ${namespace}/${name}`
    yield* checked(operation, lease.metadata)
    const answer = yield* api.json(operation, { method: "POST", path: collection(namespace), body: lease })
    return yield* asLease(operation)(answer)
  }),

  updateLease: Effect.fn("Leases.updateLease")(function*(lease: Lease) {
    const { name, namespace, resourceVersion } = lease.metadata
    const operation = `renew lease ${namespace}/${name}`
    yield* checked(operation, lease.metadata)
    // Without one, an older or more lenient server would write over whatever is there.
    if (resourceVersion === undefined || resourceVersion === "") {
      const detail = "metadata.resourceVersion is missing: it says which state is replaced"
      return yield* failed(operation)(new Rejected({ status: 422, detail }))
    }
    const body = { ...lease, apiVersion: "coordination.k8s.io/v1", kind: "Lease" }
    const path = `${collection(namespace)}/${encode(name)}`
    return yield* asLease(operation)(yield* api.json(operation, { method: "PUT", path, body }))
  }),

  listLeases: Effect.fn("Leases.listLeases")(function*({ labels, namespace }) {
    const operation = `list leases in ${namespace}`
    yield* checkedNamespace(operation, namespace)
    const path = `${collection(namespace)}?${query(yield* labelSelector(operation, labels))}`
    const { items } = yield* listed(operation, yield* api.json(operation, { method: "GET", path }))
    return yield* Effect.forEach(items, asLease(operation))
  }),

  deleteLease: Effect.fn("Leases.deleteLease")(function*(lease, precondition) {
    const operation = `delete lease ${lease.namespace}/${lease.name}`
    yield* checked(operation, lease)
    const path = `${collection(lease.namespace)}/${encode(lease.name)}`
    yield* api.json(operation, { method: "DELETE", path, body: deleteOptions(precondition) })
  })
})
