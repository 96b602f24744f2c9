/** What may stand in an object's metadata (`k8s.io/apimachinery/pkg/api/validation/objectmeta.go`). */
import { type Cause } from "../api/Status.ts"
import { fieldsOf, isAbsent, listOf, textOf } from "./Json.ts"
import * as Names from "./Names.ts"
import { type KubeObject } from "./Objects.ts"
import { type Resource, resourceTypes } from "./Resources.ts"
import * as Rule from "./Rules.ts"

const annotationsLimit = 256 * 1024

/** Labels, and what is matched with them. */
export const labels: Rule.Rule = (value, at) =>
  Object.entries(fieldsOf(value)).flatMap(([key, one]) => [
    ...Names.key(key).map((what) => Rule.wrong(at, key, what)),
    ...Rule.strictly(Names.labelValue)(one, at)
  ])

const annotations: Rule.Rule = (value, at) => {
  const pairs = Object.entries(fieldsOf(value))
  const size = pairs.flat().reduce<number>((sum, one) => sum + Buffer.byteLength(textOf(one)), 0)
  return [
    ...pairs.flatMap(([key]) => Names.key(key.toLowerCase()).map((what) => Rule.wrong(at, key, what))),
    ...Rule.when(size > annotationsLimit, Rule.tooLong(at, annotationsLimit))
  ]
}

const owner = Rule.fields({
  apiVersion: (value, at) => Rule.when(isAbsent(value), Rule.wrong(at, "", "version must not be empty")),
  ...Object.fromEntries(["kind", "name", "uid"].map((name): [string, Rule.Rule] => [
    name,
    (value, at) => Rule.when(isAbsent(value), Rule.wrong(at, "", "must not be empty"))
  ]))
})
const owners: Rule.Rule = (list, at) => {
  const controllers = listOf(list).map(fieldsOf).filter(({ controller }) => controller === true)
  const [first, ...others] = controllers.map(({ kind, name }) => `${textOf(kind)}/${textOf(name)}`)
  const lead = "Only one reference can have Controller set to true. Found \"true\" in references for"
  return [
    // A real server does not say which of them it means.
    ...listOf(list).flatMap((one) => owner(one, at)),
    ...others.map((other) => Rule.wrong(at, list, `${lead} ${first} and ${other}`))
  ]
}

const ownFinalizers = new Set(["kubernetes", "orphan", "foregroundDeletion"])
const unqualified = "name is neither a standard finalizer name nor is it fully qualified"
const finalizers: Rule.Rule = Rule.all(
  (list, at) => listOf(list).flatMap((name) => Rule.strictly(Names.key)(name, at)),
  Rule.each(
    Rule.must((name: unknown) => textOf(name).includes("/") || ownFinalizers.has(textOf(name)), unqualified)
  )
)

const common = { generation: Rule.notNegative, labels, annotations, ownerReferences: owners, finalizers }

const inUrls = new Set<Resource>(["roles", "rolebindings", "clusterroles", "clusterrolebindings", "events"])
const nameSyntax = (resource: Resource) =>
  resource === "namespaces" ? Names.label : inUrls.has(resource) ? Names.segment : Names.subdomain

export const metadataCauses = (resource: Resource, { metadata }: KubeObject): ReadonlyArray<Cause> => {
  const faults = nameSyntax(resource)
  return Rule.fields({
    // A name is still to be put behind it, so that it may end in a dash.
    generateName: Rule.present((value, at) =>
      faults(textOf(value).replace(/.-$/, "a")).map((what) => Rule.wrong(at, value, what))
    ),
    name: Rule.needed(Rule.strictly(faults), "name or generateName is required"),
    namespace: resourceTypes[resource].namespaced
      ? Rule.needed(Rule.strictly(Names.label))
      : Rule.refused("not allowed on this type"),
    ...common
  })(metadata, "metadata")
}

/** What only the server writes, or only a creation. */
const fixed = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
export const immutable = "field is immutable"

export const metadataUpdateCauses = (next: KubeObject, previous: KubeObject): ReadonlyArray<Cause> => {
  const [now, then] = [fieldsOf(next.metadata), fieldsOf(previous.metadata)]
  const added = listOf(now["finalizers"]).filter((name) => !listOf(then["finalizers"]).includes(name))
  const isLate = then["deletionTimestamp"] !== undefined && added.length > 0
  const what = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${
    added.map((name) => JSON.stringify(name)).join(", ")
  }}`
  return [
    ...Rule.when(isLate, Rule.forbidden("metadata.finalizers", what)),
    ...fixed.filter((name) => now[name] !== then[name])
      .map((name) => Rule.wrong(`metadata.${name}`, now[name], immutable)),
    ...Rule.fields(common)(now, "metadata")
  ]
}

/** Go's `omitempty`: a map or a list with nothing in it is not there. */
export const withoutEmpty = <M extends KubeObject["metadata"]>(metadata: M): M => {
  const isEmpty = (value: unknown) =>
    value === null || (typeof value === "object" && value !== undefined && Object.keys(value).length === 0)
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => !isEmpty(value))) as M
}
