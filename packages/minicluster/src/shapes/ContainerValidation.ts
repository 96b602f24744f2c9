/** What may stand in a container of a pod, of whichever of the three sorts. */
import { at as valueAt, fieldsOf, isAbsent, listOf, textOf } from "./Json.ts"
import * as Names from "./Names.ts"
import { parseQuantity, writeQuantity } from "./Quantity.ts"
import * as Rule from "./Rules.ts"
import { fieldRef, resourceFieldRef } from "./VolumeValidation.ts"

/** What the rules of a container have to know of its pod. */
export interface Surroundings {
  /** The volumes that may be mounted. */
  readonly volumes: ReadonlySet<string>
  /** `terminationGracePeriodSeconds`, within which a hook's sleep has to fit. */
  readonly grace: unknown
  readonly hostNetwork: boolean
}

const portNumber = Rule.between(1, 65_535)
const port: Rule.Rule = (value, at) =>
  typeof value === "string" ? Rule.strictly(Names.port)(value, at) : portNumber(value ?? 0, at)
const onHost = "must match `containerPort` when `hostNetwork` is true"

const ports = (hostNetwork: boolean): Rule.Rule => (list, at) => {
  const taken = Rule.once()
  return Rule.each((one, path) => {
    const { containerPort, hostPort = 0 } = fieldsOf(one)
    return [
      ...Rule.fields({
        name: Rule.all(Rule.syntax(Names.port), taken),
        containerPort: (value, field) => value === 0 ? [Rule.required(field)] : Rule.needed(portNumber)(value, field),
        hostPort: (value, field) => value === 0 ? [] : portNumber(value, field),
        protocol: Rule.needed(Rule.exactly("SCTP", "TCP", "UDP"))
      })(one, path),
      ...Rule.when(hostNetwork && hostPort !== containerPort, Rule.wrong(`${path}.hostPort`, hostPort, onHost))
    ]
  })(list, at)
}

const keyRef = Rule.fields({
  name: Rule.strictly(Names.subdomain),
  key: Rule.needed(Rule.strictly(Names.configKey))
})
const valueSources: Rule.Table = {
  fieldRef: fieldRef(
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs"
  ),
  resourceFieldRef,
  configMapKeyRef: keyRef,
  secretKeyRef: keyRef
}
const objectRef = Rule.fields({ name: Rule.needed(Rule.strictly(Names.subdomain)) })
const variableSources: Rule.Table = { configMapRef: objectRef, secretRef: objectRef }

/** Exactly one of the sources in a table; where it is none or too many, that is said of `where`. */
const oneSource = (table: Rule.Table, value: unknown, at: string, where: string, isTaken = false) => {
  const found = Object.keys(table).filter((name) => !isAbsent(valueAt(value, name)))
  const names = Object.keys(table).map((name) => `\`${name}\``).join(", ").replace(/, ([^,]*)$/, " or $1")
  return [
    ...found.flatMap((name) => table[name]?.(valueAt(value, name), `${at}.${name}`) ?? []),
    ...Rule.when(found.length === 0, Rule.wrong(where, "", `must specify one of: ${names}`)),
    ...Rule.when(found.length > 0 && isTaken, Rule.wrong(where, "", "may not be specified when `value` is not empty")),
    ...Rule.when(
      found.length > 1 && !isTaken,
      Rule.wrong(where, "", "may not have more than one field specified at a time")
    )
  ]
}
const variable: Rule.Rule = (value, at) =>
  Rule.fields({
    name: Rule.needed(Rule.strictly(Names.variable)),
    valueFrom: Rule.present((from, path) =>
      oneSource(valueSources, from, path, path, !isAbsent(valueAt(value, "value")))
    )
  })(value, at)
const envFrom: Rule.Rule = (list, at) =>
  Rule.each((one, path) => [
    ...Rule.syntax(Names.variable)(valueAt(one, "prefix"), `${path}.prefix`),
    ...oneSource(variableSources, one, path, at)
  ])(list, at)

const mounts = (volumes: ReadonlySet<string>): Rule.Rule => (list, at) => {
  const seen = new Set<unknown>()
  return Rule.each((mount, path) => {
    const { mountPath, name = "", subPath, subPathExpr } = fieldsOf(mount)
    const isTwice = seen.has(mountPath)
    seen.add(mountPath)
    return [
      ...Rule.needed()(name, `${path}.name`),
      ...Rule.when(!volumes.has(textOf(name)), Rule.missing(`${path}.name`, name)),
      ...Rule.needed()(mountPath, `${path}.mountPath`),
      ...Rule.when(isTwice, Rule.wrong(`${path}.mountPath`, mountPath, "must be unique")),
      // Of these two a real server does not say which mount's they are.
      ...Rule.syntax(Names.descending)(subPath, `${at}.subPath`),
      ...Rule.syntax(Names.descending)(subPathExpr, `${at}.subPathExpr`),
      ...Rule.when(
        !isAbsent(subPath) && !isAbsent(subPathExpr),
        Rule.wrong(`${path}.subPathExpr`, subPathExpr, "subPathExpr and subPath are mutually exclusive")
      )
    ]
  })(list, at)
}

const isNative = (name: string) => !name.includes("/") || name.includes("kubernetes.io/")
const isHuge = (name: string) => name.startsWith("hugepages-")
const unknownAmount = [
  "must be a standard resource type or fully qualified",
  "must be a standard resource for containers"
]

const amounts: Rule.Rule = (value, at) =>
  Object.entries(fieldsOf(value)).flatMap(([name, given]) => {
    const path = `${at}[${name}]`
    const { amount } = parseQuantity(given) ?? { amount: 0n }
    const faults = Names.key(name)
    const isKnown = name.includes("/") || isHuge(name) || ["cpu", "memory", "ephemeral-storage"].includes(name)
    const isWhole = isNative(name) || amount % 10n ** 9n === 0n
    return [
      ...[...faults, ...(isKnown || faults.length > 0 ? [] : unknownAmount)].map((what) =>
        Rule.wrong(path, name, what)
      ),
      ...Rule.when(amount < 0n, Rule.wrong(path, given, "must be greater than or equal to 0")),
      ...Rule.when(!isWhole, Rule.wrong(path, given, "must be an integer"))
    ]
  })

export const resources: Rule.Rule = (value, at) => [
  ...Rule.fields({ limits: amounts, requests: amounts })(value, at),
  ...Object.entries(fieldsOf(valueAt(value, "requests"))).flatMap(([name, given]) => {
    const [request, limit] = [parseQuantity(given), parseQuantity(valueAt(value, "limits", name))]
    const isExact = !isNative(name) || isHuge(name)
    if (request === undefined) return []
    if (limit === undefined) {
      return Rule.when(isExact, Rule.required(`${at}.limits`, "Limit must be set for non overcommitable resources"))
    }
    const isFine = isExact ? request.amount === limit.amount : request.amount <= limit.amount
    const what = `must be ${isExact ? "equal to" : "less than or equal to"} ${name} limit of ${writeQuantity(limit)}`
    return Rule.when(!isFine, Rule.wrong(`${at}.requests`, writeQuantity(request), what))
  })
]

export const userId = Rule.between(0, 2_147_483_647)
export const seccomp = Rule.optional({
  type: Rule.needed(
    Rule.exactly("Localhost", "RuntimeDefault", "Unconfined"),
    "type is required when seccompProfile is set"
  )
})
const contradiction = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
const securityContext = Rule.present(Rule.all(
  Rule.fields({
    runAsUser: userId,
    runAsGroup: userId,
    procMount: Rule.oneOf("Default", "Unmasked"),
    seccompProfile: seccomp
  }),
  (value, at) => {
    const { allowPrivilegeEscalation, privileged } = fieldsOf(value)
    return Rule.when(allowPrivilegeEscalation === false && privileged === true, Rule.wrong(at, value, contradiction))
  }
))

const actions: Rule.Table = {
  exec: Rule.fields({ command: Rule.needed() }),
  httpGet: Rule.fields({
    port,
    scheme: Rule.exactly("HTTP", "HTTPS"),
    httpHeaders: (list, at) => listOf(list).flatMap((one) => Rule.strictly(Names.header)(valueAt(one, "name"), at))
  }),
  tcpSocket: Rule.fields({ port })
}
const sleep = (grace: unknown): Rule.Rule => (value, at) => {
  const seconds = Number(valueAt(value, "seconds") ?? 0)
  const what = `must be greater than 0 and less than terminationGracePeriodSeconds (${Number(grace)}). ` +
    "Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep."
  return Rule.when(!(seconds > 0 && seconds <= Number(grace)), Rule.wrong(at, seconds, what))
}

/** Exactly one action; the rules of those after the first are not asked any more. */
const action = (table: Rule.Table): Rule.Rule =>
  Rule.present((value, at) => {
    const [first, ...others] = Object.keys(table).filter((name) => !isAbsent(valueAt(value, name)))
    if (first === undefined) return [Rule.required(at, "must specify a handler type")]
    return [
      ...table[first]?.(valueAt(value, first), `${at}.${first}`) ?? [],
      ...others.map((name) => Rule.forbidden(`${at}.${name}`, "may not specify more than 1 handler type"))
    ]
  })

const times = ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
const probe = (special: Rule.Table): Rule.Rule =>
  Rule.present(Rule.all(
    action({ ...actions, grpc: Rule.fields({ port }) }),
    Rule.these(times, Rule.notNegative),
    Rule.fields({ terminationGracePeriodSeconds: Rule.positive, ...special })
  ))
const oneSuccess = probe({ successThreshold: Rule.must((value) => value === 1, "must be 1") })

/** What only a container may have that stays. */
const lasting = (grace: unknown): Rule.Table => {
  const hook = action({ ...actions, sleep: sleep(grace) })
  return {
    lifecycle: Rule.optional({ postStart: hook, preStop: hook }),
    livenessProbe: oneSuccess,
    readinessProbe: probe({
      terminationGracePeriodSeconds: Rule.must(() => false, "must not be set for readinessProbes")
    }),
    startupProbe: oneSuccess
  }
}
const hooksAndProbes = Object.keys(lasting(0))

const common = ({ hostNetwork, volumes }: Surroundings): Rule.Rule =>
  Rule.fields({
    name: Rule.needed(Rule.strictly(Names.label)),
    image: Rule.needed(Rule.must(
      (value: unknown) => textOf(value) === textOf(value).trim(),
      "must not have leading or trailing whitespace"
    )),
    terminationMessagePolicy: Rule.needed(Rule.exactly("File", "FallbackToLogsOnError")),
    ports: ports(hostNetwork),
    env: Rule.each(variable),
    envFrom,
    volumeMounts: mounts(volumes),
    imagePullPolicy: Rule.needed(Rule.exactly("Always", "IfNotPresent", "Never")),
    resources,
    securityContext
  })

export const mainContainer = (surroundings: Surroundings): Rule.Rule =>
  Rule.all(
    common(surroundings),
    Rule.fields({
      ...lasting(surroundings.grace),
      restartPolicy: Rule.refused("may not be set for non-init containers")
    })
  )

export const initContainer = (surroundings: Surroundings): Rule.Rule => {
  const staying = Rule.fields(lasting(surroundings.grace))
  const passing = Rule.these(
    hooksAndProbes,
    Rule.refused("may not be set for init containers without restartPolicy=Always")
  )
  return Rule.all(
    common(surroundings),
    Rule.fields({ restartPolicy: Rule.oneOf("Always") }),
    (value, at) => (valueAt(value, "restartPolicy") === "Always" ? staying : passing)(value, at)
  )
}

const notEphemeral = Rule.refused("cannot be set for an Ephemeral Container")

/** `targets` are the containers whose processes it may share. */
export const ephemeralContainer = (surroundings: Surroundings, targets: ReadonlySet<string>): Rule.Rule =>
  Rule.all(
    common(surroundings),
    Rule.fields({
      targetContainerName: Rule.present((value, at) => Rule.when(!targets.has(textOf(value)), Rule.missing(at, value))),
      resources: (value, at) => Object.keys(fieldsOf(value)).length === 0 ? [] : notEphemeral(value, at),
      volumeMounts: Rule.each(Rule.these(["subPath", "subPathExpr"], notEphemeral))
    }),
    Rule.these(["ports", ...hooksAndProbes, "restartPolicy"], notEphemeral)
  )
