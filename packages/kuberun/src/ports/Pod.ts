/**
 * The part of a Kubernetes Pod that this library reads and writes, as plain data with the API's own field names
 * (Kubernetes API reference, `core/v1`). Unknown fields are carried along untouched. Times are RFC 3339 strings.
 */

/** Where a pod is: its namespace and name. */
export interface PodRef {
  readonly namespace: string
  readonly name: string
}

/** `metav1.ObjectMeta`, as far as it is used. */
export interface PodMetadata {
  readonly name: string
  readonly namespace: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
}

/** `core/v1.Container`: everything but the name is the user's. */
export interface Container {
  readonly name: string
  readonly image?: string
  readonly command?: ReadonlyArray<string>
  readonly [field: string]: unknown
}

/** `core/v1.PodSpec`: the user's, with at least one container. */
export interface PodSpec {
  readonly containers: ReadonlyArray<Container>
  readonly [field: string]: unknown
}

/** What is sent to create a pod. */
export interface PodManifest {
  readonly apiVersion: "v1"
  readonly kind: "Pod"
  readonly metadata: PodMetadata
  readonly spec: PodSpec
}

/** `core/v1.ContainerState`: at most one of the three is present. */
export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string }
  readonly running?: { readonly startedAt?: string }
  readonly terminated?: {
    readonly exitCode: number
    readonly signal?: number
    readonly reason?: string
    readonly message?: string
  }
}

/** `core/v1.ContainerStatus`. The order of a pod's statuses is not that of its containers: look them up by name. */
export interface ContainerStatus {
  readonly name: string
  readonly ready?: boolean
  readonly started?: boolean
  readonly restartCount?: number
  readonly image?: string
  readonly state?: ContainerState
  readonly lastState?: ContainerState
}

/** `core/v1.PodCondition`. */
export interface PodCondition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}

/** `core/v1.PodStatus`. */
export interface PodStatus {
  readonly phase?: string
  readonly reason?: string
  readonly message?: string
  readonly conditions?: ReadonlyArray<PodCondition>
  readonly initContainerStatuses?: ReadonlyArray<ContainerStatus>
  readonly containerStatuses?: ReadonlyArray<ContainerStatus>
}

/** A pod as the API server tells it. */
export interface Pod {
  readonly metadata: PodMetadata
  readonly spec?: PodSpec
  readonly status?: PodStatus
}
