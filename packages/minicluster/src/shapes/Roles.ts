/** `rbac.authorization.k8s.io/v1`: what of its objects is read here. */
import { type KubeObject } from "./Objects.ts"

/** `rbac.authorization.k8s.io/v1 PolicyRule`. */
export interface PolicyRule {
  readonly verbs: ReadonlyArray<string>
  readonly apiGroups?: ReadonlyArray<string>
  readonly resources?: ReadonlyArray<string>
  readonly resourceNames?: ReadonlyArray<string>
  readonly nonResourceURLs?: ReadonlyArray<string>
}

/** A Role or a ClusterRole. */
export interface Role extends KubeObject {
  readonly rules?: ReadonlyArray<PolicyRule> | null
  /** Of a ClusterRole: its rules are those of the ClusterRoles that one of these selects. */
  readonly aggregationRule?: { readonly clusterRoleSelectors?: ReadonlyArray<LabelSelector> }
}

/** `metav1.LabelSelector`: all of it must hold. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: ReadonlyArray<{
    readonly key: string
    readonly operator: string
    readonly values?: ReadonlyArray<string>
  }>
}

/** A RoleBinding or a ClusterRoleBinding. */
export interface RoleBinding extends KubeObject {
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string }
  readonly subjects?: ReadonlyArray<{
    readonly kind: string
    readonly name: string
    readonly namespace?: string
    readonly apiGroup?: string
  }>
}
