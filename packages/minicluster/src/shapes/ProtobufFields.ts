/**
 * Field numbers of Kubernetes' protobuf messages, as facts: `generated.proto` in k8s.io/api and k8s.io/apimachinery.
 *
 * A message's fields stand by their JSON names in the order of their numbers, from 1; `=N` says where numbers are left
 * out. `+Message` is a struct embedded in Go: its fields stand among the others in JSON. What the server
 * sets (status, generation) is passed over; what no cluster of ours can give (most volumes, devices) is not known.
 */

/** The kinds that may be sent so. */
export const roots: ReadonlySet<string> = new Set(
  ("ClusterRole ClusterRoleBinding ConfigMap DeleteOptions Event Eviction Lease Namespace PersistentVolumeClaim Pod Role " +
    "RoleBinding Secret SelfSubjectAccessReview SelfSubjectReview SelfSubjectRulesReview ServiceAccount TokenRequest")
    .split(" ")
)

const container =
  "name image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy restartPolicyRules"

export const messages: Readonly<Record<string, string>> = {
  Affinity: "nodeAffinity podAffinity podAntiAffinity",
  AggregationRule: "clusterRoleSelectors",
  AppArmorProfile: "type localhostProfile",
  BoundObjectReference: "kind apiVersion name uid",
  CSIVolumeSource: "driver readOnly fsType volumeAttributes nodePublishSecretRef",
  Capabilities: "add drop",
  ClusterRole: "metadata rules aggregationRule",
  ClusterRoleBinding: "metadata subjects roleRef",
  ConfigMap: "metadata data binaryData immutable",
  ConfigMapEnvSource: "+LocalObjectReference optional",
  ConfigMapKeySelector: "+LocalObjectReference key optional",
  ConfigMapProjection: "+LocalObjectReference items optional=4",
  ConfigMapVolumeSource: "+LocalObjectReference items defaultMode optional",
  Container: container,
  ContainerPort: "name hostPort containerPort protocol hostIP",
  ContainerResizePolicy: "resourceName restartPolicy",
  DeleteOptions:
    "gracePeriodSeconds preconditions orphanDependents propagationPolicy dryRun ignoreStoreReadErrorWithClusterBreakingPotential",
  DownwardAPIProjection: "items",
  DownwardAPIVolumeFile: "path fieldRef resourceFieldRef mode",
  DownwardAPIVolumeSource: "items defaultMode",
  EmptyDirVolumeSource: "medium sizeLimit",
  EnvFromSource: "prefix configMapRef secretRef",
  EnvVar: "name value valueFrom",
  EnvVarSource: "fieldRef resourceFieldRef configMapKeyRef secretKeyRef fileKeyRef",
  EphemeralContainer: "+EphemeralContainerCommon targetContainerName",
  EphemeralContainerCommon: container,
  EphemeralVolumeSource: "volumeClaimTemplate",
  Event:
    "metadata involvedObject reason message source firstTimestamp lastTimestamp count type eventTime series action related reportingComponent reportingInstance",
  EventSeries: "count lastObservedTime",
  EventSource: "component host",
  Eviction: "metadata deleteOptions",
  ExecAction: "command",
  GRPCAction: "port service",
  HTTPGetAction: "path port host scheme httpHeaders",
  HTTPHeader: "name value",
  HostAlias: "ip hostnames",
  HostPathVolumeSource: "path type",
  ImageVolumeSource: "reference pullPolicy",
  KeyToPath: "key path mode",
  LabelSelector: "matchLabels matchExpressions",
  LabelSelectorRequirement: "key operator values",
  Lease: "metadata spec",
  LeaseSpec: "holderIdentity leaseDurationSeconds acquireTime renewTime leaseTransitions strategy preferredHolder",
  Lifecycle: "postStart preStop stopSignal",
  LifecycleHandler: "exec httpGet tcpSocket sleep",
  LocalObjectReference: "name",
  NFSVolumeSource: "server path readOnly",
  Namespace: "metadata spec",
  NamespaceSpec: "finalizers",
  NodeAffinity: "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
  NodeSelector: "nodeSelectorTerms",
  NodeSelectorRequirement: "key operator values",
  NodeSelectorTerm: "matchExpressions matchFields",
  NonResourceAttributes: "path verb",
  ObjectFieldSelector: "apiVersion fieldPath",
  ObjectMeta:
    "name generateName namespace uid=5 resourceVersion deletionTimestamp=9 deletionGracePeriodSeconds labels annotations ownerReferences finalizers",
  ObjectReference: "kind namespace name uid apiVersion resourceVersion fieldPath",
  OwnerReference: "kind name=3 uid apiVersion controller blockOwnerDeletion",
  PersistentVolumeClaim: "metadata spec",
  PersistentVolumeClaimSpec:
    "accessModes resources volumeName selector storageClassName volumeMode dataSource dataSourceRef volumeAttributesClassName",
  PersistentVolumeClaimTemplate: "metadata spec",
  PersistentVolumeClaimVolumeSource: "claimName readOnly",
  Pod: "metadata spec",
  PodAffinity: "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
  PodAffinityTerm: "labelSelector namespaces topologyKey namespaceSelector matchLabelKeys mismatchLabelKeys",
  PodAntiAffinity: "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
  PodDNSConfig: "nameservers searches options",
  PodDNSConfigOption: "name value",
  PodOS: "name",
  PodReadinessGate: "conditionType",
  PodSchedulingGate: "name",
  PodSecurityContext:
    "seLinuxOptions runAsUser runAsNonRoot supplementalGroups fsGroup runAsGroup sysctls windowsOptions fsGroupChangePolicy seccompProfile appArmorProfile supplementalGroupsPolicy seLinuxChangePolicy",
  PodSpec:
    "volumes containers restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName serviceAccount nodeName hostNetwork hostPID hostIPC securityContext imagePullSecrets hostname subdomain affinity schedulerName initContainers automountServiceAccountToken tolerations hostAliases priorityClassName priority dnsConfig shareProcessNamespace readinessGates runtimeClassName enableServiceLinks preemptionPolicy overhead topologySpreadConstraints ephemeralContainers setHostnameAsFQDN os hostUsers schedulingGates resourceClaims resources hostnameOverride",
  PolicyRule: "verbs apiGroups resources resourceNames nonResourceURLs",
  Preconditions: "uid resourceVersion",
  PreferredSchedulingTerm: "weight preference",
  Probe:
    "+ProbeHandler initialDelaySeconds timeoutSeconds periodSeconds successThreshold failureThreshold terminationGracePeriodSeconds",
  ProbeHandler: "exec httpGet tcpSocket grpc",
  ProjectedVolumeSource: "sources defaultMode",
  ResourceAttributes: "namespace verb group version resource subresource name fieldSelector labelSelector",
  ResourceFieldSelector: "containerName resource divisor",
  ResourceRequirements: "limits requests claims",
  Role: "metadata rules",
  RoleBinding: "metadata subjects roleRef",
  RoleRef: "apiGroup kind name",
  SELinuxOptions: "user role type level",
  SeccompProfile: "type localhostProfile",
  Secret: "metadata data type stringData immutable",
  SecretEnvSource: "+LocalObjectReference optional",
  SecretKeySelector: "+LocalObjectReference key optional",
  SecretProjection: "+LocalObjectReference items optional=4",
  SecretVolumeSource: "secretName items defaultMode optional",
  SecurityContext:
    "capabilities privileged seLinuxOptions runAsUser runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation runAsGroup procMount windowsOptions seccompProfile appArmorProfile",
  SelfSubjectAccessReview: "metadata spec",
  SelfSubjectAccessReviewSpec: "resourceAttributes nonResourceAttributes",
  SelfSubjectReview: "metadata",
  SelfSubjectRulesReview: "metadata spec",
  SelfSubjectRulesReviewSpec: "namespace",
  ServiceAccount: "metadata secrets imagePullSecrets automountServiceAccountToken",
  ServiceAccountTokenProjection: "audience expirationSeconds path",
  SleepAction: "seconds",
  Subject: "kind apiGroup name namespace",
  Sysctl: "name value",
  TCPSocketAction: "port host",
  TokenRequest: "metadata spec",
  TokenRequestSpec: "audiences boundObjectRef=3 expirationSeconds",
  Toleration: "key operator value effect tolerationSeconds",
  TopologySpreadConstraint:
    "maxSkew topologyKey whenUnsatisfiable labelSelector minDomains nodeAffinityPolicy nodeTaintsPolicy matchLabelKeys",
  TypedLocalObjectReference: "apiGroup kind name",
  TypedObjectReference: "apiGroup kind name namespace",
  Volume: "name +VolumeSource",
  VolumeDevice: "name devicePath",
  VolumeMount: "name readOnly mountPath subPath mountPropagation subPathExpr recursiveReadOnly",
  VolumeProjection: "secret downwardAPI configMap serviceAccountToken clusterTrustBundle podCertificate",
  VolumeResourceRequirements: "limits requests",
  VolumeSource:
    "hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO projected storageos csi ephemeral image",
  WeightedPodAffinityTerm: "weight podAffinityTerm"
}
