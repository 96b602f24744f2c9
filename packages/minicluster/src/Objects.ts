/** The Kubernetes objects that the cluster keeps: what of them is read here. What is not named passes through as it came. */
import { Schema } from "effect"

/** `metav1.ObjectMeta` as stored. Times are RFC 3339 with seconds, in UTC. */
export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  /** Set by the store at each write. */
  readonly resourceVersion: string
  readonly creationTimestamp: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

const texts = Schema.Record(Schema.String, Schema.String)
const quantities = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Number]))

const Container = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  image: Schema.optionalKey(Schema.String),
  command: Schema.optionalKey(Schema.Array(Schema.String)),
  args: Schema.optionalKey(Schema.Array(Schema.String)),
  workingDir: Schema.optionalKey(Schema.String),
  env: Schema.optionalKey(
    Schema.Array(Schema.Struct({ name: Schema.optionalKey(Schema.String), value: Schema.optionalKey(Schema.String) }))
  ),
  resources: Schema.optionalKey(
    Schema.Struct({ requests: Schema.optionalKey(quantities), limits: Schema.optionalKey(quantities) })
  ),
  imagePullPolicy: Schema.optionalKey(Schema.String),
  stdin: Schema.optionalKey(Schema.Boolean),
  stdinOnce: Schema.optionalKey(Schema.Boolean),
  tty: Schema.optionalKey(Schema.Boolean)
})
export type Container = typeof Container.Type

/** `v1.PodSpec`: what the node and the scheduler act on. */
const PodSpec = Schema.Struct({
  containers: Schema.optionalKey(Schema.Array(Container)),
  initContainers: Schema.optionalKey(Schema.Array(Container)),
  restartPolicy: Schema.optionalKey(Schema.String),
  terminationGracePeriodSeconds: Schema.optionalKey(Schema.Int),
  nodeName: Schema.optionalKey(Schema.String),
  nodeSelector: Schema.optionalKey(texts),
  serviceAccountName: Schema.optionalKey(Schema.String),
  schedulerName: Schema.optionalKey(Schema.String),
  hostname: Schema.optionalKey(Schema.String)
})
export type PodSpec = typeof PodSpec.Type

/** A pod as a client may send it: the types are right, the values not yet judged. */
export const SentPod = Schema.Struct({
  apiVersion: Schema.optionalKey(Schema.String),
  kind: Schema.optionalKey(Schema.String),
  metadata: Schema.optionalKey(Schema.Struct({
    name: Schema.optionalKey(Schema.String),
    generateName: Schema.optionalKey(Schema.String),
    namespace: Schema.optionalKey(Schema.String),
    labels: Schema.optionalKey(Schema.NullOr(texts)),
    annotations: Schema.optionalKey(Schema.NullOr(texts))
  })),
  spec: Schema.optionalKey(PodSpec)
})
export type SentPod = typeof SentPod.Type

/** `v1.ContainerState`: exactly one of the three. */
export interface ContainerState {
  readonly waiting?: { readonly reason: string; readonly message?: string }
  readonly running?: { readonly startedAt: string }
  readonly terminated?: Terminated
}

export interface Terminated {
  readonly exitCode: number
  readonly reason: string
  readonly message?: string
  readonly startedAt: string | null
  readonly finishedAt: string
  readonly containerID: string
}

export interface ContainerStatus {
  readonly name: string
  readonly state: ContainerState
  readonly lastState: ContainerState
  readonly ready: boolean
  readonly started: boolean
  readonly restartCount: number
  readonly image: string
  readonly imageID: string
  readonly containerID?: string
}

export interface PodCondition {
  readonly type: string
  readonly status: "True" | "False"
  readonly lastProbeTime: null
  readonly lastTransitionTime: string
  readonly reason?: string
  readonly message?: string
}

export type PodPhase = "Pending" | "Running" | "Succeeded" | "Failed"

export interface PodStatus {
  readonly phase: PodPhase
  readonly conditions?: ReadonlyArray<PodCondition>
  readonly hostIP?: string
  readonly hostIPs?: ReadonlyArray<{ readonly ip: string }>
  readonly podIP?: string
  readonly podIPs?: ReadonlyArray<{ readonly ip: string }>
  readonly startTime?: string
  readonly containerStatuses?: ReadonlyArray<ContainerStatus>
  readonly qosClass?: string
}

/** A pod that was admitted: names are valid, there is at least one container, and each has an image. */
export interface Pod extends KubeObject {
  readonly spec: Omit<PodSpec, "containers"> & {
    readonly containers: ReadonlyArray<Container & { readonly name: string; readonly image: string }>
    readonly terminationGracePeriodSeconds: number
    readonly restartPolicy: string
  }
  readonly status: PodStatus
}

export interface KubeEvent extends KubeObject {
  readonly involvedObject: Readonly<Record<string, string>>
  readonly reason: string
  readonly message: string
  readonly type: string
  readonly count: number
  readonly firstTimestamp: string
  readonly lastTimestamp: string
  readonly source: { readonly component: string; readonly host?: string }
}

/** A time as Kubernetes writes it. */
export const timestamp = (millis: number): string => `${new Date(millis).toISOString().slice(0, 19)}Z`
