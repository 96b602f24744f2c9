/**
 * The fields of a `PodSpec` and of all that is in it. Written by `packages/kubernetes/scripts/PodSpecFields.ts` from the
 * models of client-node, which are made from the API's OpenAPI document; not to be changed by hand.
 *
 * A line begins with a type's name, and has a word for each field: its name, `!` where the API asks for it, and its type.
 * `[]` is a list, `{}` a map by name. Lines that begin with a blank go on with the type before.
 */
export const podSpecFields = `
PodSpec: activeDeadlineSeconds=int64 affinity=Affinity automountServiceAccountToken=boolean containers!=[]Container
  dnsConfig=PodDNSConfig dnsPolicy=string enableServiceLinks=boolean ephemeralContainers=[]EphemeralContainer
  hostAliases=[]HostAlias hostIPC=boolean hostNetwork=boolean hostPID=boolean hostUsers=boolean hostname=string
  hostnameOverride=string imagePullSecrets=[]LocalObjectReference initContainers=[]Container nodeName=string
  nodeSelector={}string os=PodOS overhead={}quantity preemptionPolicy=string priority=int32 priorityClassName=string
  readinessGates=[]PodReadinessGate resourceClaims=[]PodResourceClaim resources=ResourceRequirements
  restartPolicy=string runtimeClassName=string schedulerName=string schedulingGates=[]PodSchedulingGate
  schedulingGroup=PodSchedulingGroup securityContext=PodSecurityContext serviceAccount=string
  serviceAccountName=string setHostnameAsFQDN=boolean shareProcessNamespace=boolean subdomain=string
  terminationGracePeriodSeconds=int64 tolerations=[]Toleration topologySpreadConstraints=[]TopologySpreadConstraint
  volumes=[]Volume
Affinity: nodeAffinity=NodeAffinity podAffinity=PodAffinity podAntiAffinity=PodAntiAffinity
Container: args=[]string command=[]string env=[]EnvVar envFrom=[]EnvFromSource image=string imagePullPolicy=string
  lifecycle=Lifecycle livenessProbe=Probe name!=string ports=[]ContainerPort readinessProbe=Probe
  resizePolicy=[]ContainerResizePolicy resources=ResourceRequirements restartPolicy=string
  restartPolicyRules=[]ContainerRestartRule securityContext=SecurityContext startupProbe=Probe stdin=boolean
  stdinOnce=boolean terminationMessagePath=string terminationMessagePolicy=string tty=boolean
  volumeDevices=[]VolumeDevice volumeMounts=[]VolumeMount workingDir=string
PodDNSConfig: nameservers=[]string options=[]PodDNSConfigOption searches=[]string
EphemeralContainer: args=[]string command=[]string env=[]EnvVar envFrom=[]EnvFromSource image=string
  imagePullPolicy=string lifecycle=Lifecycle livenessProbe=Probe name!=string ports=[]ContainerPort
  readinessProbe=Probe resizePolicy=[]ContainerResizePolicy resources=ResourceRequirements restartPolicy=string
  restartPolicyRules=[]ContainerRestartRule securityContext=SecurityContext startupProbe=Probe stdin=boolean
  stdinOnce=boolean targetContainerName=string terminationMessagePath=string terminationMessagePolicy=string
  tty=boolean volumeDevices=[]VolumeDevice volumeMounts=[]VolumeMount workingDir=string
HostAlias: hostnames=[]string ip!=string
LocalObjectReference: name=string
PodOS: name!=string
PodReadinessGate: conditionType!=string
PodResourceClaim: name!=string resourceClaimName=string resourceClaimTemplateName=string
ResourceRequirements: claims=[]ResourceClaim limits={}quantity requests={}quantity
PodSchedulingGate: name!=string
PodSchedulingGroup: podGroupName=string
PodSecurityContext: appArmorProfile=AppArmorProfile fsGroup=int64 fsGroupChangePolicy=string runAsGroup=int64
  runAsNonRoot=boolean runAsUser=int64 seLinuxChangePolicy=string seLinuxOptions=SELinuxOptions
  seccompProfile=SeccompProfile supplementalGroups=[]int64 supplementalGroupsPolicy=string sysctls=[]Sysctl
  windowsOptions=WindowsSecurityContextOptions
Toleration: effect=string key=string operator=string tolerationSeconds=int64 value=string
TopologySpreadConstraint: labelSelector=LabelSelector matchLabelKeys=[]string maxSkew!=int32 minDomains=int32
  nodeAffinityPolicy=string nodeTaintsPolicy=string topologyKey!=string whenUnsatisfiable!=string
Volume: awsElasticBlockStore=AWSElasticBlockStoreVolumeSource azureDisk=AzureDiskVolumeSource
  azureFile=AzureFileVolumeSource cephfs=CephFSVolumeSource cinder=CinderVolumeSource
  configMap=ConfigMapVolumeSource csi=CSIVolumeSource downwardAPI=DownwardAPIVolumeSource
  emptyDir=EmptyDirVolumeSource ephemeral=EphemeralVolumeSource fc=FCVolumeSource flexVolume=FlexVolumeSource
  flocker=FlockerVolumeSource gcePersistentDisk=GCEPersistentDiskVolumeSource gitRepo=GitRepoVolumeSource
  glusterfs=GlusterfsVolumeSource hostPath=HostPathVolumeSource image=ImageVolumeSource iscsi=ISCSIVolumeSource
  name!=string nfs=NFSVolumeSource persistentVolumeClaim=PersistentVolumeClaimVolumeSource
  photonPersistentDisk=PhotonPersistentDiskVolumeSource portworxVolume=PortworxVolumeSource
  projected=ProjectedVolumeSource quobyte=QuobyteVolumeSource rbd=RBDVolumeSource scaleIO=ScaleIOVolumeSource
  secret=SecretVolumeSource storageos=StorageOSVolumeSource vsphereVolume=VsphereVirtualDiskVolumeSource
NodeAffinity: preferredDuringSchedulingIgnoredDuringExecution=[]PreferredSchedulingTerm
  requiredDuringSchedulingIgnoredDuringExecution=NodeSelector
PodAffinity: preferredDuringSchedulingIgnoredDuringExecution=[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution=[]PodAffinityTerm
PodAntiAffinity: preferredDuringSchedulingIgnoredDuringExecution=[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution=[]PodAffinityTerm
EnvVar: name!=string value=string valueFrom=EnvVarSource
EnvFromSource: configMapRef=ConfigMapEnvSource prefix=string secretRef=SecretEnvSource
Lifecycle: postStart=LifecycleHandler preStop=LifecycleHandler stopSignal=string
Probe: exec=ExecAction failureThreshold=int32 grpc=GRPCAction httpGet=HTTPGetAction initialDelaySeconds=int32
  periodSeconds=int32 successThreshold=int32 tcpSocket=TCPSocketAction terminationGracePeriodSeconds=int64
  timeoutSeconds=int32
ContainerPort: containerPort!=int32 hostIP=string hostPort=int32 name=string protocol=string
ContainerResizePolicy: resourceName!=string restartPolicy!=string
ContainerRestartRule: action!=string exitCodes=ContainerRestartRuleOnExitCodes
SecurityContext: allowPrivilegeEscalation=boolean appArmorProfile=AppArmorProfile capabilities=Capabilities
  privileged=boolean procMount=string readOnlyRootFilesystem=boolean runAsGroup=int64 runAsNonRoot=boolean
  runAsUser=int64 seLinuxOptions=SELinuxOptions seccompProfile=SeccompProfile
  windowsOptions=WindowsSecurityContextOptions
VolumeDevice: devicePath!=string name!=string
VolumeMount: mountPath!=string mountPropagation=string name!=string readOnly=boolean recursiveReadOnly=string
  subPath=string subPathExpr=string
PodDNSConfigOption: name=string value=string
ResourceClaim: name!=string request=string
AppArmorProfile: localhostProfile=string type!=string
SELinuxOptions: level=string role=string type=string user=string
SeccompProfile: localhostProfile=string type!=string
Sysctl: name!=string value!=string
WindowsSecurityContextOptions: gmsaCredentialSpec=string gmsaCredentialSpecName=string hostProcess=boolean
  runAsUserName=string
LabelSelector: matchExpressions=[]LabelSelectorRequirement matchLabels={}string
AWSElasticBlockStoreVolumeSource: fsType=string partition=int32 readOnly=boolean volumeID!=string
AzureDiskVolumeSource: cachingMode=string diskName!=string diskURI!=string fsType=string kind=string
  readOnly=boolean
AzureFileVolumeSource: readOnly=boolean secretName!=string shareName!=string
CephFSVolumeSource: monitors!=[]string path=string readOnly=boolean secretFile=string secretRef=LocalObjectReference
  user=string
CinderVolumeSource: fsType=string readOnly=boolean secretRef=LocalObjectReference volumeID!=string
ConfigMapVolumeSource: defaultMode=int32 items=[]KeyToPath name=string optional=boolean
CSIVolumeSource: driver!=string fsType=string nodePublishSecretRef=LocalObjectReference readOnly=boolean
  volumeAttributes={}string
DownwardAPIVolumeSource: defaultMode=int32 items=[]DownwardAPIVolumeFile
EmptyDirVolumeSource: medium=string sizeLimit=quantity
EphemeralVolumeSource: volumeClaimTemplate=PersistentVolumeClaimTemplate
FCVolumeSource: fsType=string lun=int32 readOnly=boolean targetWWNs=[]string wwids=[]string
FlexVolumeSource: driver!=string fsType=string options={}string readOnly=boolean secretRef=LocalObjectReference
FlockerVolumeSource: datasetName=string datasetUUID=string
GCEPersistentDiskVolumeSource: fsType=string partition=int32 pdName!=string readOnly=boolean
GitRepoVolumeSource: directory=string repository!=string revision=string
GlusterfsVolumeSource: endpoints!=string path!=string readOnly=boolean
HostPathVolumeSource: path!=string type=string
ImageVolumeSource: pullPolicy=string reference=string
ISCSIVolumeSource: chapAuthDiscovery=boolean chapAuthSession=boolean fsType=string initiatorName=string iqn!=string
  iscsiInterface=string lun!=int32 portals=[]string readOnly=boolean secretRef=LocalObjectReference
  targetPortal!=string
NFSVolumeSource: path!=string readOnly=boolean server!=string
PersistentVolumeClaimVolumeSource: claimName!=string readOnly=boolean
PhotonPersistentDiskVolumeSource: fsType=string pdID!=string
PortworxVolumeSource: fsType=string readOnly=boolean volumeID!=string
ProjectedVolumeSource: defaultMode=int32 sources=[]VolumeProjection
QuobyteVolumeSource: group=string readOnly=boolean registry!=string tenant=string user=string volume!=string
RBDVolumeSource: fsType=string image!=string keyring=string monitors!=[]string pool=string readOnly=boolean
  secretRef=LocalObjectReference user=string
ScaleIOVolumeSource: fsType=string gateway!=string protectionDomain=string readOnly=boolean
  secretRef!=LocalObjectReference sslEnabled=boolean storageMode=string storagePool=string system!=string
  volumeName=string
SecretVolumeSource: defaultMode=int32 items=[]KeyToPath optional=boolean secretName=string
StorageOSVolumeSource: fsType=string readOnly=boolean secretRef=LocalObjectReference volumeName=string
  volumeNamespace=string
VsphereVirtualDiskVolumeSource: fsType=string storagePolicyID=string storagePolicyName=string volumePath!=string
PreferredSchedulingTerm: preference!=NodeSelectorTerm weight!=int32
NodeSelector: nodeSelectorTerms!=[]NodeSelectorTerm
WeightedPodAffinityTerm: podAffinityTerm!=PodAffinityTerm weight!=int32
PodAffinityTerm: labelSelector=LabelSelector matchLabelKeys=[]string mismatchLabelKeys=[]string
  namespaceSelector=LabelSelector namespaces=[]string topologyKey!=string
EnvVarSource: configMapKeyRef=ConfigMapKeySelector fieldRef=ObjectFieldSelector fileKeyRef=FileKeySelector
  resourceFieldRef=ResourceFieldSelector secretKeyRef=SecretKeySelector
ConfigMapEnvSource: name=string optional=boolean
SecretEnvSource: name=string optional=boolean
LifecycleHandler: exec=ExecAction httpGet=HTTPGetAction sleep=SleepAction tcpSocket=TCPSocketAction
ExecAction: command=[]string
GRPCAction: port!=int32 service=string
HTTPGetAction: host=string httpHeaders=[]HTTPHeader path=string port!=intOrString scheme=string
TCPSocketAction: host=string port!=intOrString
ContainerRestartRuleOnExitCodes: operator!=string values=[]int32
Capabilities: add=[]string drop=[]string
LabelSelectorRequirement: key!=string operator!=string values=[]string
KeyToPath: key!=string mode=int32 path!=string
DownwardAPIVolumeFile: fieldRef=ObjectFieldSelector mode=int32 path!=string resourceFieldRef=ResourceFieldSelector
PersistentVolumeClaimTemplate: metadata=ObjectMeta spec!=PersistentVolumeClaimSpec
VolumeProjection: clusterTrustBundle=ClusterTrustBundleProjection configMap=ConfigMapProjection
  downwardAPI=DownwardAPIProjection podCertificate=PodCertificateProjection secret=SecretProjection
  serviceAccountToken=ServiceAccountTokenProjection
NodeSelectorTerm: matchExpressions=[]NodeSelectorRequirement matchFields=[]NodeSelectorRequirement
ConfigMapKeySelector: key!=string name=string optional=boolean
ObjectFieldSelector: apiVersion=string fieldPath!=string
FileKeySelector: key!=string optional=boolean path!=string volumeName!=string
ResourceFieldSelector: containerName=string divisor=quantity resource!=string
SecretKeySelector: key!=string name=string optional=boolean
SleepAction: seconds!=int64
HTTPHeader: name!=string value!=string
ObjectMeta: annotations={}string creationTimestamp=time deletionGracePeriodSeconds=int64 deletionTimestamp=time
  finalizers=[]string generateName=string generation=int64 labels={}string managedFields=[]ManagedFieldsEntry
  name=string namespace=string ownerReferences=[]OwnerReference resourceVersion=string selfLink=string uid=string
PersistentVolumeClaimSpec: accessModes=[]string dataSource=TypedLocalObjectReference
  dataSourceRef=TypedObjectReference resources=VolumeResourceRequirements selector=LabelSelector
  storageClassName=string volumeAttributesClassName=string volumeMode=string volumeName=string
ClusterTrustBundleProjection: labelSelector=LabelSelector name=string optional=boolean path!=string
  signerName=string
ConfigMapProjection: items=[]KeyToPath name=string optional=boolean
DownwardAPIProjection: items=[]DownwardAPIVolumeFile
PodCertificateProjection: certificateChainPath=string credentialBundlePath=string keyPath=string keyType!=string
  maxExpirationSeconds=int32 signerName!=string userAnnotations={}string
SecretProjection: items=[]KeyToPath name=string optional=boolean
ServiceAccountTokenProjection: audience=string expirationSeconds=int64 path!=string
NodeSelectorRequirement: key!=string operator!=string values=[]string
ManagedFieldsEntry: apiVersion=string fieldsType=string fieldsV1=any manager=string operation=string
  subresource=string time=time
OwnerReference: apiVersion!=string blockOwnerDeletion=boolean controller=boolean kind!=string name!=string
  uid!=string
TypedLocalObjectReference: apiGroup=string kind!=string name!=string
TypedObjectReference: apiGroup=string kind!=string name!=string namespace=string
VolumeResourceRequirements: limits={}quantity requests={}quantity
`
