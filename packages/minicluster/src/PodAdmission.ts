/** A pod's way in: its JSON is read, completed with defaults, judged, and refused or admitted. */
import { Effect, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { imageBehaviour } from "./Images.ts"
import { generatedName, keyFault, labelFault, labelValueFault, subdomainFault } from "./Names.ts"
import { type Pod, SentPod, timestamp } from "./Objects.ts"
import { qosClass } from "./PodStatus.ts"
import { ApiError, badRequest, denied, forbidden, invalid, type StatusCause } from "./Status.ts"

type Cause = Required<StatusCause>

const required = (field: string, what = ""): Cause => ({
  reason: "FieldValueRequired",
  field,
  message: what === "" ? "Required value" : `Required value: ${what}`
})
const wrong = (field: string, value: unknown, what: string): Cause => ({
  reason: "FieldValueInvalid",
  field,
  message: `Invalid value: ${JSON.stringify(value)}: ${what}`
})
const unsupported = (field: string, value: string, supported: ReadonlyArray<string>): Cause => ({
  reason: "FieldValueNotSupported",
  field,
  message: `Unsupported value: "${value}": supported values: ${supported.map((one) => `"${one}"`).join(", ")}`
})

/** What is wrong with labels or annotations at `field`; annotations' values are free. */
export const labelCauses = (
  field: "metadata.labels" | "metadata.annotations",
  pairs: Readonly<Record<string, string>>
): ReadonlyArray<Cause> =>
  Object.entries(pairs).flatMap(([key, value]) => {
    const keyIs = keyFault(field === "metadata.labels" ? key : key.toLowerCase())
    const valueIs = field === "metadata.labels" ? labelValueFault(value) : undefined
    return [
      ...(keyIs === undefined ? [] : [wrong(field, key, keyIs)]),
      ...(valueIs === undefined ? [] : [wrong(field, value, valueIs)])
    ]
  })

const containerCauses = (pod: SentPod): ReadonlyArray<Cause> => {
  const containers = pod.spec?.containers ?? []
  if (containers.length === 0) return [required("spec.containers")]
  const seen = new Set<string>()
  return containers.flatMap(({ env = [], image, imagePullPolicy, name }, index) => {
    const at = `spec.containers[${index}]`
    const causes: Array<Cause> = []
    const nameIs = name === undefined || name === "" ? undefined : labelFault(name)
    if (name === undefined || name === "") causes.push(required(`${at}.name`))
    else if (nameIs !== undefined) causes.push(wrong(`${at}.name`, name, nameIs))
    else if (seen.has(name)) {
      causes.push({ reason: "FieldValueDuplicate", field: `${at}.name`, message: `Duplicate value: "${name}"` })
    }
    if (name !== undefined) seen.add(name)
    if (image === undefined || image === "") causes.push(required(`${at}.image`))
    else if (image !== image.trim()) {
      causes.push(wrong(`${at}.image`, image, "must not have leading or trailing whitespace"))
    }
    const policies = ["Always", "IfNotPresent", "Never"]
    if (imagePullPolicy !== undefined && !policies.includes(imagePullPolicy)) {
      causes.push(unsupported(`${at}.imagePullPolicy`, imagePullPolicy, policies))
    }
    env.forEach((variable, place) => {
      if (variable.name === undefined || variable.name === "") causes.push(required(`${at}.env[${place}].name`))
    })
    return causes
  })
}

const podCauses = (pod: SentPod, name: string | undefined): ReadonlyArray<Cause> => {
  const causes: Array<Cause> = []
  const nameIs = name === undefined ? undefined : subdomainFault(name)
  if (name === undefined) causes.push(required("metadata.name", "name or generateName is required"))
  else if (nameIs !== undefined) causes.push(wrong("metadata.name", name, nameIs))
  causes.push(...labelCauses("metadata.labels", pod.metadata?.labels ?? {}))
  causes.push(...labelCauses("metadata.annotations", pod.metadata?.annotations ?? {}))
  causes.push(...containerCauses(pod))
  const restartPolicy = pod.spec?.restartPolicy
  const policies = ["Always", "OnFailure", "Never"]
  if (restartPolicy !== undefined && !policies.includes(restartPolicy)) {
    causes.push(unsupported("spec.restartPolicy", restartPolicy, policies))
  }
  const grace = pod.spec?.terminationGracePeriodSeconds
  if (grace !== undefined && grace < 0) {
    causes.push(wrong("spec.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0"))
  }
  return causes
}

/** Plugins and webhooks that the names of images stand for. */
const admissionError = (namespace: string, name: string, images: ReadonlyArray<string>): ApiError | undefined => {
  for (const image of images) {
    switch (imageBehaviour(image)._tag) {
      case "Quota":
        return forbidden("pods", name, "exceeded quota: pods, requested: pods=1, used: pods=10, limited: pods=10")
      case "Denied":
        return denied("policy.kuberun.test", `image ${image} is not allowed here`)
      case "Rbac": {
        const { status } = forbidden("pods", name, "")
        const sentence = `User "demo" cannot create resource "pods" in API group "" in the namespace "${namespace}"`
        return new ApiError({
          status: { ...status, message: `pods is forbidden: ${sentence}`, details: { kind: "pods" } }
        })
      }
      default:
    }
  }
  return undefined
}

/** `Schema.is` keeps the fields that are not named in it, where decoding would drop them. */
const isSentPod = Schema.is(SentPod)
const explain = Schema.decodeUnknownEffect(SentPod)

/** Turns what was sent into the pod that is stored, or refuses it with every cause at once. */
export const admitPod = Effect.fnUntraced(function*(namespace: string, body: unknown, now: number) {
  if (!isSentPod(body)) {
    const why = yield* explain(body).pipe(Effect.flip, Effect.map(String), Effect.catch(() => Effect.succeed("")))
    const oneLine = why.replaceAll(/\s+/g, " ")
    return yield* badRequest(`Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal: ${oneLine}`)
  }
  if ((body.kind ?? "Pod") !== "Pod" || (body.apiVersion ?? "v1") !== "v1") {
    return yield* badRequest(
      `the API version in the data (${body.apiVersion ?? ""}, Kind=${
        body.kind ?? ""
      }) does not match the expected API version (v1, Kind=Pod)`
    )
  }
  const named = body.metadata?.namespace
  if (named !== undefined && named !== "" && named !== namespace) {
    return yield* badRequest(
      `the namespace of the provided object does not match the namespace sent on the request`
    )
  }
  const base = body.metadata?.generateName
  const given = body.metadata?.name
  const name = given === undefined || given === ""
    ? (base === undefined || base === "" ? undefined : generatedName(base))
    : given
  const causes = podCauses(body, name)
  if (name === undefined || causes.length > 0) return yield* invalid("Pod", name ?? "", causes)
  const containers = (body.spec?.containers ?? []).map((container) => ({
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: /:(?!latest$)[^/:]+$/.test(container.image ?? "") ? "IfNotPresent" : "Always",
    resources: {},
    ...container,
    name: container.name ?? "",
    image: container.image ?? ""
  }))
  const refused = admissionError(namespace, name, containers.map(({ image }) => image))
  if (refused !== undefined) return yield* refused
  const { annotations, labels, ...metadata } = body.metadata ?? {}
  const pod: Pod = {
    ...body,
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...metadata,
      ...(labels === undefined || labels === null ? {} : { labels }),
      ...(annotations === undefined || annotations === null ? {} : { annotations }),
      name,
      namespace,
      uid: randomUUID(),
      resourceVersion: "",
      creationTimestamp: timestamp(now)
    },
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      serviceAccountName: "default",
      securityContext: {},
      schedulerName: "default-scheduler",
      enableServiceLinks: true,
      ...body.spec,
      containers
    } as Pod["spec"],
    status: { phase: "Pending", qosClass: qosClass(containers) }
  }
  return pod
})
