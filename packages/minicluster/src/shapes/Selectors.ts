/** Label and field selectors: `labels.Parse` and `fields.ParseSelector` of apimachinery, as predicates. */
import { Effect } from "effect"
import { type ApiError, badRequest } from "../api/Status.ts"
import { at, textOf } from "./Json.ts"
import { type KubeObject } from "./Objects.ts"
import { type Resource } from "./Resources.ts"

export type Selector = (object: KubeObject) => boolean

/** Splits at commas outside of parentheses. */
const requirements = (text: string): ReadonlyArray<string> =>
  text.split(/,(?![^(]*\))/).map((part) => part.trim()).filter((part) => part !== "")

/** The value of a label, or nothing. */
const labelOf = ({ metadata: { labels = {} } }: KubeObject, key: string): string | undefined =>
  Object.hasOwn(labels, key) ? labels[key] : undefined

const labelRequirement = (text: string): Selector | undefined => {
  const set = /^([^\s!=(),]+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text)
  if (set !== null) {
    const [, key = "", operator, list = ""] = set
    const values = new Set<string | undefined>(list.split(",").map((value) => value.trim()))
    return (object) => values.has(labelOf(object, key)) === (operator === "in")
  }
  const equality = /^([^\s!=(),]+)\s*(==|=|!=)\s*([^\s!=(),]*)$/.exec(text)
  if (equality !== null) {
    const [, key = "", operator, value = ""] = equality
    return (object) => (labelOf(object, key) === value) === (operator !== "!=")
  }
  const [, not, key] = /^(!?)\s*([^\s!=(),]+)$/.exec(text) ?? []
  return key === undefined ? undefined : (object) => (labelOf(object, key) !== undefined) === (not === "")
}

/** What meets every requirement of a text, each read by `parse`. */
const allOf = (text: string, parse: (part: string) => Effect.Effect<Selector, ApiError>) =>
  Effect.map(
    Effect.forEach(requirements(text), parse),
    (selectors): Selector => (object) => selectors.every((select) => select(object))
  )

/** Fails with 400 as the API server does for what it cannot parse. */
export const labelSelector = (text: string): Effect.Effect<Selector, ApiError> =>
  allOf(text, (part) => {
    const select = labelRequirement(part)
    return select === undefined
      ? badRequest(`unable to parse requirement: found '${part}', expected: a requirement of a label selector`)
      : Effect.succeed(select)
  })

/** The fields that a server indexes besides an object's name and namespace; the rest is refused, not ignored. */
const selectable: { readonly [R in Resource]?: ReadonlyArray<string> } = {
  pods: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName"
  ],
  events: [
    ...["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"]
      .map((field) => `involvedObject.${field}`),
    "reason",
    "reportingComponent",
    "source",
    "type"
  ],
  namespaces: ["status.phase"],
  nodes: ["spec.unschedulable"],
  secrets: ["type"]
}

const fieldOf = (object: unknown, path: string): string => {
  const value = at(object, ...(path === "source" ? "source.component" : path).split("."))
  return path === "spec.hostNetwork" || path === "spec.unschedulable" ? String(value === true) : textOf(value)
}

export const fieldSelector = (resource: Resource, text: string): Effect.Effect<Selector, ApiError> =>
  allOf(text, (part) => {
    const parsed = /^([^=!]+)(==|=|!=)(.*)$/.exec(part)
    if (parsed === null) return badRequest(`invalid selector: '${text}'; can't understand '${part}'`)
    const [, field = "", operator, value = ""] = parsed
    return ["metadata.name", "metadata.namespace", ...(selectable[resource] ?? [])].includes(field)
      ? Effect.succeed((object) => (fieldOf(object, field) === value) === (operator !== "!="))
      : badRequest(`field label not supported: ${field}`)
  })
