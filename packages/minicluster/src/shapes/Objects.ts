/**
 * The Kubernetes objects that the cluster keeps: what of them is read here. What is not named passes through as it came.
 *
 * Shapes are those of the API reference; that an object which a client sent has them is `Schemas.ts`' business.
 */

/** `metav1.OwnerReference`. */
export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** `metav1.ObjectMeta` as stored. Times are RFC 3339 with seconds, in UTC. */
export interface ObjectMeta {
  readonly name: string
  readonly generateName?: string
  readonly namespace?: string
  readonly uid: string
  /** Set by the store at each write. */
  readonly resourceVersion: string
  readonly creationTimestamp: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: ReadonlyArray<string>
  readonly ownerReferences?: ReadonlyArray<OwnerReference>
}

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

type Texts = Readonly<Record<string, string>>

export interface KeySelector {
  readonly name: string
  readonly key: string
  readonly optional?: boolean
}

export interface FieldRef {
  readonly apiVersion?: string
  readonly fieldPath: string
}

export interface ResourceFieldRef {
  readonly containerName?: string
  readonly resource: string
  readonly divisor?: string | number
}

export interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: {
    readonly fieldRef?: FieldRef
    readonly resourceFieldRef?: ResourceFieldRef
    readonly configMapKeyRef?: KeySelector
    readonly secretKeyRef?: KeySelector
  }
}

export interface EnvFrom {
  readonly prefix?: string
  readonly configMapRef?: { readonly name: string; readonly optional?: boolean }
  readonly secretRef?: { readonly name: string; readonly optional?: boolean }
}

export interface VolumeMount {
  readonly name: string
  readonly mountPath: string
  readonly subPath?: string
  readonly subPathExpr?: string
  readonly readOnly?: boolean
}

export interface KeyToPath {
  readonly key: string
  readonly path: string
  readonly mode?: number
}

export interface DownwardItem {
  readonly path: string
  readonly fieldRef?: FieldRef
  readonly resourceFieldRef?: ResourceFieldRef
  readonly mode?: number
}

/** One source of a projected volume. */
export interface Projection {
  readonly configMap?: { readonly name: string; readonly items?: ReadonlyArray<KeyToPath>; readonly optional?: boolean }
  readonly secret?: { readonly name: string; readonly items?: ReadonlyArray<KeyToPath>; readonly optional?: boolean }
  readonly downwardAPI?: { readonly items?: ReadonlyArray<DownwardItem> }
  readonly serviceAccountToken?: {
    readonly path: string
    readonly audience?: string
    readonly expirationSeconds?: number
  }
}

export interface Volume {
  readonly name: string
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string | number }
  readonly configMap?: Projection["configMap"] & { readonly defaultMode?: number }
  readonly secret?: {
    readonly secretName: string
    readonly items?: ReadonlyArray<KeyToPath>
    readonly optional?: boolean
    readonly defaultMode?: number
  }
  readonly downwardAPI?: { readonly items?: ReadonlyArray<DownwardItem>; readonly defaultMode?: number }
  readonly projected?: { readonly sources?: ReadonlyArray<Projection>; readonly defaultMode?: number }
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean }
  readonly hostPath?: { readonly path: string; readonly type?: string }
}

/** `v1.LifecycleHandler` and the actions of a probe: exactly one of them. */
export interface Action {
  readonly exec?: { readonly command?: ReadonlyArray<string> }
  readonly httpGet?: {
    readonly path?: string
    readonly port: number | string
    readonly host?: string
    readonly scheme?: string
    readonly httpHeaders?: ReadonlyArray<{ readonly name: string; readonly value: string }>
  }
  readonly tcpSocket?: { readonly port: number | string; readonly host?: string }
  readonly sleep?: { readonly seconds: number }
}

/** Durations in seconds. Defaults are filled in at admission. */
export interface Probe extends Action {
  readonly initialDelaySeconds?: number
  readonly periodSeconds?: number
  readonly timeoutSeconds?: number
  readonly successThreshold?: number
  readonly failureThreshold?: number
  /** Of a liveness or startup probe: in place of the pod's. */
  readonly terminationGracePeriodSeconds?: number
}

export interface SecurityContext {
  readonly runAsUser?: number
  readonly runAsGroup?: number
  readonly runAsNonRoot?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly privileged?: boolean
  readonly allowPrivilegeEscalation?: boolean
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly command?: ReadonlyArray<string>
  readonly args?: ReadonlyArray<string>
  readonly workingDir?: string
  readonly env?: ReadonlyArray<EnvVar>
  readonly envFrom?: ReadonlyArray<EnvFrom>
  readonly ports?: ReadonlyArray<{
    readonly name?: string
    readonly containerPort: number
    readonly protocol?: string
  }>
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string | number>>
    readonly limits?: Readonly<Record<string, string | number>>
  }
  readonly volumeMounts?: ReadonlyArray<VolumeMount>
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly startupProbe?: Probe
  readonly lifecycle?: { readonly postStart?: Action; readonly preStop?: Action }
  readonly securityContext?: SecurityContext
  readonly imagePullPolicy?: string
  /** Of an init container: "Always" makes it a sidecar (KEP-753). */
  readonly restartPolicy?: string
  readonly stdin?: boolean
  readonly stdinOnce?: boolean
  readonly tty?: boolean
}

/** `v1.EphemeralContainer` */
export interface EphemeralContainer extends Container {
  readonly targetContainerName?: string
}

/** `v1.PodSpec` as admitted: at least one container, names valid, defaults filled in. */
export interface PodSpec {
  readonly containers: ReadonlyArray<Container>
  readonly initContainers?: ReadonlyArray<Container>
  readonly ephemeralContainers?: ReadonlyArray<EphemeralContainer>
  readonly volumes?: ReadonlyArray<Volume>
  readonly restartPolicy: string
  readonly terminationGracePeriodSeconds: number
  readonly activeDeadlineSeconds?: number
  readonly nodeName?: string
  readonly nodeSelector?: Texts
  readonly serviceAccountName?: string
  readonly automountServiceAccountToken?: boolean
  readonly schedulerName?: string
  readonly schedulingGates?: ReadonlyArray<{ readonly name: string }>
  readonly hostname?: string
  readonly subdomain?: string
  readonly hostNetwork?: boolean
  readonly tolerations?: ReadonlyArray<{
    readonly key?: string
    readonly operator?: string
    readonly value?: string
    readonly effect?: string
  }>
  readonly readinessGates?: ReadonlyArray<{ readonly conditionType: string }>
  readonly priority?: number
  readonly securityContext?: SecurityContext & {
    readonly fsGroup?: number
    readonly supplementalGroups?: ReadonlyArray<number>
  }
}

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
  /** Of the whole pod, for example `Evicted` or `DeadlineExceeded`. */
  readonly reason?: string
  readonly message?: string
  readonly hostIP?: string
  readonly hostIPs?: ReadonlyArray<{ readonly ip: string }>
  readonly podIP?: string
  readonly podIPs?: ReadonlyArray<{ readonly ip: string }>
  readonly startTime?: string
  readonly initContainerStatuses?: ReadonlyArray<ContainerStatus>
  readonly containerStatuses?: ReadonlyArray<ContainerStatus>
  readonly ephemeralContainerStatuses?: ReadonlyArray<ContainerStatus>
  readonly qosClass?: string
}

/** A pod that was admitted. */
export interface Pod extends KubeObject {
  readonly spec: PodSpec
  readonly status: PodStatus
}

/** `v1.ConfigMap`; `binaryData` is base64. */
export interface ConfigMap extends KubeObject {
  readonly data?: Texts
  readonly binaryData?: Texts
  readonly immutable?: boolean
}

/** `v1.Secret` as stored: `data` is base64, and `stringData` has gone into it. */
export interface Secret extends KubeObject {
  readonly type?: string
  readonly data?: Texts
  readonly immutable?: boolean
}

export interface KubeEvent extends KubeObject {
  readonly involvedObject: Texts
  readonly reason: string
  readonly message: string
  readonly type: string
  readonly count: number
  readonly firstTimestamp: string
  readonly lastTimestamp: string
  readonly source: { readonly component: string; readonly host?: string }
  readonly reportingComponent?: string
  readonly reportingInstance?: string
}

/** A time as Kubernetes writes it. */
export const timestamp = (millis: number): string => `${new Date(millis).toISOString().slice(0, 19)}Z`
