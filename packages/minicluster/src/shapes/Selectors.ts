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

type Labels = ReadonlyMap<string, string>

const labelRequirement = (text: string): ((labels: Labels) => boolean) | undefined => {
  const set = /^([^\s!=(),]+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text)
  if (set !== null) {
    const [, key = "", operator, list = ""] = set
    const values = new Set(list.split(",").map((value) => value.trim()))
    return operator === "in"
      ? (labels) => values.has(labels.get(key) ?? "") && labels.has(key)
      : (labels) => !values.has(labels.get(key) ?? "") || !labels.has(key)
  }
  const equality = /^([^\s!=(),]+)\s*(==|=|!=)\s*([^\s!=(),]*)$/.exec(text)
  if (equality !== null) {
    const [, key = "", operator, value = ""] = equality
    return operator === "!=" ? (labels) => labels.get(key) !== value : (labels) => labels.get(key) === value
  }
  const existence = /^(!?)\s*([^\s!=(),]+)$/.exec(text)
  if (existence === null) return undefined
  const [, not, key = ""] = existence
  return (labels) => labels.has(key) === (not === "")
}

/** Fails with 400 as the API server does for what it cannot parse. */
export const labelSelector = (text: string): Effect.Effect<Selector, ApiError> =>
  Effect.suspend(() => {
    const checks: Array<(labels: Labels) => boolean> = []
    for (const part of requirements(text)) {
      const check = labelRequirement(part)
      if (check === undefined) {
        return badRequest(`unable to parse requirement: found '${part}', expected: a requirement of a label selector`)
      }
      checks.push(check)
    }
    return Effect.succeed(({ metadata }) => {
      const labels = new Map(Object.entries(metadata.labels ?? {}))
      return checks.every((check) => check(labels))
    })
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
  Effect.suspend(() => {
    const checks: Array<Selector> = []
    for (const part of requirements(text)) {
      const parsed = /^([^=!]+)(==|=|!=)(.*)$/.exec(part)
      if (parsed === null) return badRequest(`invalid selector: '${text}'; can't understand '${part}'`)
      const [, field = "", operator, value = ""] = parsed
      if (!["metadata.name", "metadata.namespace", ...(selectable[resource] ?? [])].includes(field)) {
        return badRequest(`field label not supported: ${field}`)
      }
      checks.push((object) => (fieldOf(object, field) === value) === (operator !== "!="))
    }
    return Effect.succeed((object) => checks.every((check) => check(object)))
  })
