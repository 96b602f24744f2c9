/**
 * What may stand in a pod, as `k8s.io/kubernetes/pkg/apis/core/validation` judges it: when it is created, changed, and
 * given ephemeral containers. Pods are judged with their defaults in place. `affinity` is not judged.
 */
import { isDeepStrictEqual } from "node:util"
import { type Cause } from "../api/Status.ts"
import { ephemeralContainer, initContainer, mainContainer, resources, seccomp, userId } from "./ContainerValidation.ts"
import { at as valueAt, type Fields, fieldsOf, isAbsent, listOf, textOf } from "./Json.ts"
import * as Names from "./Names.ts"
import { labels, metadataCauses, metadataUpdateCauses } from "./ObjectMeta.ts"
import { type KubeObject, type Pod } from "./Objects.ts"
import * as Rule from "./Rules.ts"
import { volumeCauses } from "./VolumeValidation.ts"

const anything = "operator must be Exists when `key` is empty, which means \"match all values and all keys\""
const toleration: Rule.Rule = (value, at) => {
  const { effect, key, operator, tolerationSeconds, value: tolerated } = fieldsOf(value)
  const path = `${at}.operator`
  const isBounded = !isAbsent(tolerationSeconds) && effect !== "NoExecute"
  return [
    ...Rule.syntax(Names.key)(key, `${at}.key`),
    ...Rule.when(isAbsent(key) && operator !== "Exists", Rule.wrong(path, textOf(operator), anything)),
    ...Rule.when(
      isBounded,
      Rule.wrong(`${at}.effect`, textOf(effect), "effect must be 'NoExecute' when `tolerationSeconds` is set")
    ),
    ...Rule.oneOf("Equal", "Exists")(operator, path),
    ...(operator === "Exists"
      ? Rule.present(() => [Rule.wrong(path, tolerated, "value must be empty when `operator` is 'Exists'")])
      : Rule.syntax(Names.labelValue))(tolerated, path),
    ...Rule.oneOf("NoSchedule", "PreferNoSchedule", "NoExecute")(effect, `${at}.effect`)
  ]
}

const dnsConfig = (isNone: boolean): Rule.Rule => (value, at) => {
  if (isNone && isAbsent(value)) return [Rule.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")]
  const few = Rule.must((list: unknown) => listOf(list).length <= 3, "must not have more than 3 nameservers")
  const some = "must provide at least one DNS nameserver when `dnsPolicy` is None"
  return Rule.fields({
    nameservers: Rule.all(isNone ? Rule.needed(few, some) : few, Rule.each(Rule.strictly(Names.address)))
  })(value, at)
}

const gates: Rule.Rule = (list, at) => {
  const taken = Rule.once()
  return Rule.each((gate, path) => Rule.all(Rule.strictly(Names.key), taken)(valueAt(gate, "name"), path))(list, at)
}

const user = { runAsUser: userId, runAsGroup: userId, fsGroup: userId, supplementalGroups: Rule.each(userId) }

/** Everything but volumes and containers, in the order of `ValidatePodSpec`. */
const others = (spec: Fields): Rule.Table => ({
  restartPolicy: Rule.exactly("Always", "OnFailure", "Never"),
  dnsPolicy: Rule.exactly("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
  nodeSelector: labels,
  securityContext: Rule.optional({
    ...user,
    fsGroupChangePolicy: Rule.oneOf("Always", "OnRootMismatch"),
    seccompProfile: seccomp,
    supplementalGroupsPolicy: Rule.oneOf("Merge", "Strict")
  }),
  dnsConfig: dnsConfig(spec["dnsPolicy"] === "None"),
  readinessGates: Rule.each(Rule.fields({ conditionType: Rule.strictly(Names.key) })),
  schedulingGates: gates,
  topologySpreadConstraints: Rule.each(Rule.fields({
    maxSkew: Rule.needed(Rule.must((value: number) => value > 0, "must be greater than zero")),
    topologyKey: Rule.needed(Rule.strictly(Names.key), "can not be empty"),
    whenUnsatisfiable: Rule.exactly("DoNotSchedule", "ScheduleAnyway")
  })),
  serviceAccountName: Rule.syntax(Names.subdomain),
  nodeName: Rule.syntax(Names.subdomain),
  activeDeadlineSeconds: Rule.between(1, 2_147_483_647),
  hostname: Rule.syntax(Names.label),
  subdomain: Rule.syntax(Names.label),
  tolerations: Rule.each(toleration),
  hostAliases: Rule.each(Rule.fields({
    ip: Rule.strictly(Names.address),
    hostnames: Rule.each(Rule.strictly(Names.subdomain))
  })),
  priorityClassName: Rule.syntax(Names.subdomain),
  runtimeClassName: Rule.syntax(Names.subdomain),
  preemptionPolicy: Rule.oneOf("PreemptLowerPriority", "Never"),
  overhead: (value, at) => resources({ limits: value }, at),
  os: Rule.optional({ name: Rule.needed(Rule.exactly("linux", "windows")) })
})

const specOf = (pod: KubeObject): Fields => fieldsOf(fieldsOf(pod)["spec"])
const nameOf = (value: unknown): string => textOf(valueAt(value, "name"))

const specCauses = (pod: KubeObject): ReadonlyArray<Cause> => {
  const spec = specOf(pod)
  const volumes = volumeCauses(spec["volumes"])
  const surroundings = {
    volumes: volumes.names,
    grace: spec["terminationGracePeriodSeconds"],
    hostNetwork: spec["hostNetwork"] === true
  }
  const main = listOf(spec["containers"]).map(nameOf)
  const mainAndInit = [...main, ...listOf(spec["initContainers"]).map(nameOf)]
  /** Containers of all sorts share their names. */
  const named = (rule: Rule.Rule, before: ReadonlyArray<string>): Rule.Rule =>
    Rule.each(Rule.all(rule, Rule.fields({ name: Rule.once(before) })))
  return [
    ...volumes.causes,
    ...Rule.fields({
      containers: Rule.needed(named(mainContainer(surroundings), [])),
      initContainers: named(initContainer(surroundings), main),
      ephemeralContainers: named(ephemeralContainer(surroundings, new Set(mainAndInit)), mainAndInit),
      ...others(spec)
    })(spec, "spec")
  ]
}

/** Of a pod that is created. */
export const podCauses = (pod: KubeObject): ReadonlyArray<Cause> => {
  const isGated = !isAbsent(specOf(pod)["schedulingGates"])
  return [
    ...metadataCauses("pods", pod),
    ...specCauses(pod),
    ...Rule.fields({
      ephemeralContainers: Rule.refused("cannot be set on create"),
      nodeName: isGated ? Rule.refused("cannot be set until all schedulingGates have been cleared") : Rule.none
    })(specOf(pod), "spec")
  ]
}

const changeable = [
  "`spec.containers[*].image`",
  "`spec.initContainers[*].image`",
  "`spec.activeDeadlineSeconds`",
  "`spec.tolerations` (only additions to existing tolerations)",
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
].join(",")

const deadlineCauses = (next: unknown, previous: unknown): ReadonlyArray<Cause> => {
  const at = "spec.activeDeadlineSeconds"
  if (isAbsent(previous)) return []
  if (isAbsent(next)) return [Rule.wrong(at, null, "must not update from a positive integer to nil value")]
  return Rule.when(
    Number(next) > Number(previous),
    Rule.wrong(at, next, "must be less than or equal to previous value")
  )
}

const withoutSeconds = (one: unknown) => ({ ...fieldsOf(one), tolerationSeconds: 0 })
const tolerationsCauses = (next: unknown, previous: unknown): ReadonlyArray<Cause> => {
  const now = listOf(next).map(withoutSeconds)
  const isKept = listOf(previous).every((one) => now.some((other) => isDeepStrictEqual(other, withoutSeconds(one))))
  const what = "existing toleration can not be modified except its tolerationSeconds"
  return Rule.when(!isKept, Rule.forbidden("spec.tolerations", what))
}

const gateCauses = (next: unknown, previous: unknown): ReadonlyArray<Cause> => {
  const before = new Set(listOf(previous).map(nameOf))
  return Rule.each(Rule.fields({
    name: (name, at) =>
      Rule.when(
        !before.has(textOf(name)),
        Rule.forbidden(at, `only deletion is allowed, but found new scheduling gate '${textOf(name)}'`)
      )
  }))(next, "spec.schedulingGates")
}

/** Of a pod that is changed: most of it may not be. */
export const podUpdateCauses = (next: KubeObject, previous: KubeObject): ReadonlyArray<Cause> => {
  const [now, then] = [specOf(next), specOf(previous)]
  const own = [...metadataUpdateCauses(next, previous), ...specCauses(next)]
  const uneven = ["containers", "initContainers"].filter((name) =>
    listOf(now[name]).length !== listOf(then[name]).length
  )
  if (uneven.length > 0) {
    return [
      ...own,
      ...uneven.map((name) => Rule.forbidden(`spec.${name}`, "pod updates may not add or remove containers"))
    ]
  }
  // What may be changed is put back, and the rest has to be the same.
  const imagesBack = ["containers", "initContainers"].filter((name) => name in now).map((name) => [
    name,
    listOf(now[name]).map((one, index) => ({ ...fieldsOf(one), image: valueAt(then, name, index, "image") }))
  ])
  const wasNegative = Number(then["terminationGracePeriodSeconds"]) < 0 && now["terminationGracePeriodSeconds"] === 1
  const free = ["activeDeadlineSeconds", "tolerations", "schedulingGates"]
    .concat(wasNegative ? ["terminationGracePeriodSeconds"] : []).map((name) => [name, then[name]])
  const changes = Rule.differences(then, { ...now, ...Object.fromEntries([...imagesBack, ...free]) }, "spec")
  const what = `pod updates may not change fields other than ${changeable}\n${changes.join("\n")}\n`
  return [
    ...own,
    ...deadlineCauses(now["activeDeadlineSeconds"], then["activeDeadlineSeconds"]),
    ...tolerationsCauses(now["tolerations"], then["tolerations"]),
    ...gateCauses(now["schedulingGates"], then["schedulingGates"]),
    ...Rule.when(changes.length > 0, Rule.forbidden("spec", what))
  ]
}

/** Of a pod that `ephemeralcontainers` gives some: they are added, and stay as they are. */
export const ephemeralContainersCauses = (next: Pod, previous: Pod): ReadonlyArray<Cause> => {
  const at = "spec.ephemeralContainers"
  const added = listOf(specOf(next)["ephemeralContainers"])
  return [
    ...metadataUpdateCauses(next, previous),
    ...specCauses(next),
    ...(previous.spec.ephemeralContainers ?? []).flatMap((old) => {
      const lead = `existing ephemeral containers "${old.name}" may not be`
      const now = added.find((one) => nameOf(one) === old.name)
      if (now === undefined) return [Rule.forbidden(at, `${lead} removed\n`)]
      const changes = Rule.differences(old, now, at)
      return Rule.when(changes.length > 0, Rule.forbidden(at, `${lead} changed\n${changes.join("\n")}\n`))
    })
  ]
}
