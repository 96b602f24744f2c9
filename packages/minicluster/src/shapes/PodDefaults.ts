/**
 * A pod with everything that its author left open, as `SetDefaults_Pod` and the mutating admission plugins of an API
 * server fill it in (`k8s.io/kubernetes/pkg/apis/core/v1/defaults.go`). Done twice it changes nothing more.
 */
import { qosClass } from "../node/PodStatus.ts"
import { type Fields, fieldsOf, isAbsent, listOf, textOf } from "./Json.ts"
import { type Container } from "./Objects.ts"
import { canonical } from "./Quantity.ts"
import { sourceOf } from "./VolumeValidation.ts"

/** Given fields win, unless they are as good as absent. */
export const filled = (given: unknown, defaults: Fields, isOpen: (value: unknown) => boolean = isAbsent): Fields => {
  const open = Object.entries(defaults).filter(([name]) => isOpen(fieldsOf(given)[name]))
  return { ...fieldsOf(given), ...Object.fromEntries(open) }
}

/** Changes the fields that are there, and leaves out those that are as good as absent. */
const within = (given: unknown, changes: Readonly<Record<string, (value: unknown) => unknown>>): Fields =>
  Object.fromEntries(
    Object.entries(fieldsOf(given)).flatMap(([name, value]) => {
      const change = Object.hasOwn(changes, name) ? changes[name] : undefined
      return change === undefined ? [[name, value]] : isAbsent(value) ? [] : [[name, change(value)]]
    })
  )
const each = (change: (value: unknown) => unknown) => (list: unknown) => listOf(list).map(change)

export const canonicalAmounts = (amounts: unknown): Fields =>
  Object.fromEntries(Object.entries(fieldsOf(amounts)).map(([name, value]) => [name, canonical(value)]))

const fieldRef = (value: unknown) => filled(value, { apiVersion: "v1" })
const references = {
  fieldRef,
  resourceFieldRef: (value: unknown) => within(filled(value, { divisor: "0" }), { divisor: canonical })
}
const variable = (value: unknown) => within(value, { valueFrom: (from) => within(from, references) })

const httpGet = (value: unknown) => filled(value, { path: "/", scheme: "HTTP" })
const action = (value: unknown) => within(value, { httpGet })
const isZero = (value: unknown) => isAbsent(value) || value === 0
const probe = (value: unknown) =>
  filled(action(value), { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }, isZero)

/** The tag "latest", said or not, is pulled each time; an image that is known by its digest is not. */
const pullPolicy = (image: string): string => /:(?!latest$)[^/:]+$/.test(image) ? "IfNotPresent" : "Always"

const container = (value: unknown): Fields =>
  filled(
    within(value, {
      ports: each((port) => filled(port, { protocol: "TCP" })),
      env: each(variable),
      resources: (own) => within(own, { limits: canonicalAmounts, requests: canonicalAmounts }),
      lifecycle: (hooks) => within(hooks, { postStart: action, preStop: action }),
      livenessProbe: probe,
      readinessProbe: probe,
      startupProbe: probe
    }),
    {
      resources: {},
      terminationMessagePath: "/dev/termination-log",
      terminationMessagePolicy: "File",
      imagePullPolicy: pullPolicy(textOf(fieldsOf(value)["image"]))
    }
  )

/** A limit is a request too, where no other is given. */
const requesting = (value: unknown): Fields => {
  const own = container(value)
  const { limits, requests } = fieldsOf(own["resources"])
  if (isAbsent(limits)) return own
  return {
    ...own,
    resources: { ...fieldsOf(own["resources"]), requests: { ...fieldsOf(limits), ...fieldsOf(requests) } }
  }
}

/** On the node's own network a port is the node's. */
const onHost = (value: unknown): Fields =>
  within(value, { ports: each((port) => filled(port, { hostPort: fieldsOf(port)["containerPort"] }, isZero)) })

const withMode = (value: unknown) => filled(value, { defaultMode: 0o644 })
const items = { items: each((item: unknown) => within(item, references)) }
const source = (value: unknown) =>
  within(value, {
    downwardAPI: (own) => within(own, items),
    serviceAccountToken: (own) => filled(own, { expirationSeconds: 3600 })
  })
const volume = (value: unknown): Fields =>
  within(sourceOf(value).length === 0 ? { ...fieldsOf(value), emptyDir: {} } : value, {
    emptyDir: (own) => within(own, { sizeLimit: canonical }),
    hostPath: (own) => ({ type: "", ...fieldsOf(own) }),
    secret: withMode,
    configMap: withMode,
    downwardAPI: (own) => within(withMode(own), items),
    projected: (own) => within(withMode(own), { sources: each(source) })
  })

/** `DefaultTolerationSeconds`: five minutes are given to a node that is ill. */
const tolerations = (list: unknown): ReadonlyArray<unknown> => {
  const given = listOf(list)
  const missing = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].filter((key) =>
    !given.map(fieldsOf).some((one) =>
      (isAbsent(one["key"]) || one["key"] === key) && (isAbsent(one["effect"]) || one["effect"] === "NoExecute")
    )
  )
  return [
    ...given,
    ...missing.map((key) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 }))
  ]
}

const containerStatuses = each((one) => filled(one, { state: {}, lastState: {} }))
/** Go's structs are there however little is said of them. */
const statusOf = (value: unknown) =>
  within(value, {
    initContainerStatuses: containerStatuses,
    containerStatuses,
    ephemeralContainerStatuses: containerStatuses
  })

/** The status is the server's from the first: what a client sends of it counts for nothing. */
export const podDefaults = (pod: Fields, isNew: boolean): Fields => {
  const given = fieldsOf(pod["spec"])
  const serviceAccount = [given["serviceAccountName"], given["serviceAccount"], "default"].find((name) =>
    !isAbsent(name)
  )
  const completed = given["hostNetwork"] === true ? (value: unknown) => onHost(requesting(value)) : requesting
  const spec: Fields = {
    ...filled(
      within(given, {
        volumes: each(volume),
        containers: each(completed),
        initContainers: each(completed),
        ephemeralContainers: each(container),
        overhead: canonicalAmounts
      }),
      {
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 30,
        dnsPolicy: "ClusterFirst",
        securityContext: {},
        schedulerName: "default-scheduler",
        enableServiceLinks: true,
        preemptionPolicy: "PreemptLowerPriority",
        ...(isAbsent(given["priorityClassName"]) ? { priority: 0 } : {})
      }
    ),
    serviceAccountName: serviceAccount,
    serviceAccount,
    tolerations: tolerations(given["tolerations"])
  }
  const containers = listOf(spec["containers"]) as ReadonlyArray<Container>
  const all = [...containers, ...(listOf(spec["initContainers"]) as ReadonlyArray<Container>)]
  return { ...pod, spec, status: isNew ? { phase: "Pending", qosClass: qosClass(all) } : statusOf(pod["status"]) }
}
