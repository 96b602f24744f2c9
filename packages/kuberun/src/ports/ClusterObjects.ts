/**
 * What this library reads and writes of Kubernetes beside pods: Leases, claims, and changes of metadata. Plain data with
 * the API's own field names.
 */
import type { PodMetadata } from "./Pod.ts"

/** Labels and annotations to set, or with `null` to take away (RFC 7386). What is not named stays. */
export interface MetadataPatch {
  readonly labels?: Readonly<Record<string, string | null>> | undefined
  readonly annotations?: Readonly<Record<string, string | null>> | undefined
}

/** Where a Lease is. */
export interface LeaseRef {
  readonly namespace: string
  readonly name: string
}

/** `coordination.k8s.io/v1.LeaseSpec`. Times are RFC 3339 with microseconds (`metav1.MicroTime`). */
export interface LeaseSpec {
  readonly holderIdentity: string
  readonly leaseDurationSeconds: number
  readonly acquireTime: string
  readonly renewTime: string
}

/** What is sent to create a Lease. */
export interface LeaseManifest {
  readonly apiVersion: "coordination.k8s.io/v1"
  readonly kind: "Lease"
  readonly metadata: PodMetadata
  readonly spec: LeaseSpec
}

/** A Lease as the API server tells it; another's may lack any part of its spec. */
export interface Lease {
  readonly metadata: PodMetadata
  readonly spec?: Partial<LeaseSpec>
}

/** A `core/v1.PersistentVolumeClaim` to create. */
export interface ClaimManifest {
  readonly apiVersion: "v1"
  readonly kind: "PersistentVolumeClaim"
  readonly metadata: PodMetadata
  readonly spec: {
    readonly accessModes: ReadonlyArray<string>
    readonly resources: { readonly requests: { readonly storage: string } }
    readonly storageClassName?: string
  }
}
