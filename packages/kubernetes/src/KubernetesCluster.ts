/**
 * The `Cluster` port over a real API server.
 */
import { Duration, Effect, Layer } from "effect"
import { type ClaimManifest, Cluster, type ClusterError } from "kuberun"
import * as ApiAccess from "./ApiAccess.ts"
import * as ApiCall from "./ApiCall.ts"
import type { ClusterSource } from "./ClusterSource.ts"
import * as Exec from "./Exec.ts"
import { encode } from "./ExecWire.ts"
import * as Leases from "./Leases.ts"
import { checked } from "./ObjectName.ts"
import * as Pods from "./Pods.ts"
import * as TokenBucket from "./TokenBucket.ts"

/** How this adapter behaves, where its source does not say. */
export interface KubernetesOptions {
  /**
   * Time limit of one call, and of the way to an open stream. Wins over the one in a `Connection` source. Admission
   * webhooks may take 30 s each (their own upper limit), hence the default of 45 s.
   */
  readonly callTimeout?: Duration.Input | undefined
  /**
   * At most `qps` calls a second after a burst of `burst`, in front of every call: also the list and the watch of a
   * watch, an exec, an attach. For a source that does not say it itself; left out there: no limit. A kubeconfig has no
   * place for it.
   */
  readonly limit?: { readonly qps: number; readonly burst: number } | undefined
}

const DEFAULT_CALL_TIMEOUT = Duration.seconds(45)

/** The operations over one way to the API server. */
const make = (access: ApiAccess.ApiAccess, options: ApiCall.ApiCallOptions): Cluster["Service"] => {
  const api = ApiCall.make(access, options)
  return {
    ...Pods.make(api),
    ...Leases.make(api),
    createClaim: Effect.fn("KubernetesCluster.createClaim")(function*(claim: ClaimManifest) {
      const { name, namespace } = claim.metadata
      const operation = `create persistent volume claim ${namespace}/${name}`
      yield* checked(operation, claim.metadata)
      const path = `/api/v1/namespaces/${encode(namespace)}/persistentvolumeclaims`
      yield* api.json(operation, { method: "POST", path, body: claim })
    }),
    exec: Effect.fn("KubernetesCluster.exec")(function*(request) {
      yield* checked(`run a program in pod ${request.pod.namespace}/${request.pod.name}`, request.pod)
      return yield* Exec.exec(access, options, request)
    }),
    attach: Effect.fn("KubernetesCluster.attach")(function*(request) {
      yield* checked(`connect with pod ${request.pod.namespace}/${request.pod.name}`, request.pod)
      return yield* Exec.attach(access, options, request)
    })
  }
}

/**
 * `Cluster` over the API server that the source names. Building it reads the configuration (and fails with
 * `Misconfigured` when that cannot be used) but asks the server nothing: whether it answers, the first call tells.
 * Connections are kept for the next call, and closed with the layer.
 */
export const layer = (
  source: ClusterSource,
  options: KubernetesOptions = {}
): Layer.Layer<Cluster, ClusterError> =>
  Layer.effect(
    Cluster,
    Effect.gen(function*() {
      const access = yield* ApiAccess.make(source)
      const connection = source._tag === "Connection" ? source.connection : undefined
      const limit = connection ?? options.limit
      const turn = limit !== undefined && limit.qps > 0
        ? yield* TokenBucket.make(limit.qps, limit.burst)
        : () => Effect.void
      const timeout = options.callTimeout ?? connection?.timeout ?? DEFAULT_CALL_TIMEOUT
      return Cluster.of(make(access, { timeout: Duration.fromInputUnsafe(timeout), turn }))
    })
  )
