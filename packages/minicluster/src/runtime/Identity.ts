/** Who runs a container's programs: its security context, as far as a process may change that. */
import { type Container, type Pod } from "../shapes/Objects.ts"

export interface Identity {
  readonly user: number
  readonly group: number
  readonly groups: ReadonlyArray<number>
  readonly noNewPrivileges: boolean
}

/** Nothing where the spec leaves it to the cluster. A user without a group has the group 0, as with a runtime. */
export const identityOf = ({ spec }: Pod, { securityContext: own }: Container): Identity | undefined => {
  const of = spec.securityContext
  const user = own?.runAsUser ?? of?.runAsUser
  const group = own?.runAsGroup ?? of?.runAsGroup
  const groups = [...(of?.supplementalGroups ?? []), ...(of?.fsGroup === undefined ? [] : [of.fsGroup])]
  const noNewPrivileges = own?.allowPrivilegeEscalation === false
  if (user === undefined && group === undefined && groups.length === 0 && !noNewPrivileges) return undefined
  return { user: user ?? 0, group: group ?? 0, groups, noNewPrivileges }
}

/** For setpriv(1). */
export const identityArgs = ({ group, groups, noNewPrivileges, user }: Identity): ReadonlyArray<string> => [
  `--reuid=${user}`,
  `--regid=${group}`,
  groups.length === 0 ? "--clear-groups" : `--groups=${groups.join()}`,
  ...(noNewPrivileges ? ["--no-new-privs"] : [])
]

/** What of the identity cannot be had by a cluster that is not root, in words for an event; nothing for nothing. */
export const unavailable = ({ group, groups, user }: Identity): string | undefined => {
  const [ownUser = 0, ownGroup = 0] = [process.getuid?.(), process.getgid?.()]
  const wanted = [
    ...(user === ownUser || user === 0 ? [] : [`user ${user}`]),
    ...(group === ownGroup || group === 0 ? [] : [`group ${group}`]),
    ...(groups.length === 0 ? [] : [`groups ${groups.join(", ")}`])
  ]
  return wanted.length === 0
    ? undefined
    : `the cluster is not root and cannot run a program as ${
      wanted.join(" and ")
    }: it runs as user ${ownUser} and group ${ownGroup}`
}
