/**
 * The labels and annotations by which pods and Leases of ours are found, and what is kept in them.
 */
import type { Config } from "../config/Config.ts"

/** The label by which every object of ours is found: `kubectl get pods -l app.kubernetes.io/managed-by=kuberun`. */
export const managedBy = { key: "app.kubernetes.io/managed-by", value: "kuberun" } as const

/** The label of the installation (`instance` of the configuration): its replicas touch no pod of another's. */
export const instanceKey = "app.kubernetes.io/instance"

/** The labels of kuberun v0.9.3. An annotation of the same name holds the text as it was before `labelValue`. */
export const ownerKeys = {
  connectionId: "containerssh_connection_id",
  remoteAddress: "containerssh_ip",
  username: "containerssh_username"
} as const

/** Label: the mode that a pod was made in (`PodMode`). */
export const modeKey = "kuberun.dev/mode"

/** Label: the pool class for which a pod waits; taken away when it is claimed. */
export const poolKey = "kuberun.dev/pool"

/** Annotation: the replica that made a pod. */
export const replicaKey = "kuberun.dev/replica"

/** Annotation: the fingerprint of the template that a waiting pod was made from. */
export const templateKey = "kuberun.dev/template"

/** Annotations with this prefix and a connection's id name the connections that hold a pod; the value is the replica. */
export const holderPrefix = "holder.kuberun.dev/"

/** What all objects of an installation carry. */
export const installationLabels = (config: Config): Readonly<Record<string, string>> => ({
  [managedBy.key]: managedBy.value,
  [instanceKey]: config.instance
})
