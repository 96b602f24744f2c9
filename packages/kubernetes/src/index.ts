export type { ClusterSource, ConnectionSettings } from "./ClusterSource.ts"
export { connectionConfigFromKubeconfig, type ConnectionDetails, createConnectionConfig } from "./ConnectionConfig.ts"
export { type KubernetesOptions, layer } from "./KubernetesCluster.ts"
