export type { ClusterSource, ConnectionSettings } from "./ClusterSource.ts"
export { type KubernetesOptions, layer } from "./KubernetesCluster.ts"
