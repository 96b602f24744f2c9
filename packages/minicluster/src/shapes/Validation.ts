/**
 * What an API server makes of an object before it stores it: the defaults, and everything that is wrong with it at
 * once. Pods have files of their own; this is for the other kinds, and the door to all of them.
 */
import { isDeepStrictEqual } from "node:util"
import { type Cause } from "../api/Status.ts"
import { at as valueAt, type Fields, fieldsOf, isAbsent, listOf, textOf } from "./Json.ts"
import * as Names from "./Names.ts"
import { immutable, metadataCauses, metadataUpdateCauses, withoutEmpty } from "./ObjectMeta.ts"
import { type KubeObject } from "./Objects.ts"
import { canonicalAmounts, filled, podDefaults } from "./PodDefaults.ts"
import { podCauses, podUpdateCauses } from "./PodValidation.ts"
import { parseQuantity } from "./Quantity.ts"
import { type Resource } from "./Resources.ts"
import * as Rule from "./Rules.ts"

const rbac = "rbac.authorization.k8s.io"

const bindingDefaults = (object: Fields): Fields => {
  const subjects = listOf(object["subjects"]).map((subject) =>
    ["User", "Group"].includes(textOf(valueAt(subject, "kind"))) ? filled(subject, { apiGroup: rbac }) : subject
  )
  const roleRef = filled(object["roleRef"], { apiGroup: rbac })
  return { ...object, roleRef, ...(subjects.length === 0 ? {} : { subjects }) }
}

/** What is given as text goes in with the rest, and is not kept as such. */
const secretDefaults = ({ stringData, ...object }: Fields): Fields => {
  const texts = Object.entries(fieldsOf(stringData)).map((
    [key, text]
  ) => [key, Buffer.from(textOf(text)).toString("base64")])
  const data = { ...fieldsOf(object["data"]), ...Object.fromEntries(texts) }
  return { ...filled(object, { type: "Opaque" }), ...(Object.keys(data).length === 0 ? {} : { data }) }
}

const namespaceDefaults = (object: Fields, isNew: boolean): Fields => {
  const metadata = fieldsOf(object["metadata"])
  const labels = { ...fieldsOf(metadata["labels"]), "kubernetes.io/metadata.name": metadata["name"] }
  const spec = { finalizers: ["kubernetes"], ...(isNew ? {} : fieldsOf(object["spec"])) }
  return { ...object, metadata: { ...metadata, labels }, spec, ...(isNew ? { status: { phase: "Active" } } : {}) }
}

const claimDefaults = (object: Fields, isNew: boolean): Fields => {
  const spec = filled(object["spec"], { volumeMode: "Filesystem" })
  const amounts = Object.entries(fieldsOf(spec["resources"])).map(([list, own]) => [list, canonicalAmounts(own)])
  return {
    ...object,
    spec: { storageClassName: "standard", ...spec, resources: Object.fromEntries(amounts) },
    ...(isNew ? { status: { phase: "Pending" } } : {})
  }
}

const defaults: Partial<Readonly<Record<Resource, (object: Fields, isNew: boolean) => Fields>>> = {
  pods: podDefaults,
  namespaces: namespaceDefaults,
  secrets: secretDefaults,
  persistentvolumeclaims: claimDefaults,
  nodes: (object) => filled(object, { spec: {}, status: {} }),
  rolebindings: bindingDefaults,
  clusterrolebindings: bindingDefaults
}

/** An object with its defaults. One that has no version yet is new, and its status is not its author's to say. */
export const withDefaults = (resource: Resource, object: KubeObject): KubeObject => {
  const isNew = isAbsent(object.metadata.resourceVersion)
  const kept = { ...object, metadata: withoutEmpty(object.metadata) }
  return (defaults[resource]?.(fieldsOf(kept), isNew) ?? kept) as unknown as KubeObject
}

const dataLimit = 1024 * 1024
const sizeOf = (value: unknown, encoding: "utf8" | "base64"): number =>
  Object.values(fieldsOf(value)).reduce<number>((sum, one) => sum + Buffer.byteLength(textOf(one), encoding), 0)

const data: Rule.Rule = (value, at) =>
  Object.keys(fieldsOf(value)).flatMap((key) => Rule.strictly(Names.configKey)(key, `${at}[${key}]`))
const configMap: Rule.Rule = (object) => {
  const { binaryData: binary, data: texts } = fieldsOf(object)
  const both = Object.keys(fieldsOf(texts)).filter((key) => Object.hasOwn(fieldsOf(binary), key))
  return [
    ...Rule.fields({ data, binaryData: data })(object, ""),
    ...both.map((key) => Rule.wrong(`data[${key}]`, key, "duplicate of key present in binaryData")),
    // The whole object is meant, and this is how a real server writes it.
    ...Rule.when(sizeOf(texts, "utf8") + sizeOf(binary, "base64") > dataLimit, Rule.tooLong("[]", dataLimit))
  ]
}

/** The keys that a secret of a type has to have. */
const secretKeys: Readonly<Record<string, ReadonlyArray<string>>> = {
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/basic-auth": ["username", "password"]
}

const secret: Rule.Rule = (object) => {
  const { data: own, type } = fieldsOf(object)
  const lacking = (secretKeys[textOf(type)] ?? []).filter((key) => valueAt(own, key) === undefined)
  // Either of a name and a password is enough.
  const isEnough = type === "kubernetes.io/basic-auth" && lacking.length === 1
  return [
    ...data(own, "data"),
    ...Rule.when(sizeOf(own, "base64") > dataLimit, Rule.tooLong("data", dataLimit)),
    ...(isEnough ? [] : lacking.map((key) => Rule.required(`data[${key}]`)))
  ]
}

const storageOf = (claim: unknown) => valueAt(claim, "spec", "resources", "requests", "storage")
const only = "may not use ReadWriteOncePod with other access modes"
const modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]

const claim: Rule.Rule = (object) => [
  ...Rule.fields({
    accessModes: Rule.needed(
      (list, at) => [
        ...listOf(list).flatMap((mode) => Rule.exactly(...modes)(mode, at)),
        ...Rule.when(listOf(list).length > 1 && listOf(list).includes("ReadWriteOncePod"), Rule.forbidden(at, only))
      ],
      "at least 1 access mode is required"
    ),
    storageClassName: Rule.syntax(Names.subdomain),
    volumeMode: Rule.oneOf("Block", "Filesystem")
  })(valueAt(object, "spec"), "spec"),
  ...Rule.needed(Rule.must((size) => (parseQuantity(size)?.amount ?? 0n) > 0n, "must be greater than zero"))(
    storageOf(object),
    "spec.resources[storage]"
  )
]

const policyRule = (isNamespaced: boolean): Rule.Rule => (value, at) => {
  const { nonResourceURLs, resourceNames, resources } = fieldsOf(value)
  const ofResources = [fieldsOf(value)["apiGroups"], resources, resourceNames]
  const urls = (what: string) => Rule.wrong(`${at}.nonResourceURLs`, nonResourceURLs, what)
  return [
    ...Rule.fields({ verbs: Rule.needed(Rule.none, "verbs must contain at least one value") })(value, at),
    ...(isAbsent(nonResourceURLs)
      ? Rule.fields({
        apiGroups: Rule.needed(Rule.none, "resource rules must supply at least one api group"),
        resources: Rule.needed(Rule.none, "resource rules must supply at least one resource"),
        resourceNames: (names, field) =>
          Rule.when(
            !isAbsent(names) && listOf(resources).length > 1,
            Rule.required(field, "resource names cannot apply to multiple resources")
          )
      })(value, at)
      : [
        ...Rule.when(isNamespaced, urls("namespaced rules cannot apply to non-resource URLs")),
        ...Rule.when(
          !ofResources.every(isAbsent),
          urls("rules cannot apply to both regular resources and non-resource URLs")
        )
      ])
  ]
}
const role = (isNamespaced: boolean) => Rule.fields({ rules: Rule.each(policyRule(isNamespaced)) })

const person = Rule.fields({ name: Rule.needed(), apiGroup: Rule.exactly(rbac) })
const subjects: Rule.Table = {
  ServiceAccount: Rule.fields({ name: Rule.needed(Rule.strictly(Names.subdomain)), apiGroup: Rule.exactly("") }),
  User: person,
  Group: person
}
const binding = (isNamespaced: boolean) =>
  Rule.fields({
    roleRef: Rule.fields({
      apiGroup: Rule.exactly(rbac),
      kind: Rule.exactly(...(isNamespaced ? ["Role", "ClusterRole"] : ["ClusterRole"])),
      name: Rule.needed(Rule.strictly(Names.segment))
    }),
    subjects: Rule.each((subject, at) => {
      const { kind, namespace } = fieldsOf(subject)
      const isLost = kind === "ServiceAccount" && !isNamespaced && isAbsent(namespace)
      return [
        ...Rule.fields({ kind: Rule.exactly(...Object.keys(subjects)) })(subject, at),
        ...subjects[textOf(kind)]?.(subject, at) ?? [],
        ...Rule.when(isLost, Rule.required(`${at}.namespace`))
      ]
    })
  })

const event: Rule.Rule = (object) => {
  const own = valueAt(object, "metadata", "namespace")
  const about = textOf(valueAt(object, "involvedObject", "namespace"))
  const isFine = about === own || (about === "" && own === "default")
  return Rule.when(!isFine, Rule.wrong("involvedObject.namespace", about, "does not match event.namespace"))
}

const rules: Partial<Readonly<Record<Resource, Rule.Rule>>> = {
  configmaps: configMap,
  secrets: secret,
  persistentvolumeclaims: claim,
  leases: Rule.fields({
    spec: Rule.fields({ leaseDurationSeconds: Rule.positive, leaseTransitions: Rule.notNegative })
  }),
  events: event,
  roles: role(true),
  clusterroles: role(false),
  rolebindings: binding(true),
  clusterrolebindings: binding(false)
}

const changed = (names: ReadonlyArray<string>, next: Fields, previous: Fields, refusal: (name: string) => Cause) =>
  names.filter((name) => !isDeepStrictEqual(next[name], previous[name])).map(refusal)

/** `immutable` was set, and so the content stays, and so does it. */
const sealed = (next: Fields, previous: Fields): ReadonlyArray<Cause> =>
  previous["immutable"] !== true ?
    [] :
    changed(["immutable", "data", "binaryData"], next, previous, (name) =>
      Rule.forbidden(name, "field is immutable when `immutable` is set"))

const claimUpdate = (next: Fields, previous: Fields): ReadonlyArray<Cause> => {
  const then = fieldsOf(previous["spec"])
  const [size, before] = [next, previous].map((one) => parseQuantity(storageOf(one))?.amount ?? 0n)
  const capacity = parseQuantity(valueAt(previous, "status", "capacity", "storage"))?.amount ?? 0n
  const free = {
    ...(isAbsent(then["volumeName"]) ? { volumeName: then["volumeName"] } : {}),
    ...(valueAt(previous, "status", "phase") === "Bound" ? { resources: then["resources"] } : {})
  }
  const changes = Rule.differences(then, { ...fieldsOf(next["spec"]), ...free }, "spec")
  const what =
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
  const isLess = size !== undefined && before !== undefined && size < before && size <= capacity
  return [
    ...Rule.when(changes.length > 0, Rule.forbidden("spec", `${what}\n${changes.join("\n")}\n`)),
    ...Rule.when(
      isLess,
      Rule.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    )
  ]
}

const sameRole = (next: Fields, previous: Fields) =>
  changed(["roleRef"], next, previous, (name) => Rule.wrong(name, next[name], "cannot change roleRef"))

const updateRules: Partial<Readonly<Record<Resource, (next: Fields, previous: Fields) => ReadonlyArray<Cause>>>> = {
  configmaps: sealed,
  secrets: (next, previous) => [
    ...changed(["type"], next, previous, (name) => Rule.wrong(name, next[name], immutable)),
    ...sealed(next, previous)
  ],
  persistentvolumeclaims: claimUpdate,
  rolebindings: sameRole,
  clusterrolebindings: sameRole
}

/** Everything that is wrong with an object that is to be created; it has its defaults, and its name. */
export const createCauses = (resource: Resource, object: KubeObject): ReadonlyArray<Cause> =>
  resource === "pods"
    ? podCauses(object)
    : [...metadataCauses(resource, object), ...rules[resource]?.(object, "") ?? []]

/** Everything that is wrong with an object as the successor of another; both have their defaults. */
export const updateCauses = (resource: Resource, next: KubeObject, previous: KubeObject): ReadonlyArray<Cause> =>
  resource === "pods" ? podUpdateCauses(next, previous) : [
    ...metadataUpdateCauses(next, previous),
    ...updateRules[resource]?.(fieldsOf(next), fieldsOf(previous)) ?? [],
    ...rules[resource]?.(next, "") ?? []
  ]
