/**
 * What is wrong with the template of a pod, beyond types: placeholders that are unknown or stand where none may, labels
 * and annotations that are ours or no valid ones. Pure; asked when the configuration is decoded.
 *
 * Types of the configuration alone are imported here: its schema is checked with these functions.
 */
import type { PodConfig } from "../config/Config.ts"
import { holderPrefix, instanceKey, managedBy, ownerKeys } from "./Labels.ts"
import {
  choosesVariable,
  expandName,
  expandText,
  hasPlaceholder,
  placeholderFault,
  type PlaceholderValues
} from "./Placeholders.ts"
import { isDnsLabel, isDnsSubdomain, isLabelValue, longestLabel, longestName } from "./SafeText.ts"
import { claimVolume, type ConfigPath, isFields, mapPlaces, type TemplatePlace } from "./TemplatePlaces.ts"
import { variableFaults } from "./VariableFaults.ts"

/** One fault. `path` begins below `pod`; `message` fits behind "this value is not allowed:". */
export interface TemplateFault {
  readonly path: ConfigPath
  readonly message: string
}

/** The parts of the configuration of a pod that are looked at here. */
type Template = Pick<
  PodConfig,
  | "name"
  | "mode"
  | "labels"
  | "annotations"
  | "exposeAuthMetadataAsLabels"
  | "exposeAuthMetadataAsAnnotations"
  | "claim"
  | "podSpec"
  | "idleCommand"
>

/** The shortest values that there are: what is wrong with them is wrong with all. */
const shortest: PlaceholderValues = () => "x"

const ofPlace = (template: string, place: TemplatePlace): string | undefined => {
  switch (place) {
    case "env":
      return choosesVariable(template)
        ? "a placeholder may not stand inside of $(…), where it would choose a variable"
        : undefined
    case "claimName":
      return isDnsSubdomain(expandName(template, shortest, longestName))
        ? undefined
        : "around placeholders expected lower-case letters, digits, dashes or dots, with a letter or digit at both ends"
    case "subPath":
      return template.startsWith("/") || template.split("/").includes("..")
        ? "expected a path that does not begin with / and does not lead upwards (..)"
        : undefined
  }
}

const inTemplate = (
  template: string,
  path: ConfigPath,
  check: () => string | undefined
): ReadonlyArray<TemplateFault> => {
  const message = placeholderFault(template) ?? (hasPlaceholder(template) ? check() : undefined)
  return message === undefined ? [] : [{ path, message }]
}

interface Place {
  readonly template: string
  readonly place: TemplatePlace
  readonly path: ConfigPath
}

const placesOf = (pod: Pick<Template, "podSpec">): ReadonlyArray<Place> => {
  const places: Array<Place> = []
  mapPlaces(pod.podSpec, (template, place, path) => {
    places.push({ template, place, path })
    return template
  })
  return places
}

/** Every text below a value, and every key, with its path. */
const textsOf = (
  value: unknown,
  path: ConfigPath
): ReadonlyArray<{ readonly text: string; readonly path: ConfigPath }> => {
  if (typeof value === "string") return [{ text: value, path }]
  if (Array.isArray(value)) return value.flatMap((item, index) => textsOf(item, [...path, index]))
  return isFields(value)
    ? Object.entries(value).flatMap((
      [key, item]
    ) => [{ text: key, path: [...path, key] }, ...textsOf(item, [...path, key])])
    : []
}

/** Faults of the placeholders: unknown ones, and those where none may stand. */
export const placeholderFaults = (pod: Template): ReadonlyArray<TemplateFault> => {
  const places = placesOf(pod)
  const allowed = new Set(places.map(({ path }) => path.join("\0")))
  return [
    ...inTemplate(pod.name, ["name"], () =>
      isDnsLabel(expandName(pod.name, shortest, longestLabel))
        ? undefined
        : "around placeholders expected lower-case letters, digits or dashes, with a letter or digit at both ends"),
    ...places.flatMap(({ path, place, template }) => inTemplate(template, path, () => ofPlace(template, place))),
    ...variableFaults(pod),
    ...textsOf(pod.podSpec, ["podSpec"]).flatMap(({ path, text }) =>
      hasPlaceholder(text) && !allowed.has(path.join("\0"))
        ? [{
          path,
          message: "placeholders may stand in values of env, in subPath and in claimName only; elsewhere use a variable"
        }]
        : []
    )
  ]
}

/** Placeholders in other keys of `pod`, where nothing is put in. */
export const strayPlaceholders = (
  pod: Pick<PodConfig, "shellCommand" | "idleCommand" | "subsystems" | "agentPath" | "claim">
): ReadonlyArray<TemplateFault> =>
  (["shellCommand", "idleCommand", "subsystems", "agentPath", "claim"] as const).flatMap((key) =>
    textsOf(pod[key], [key]).flatMap(({ path, text }) =>
      hasPlaceholder(text)
        ? [{ path, message: "expected no placeholder: nothing is put in here; use a variable" }]
        : []
    )
  )

/** The parts of a pod that differ from user to user and that cannot be changed when it runs. */
export const perUserParts = (pod: Template): ReadonlyArray<ConfigPath> => [
  ...placesOf(pod).flatMap(({ path, template }) => hasPlaceholder(template) ? [path] : []),
  ...(pod.mode === "user" && pod.claim !== undefined ? [["claim"]] : [])
]

const ourKeys: ReadonlySet<string> = new Set([managedBy.key, instanceKey, ...Object.values(ownerKeys)])

const isOurs = (key: string): boolean =>
  ourKeys.has(key) || /^([^/]*\.)?kuberun\.dev\//.test(key) || key.startsWith(holderPrefix)

/** What is wrong with the key of a label or an annotation (`validation.IsQualifiedName`). */
const keyFault = (key: string): string | undefined => {
  if (isOurs(key)) return `${key} is set by kuberun itself; choose another key`
  const [name = "", ...prefixes] = key.split("/").toReversed()
  const valid = name !== "" && isLabelValue(name) &&
    (prefixes.length === 0 || (prefixes.length === 1 && isDnsSubdomain(prefixes[0] ?? "")))
  return valid
    ? undefined
    : `${
      JSON.stringify(key)
    } is no valid key: expected at most 63 letters, digits, dashes, underscores or dots, with a letter or digit at both ends, and before it perhaps a DNS name and a slash`
}

/** Faults of `labels`, `annotations` and of the keys under which metadata of users is exposed. */
export const metadataFaults = (pod: Template): ReadonlyArray<TemplateFault> => {
  const faults: Array<TemplateFault> = []
  const both = [
    ["labels", "exposeAuthMetadataAsLabels"],
    ["annotations", "exposeAuthMetadataAsAnnotations"]
  ] as const
  for (const [fixed, exposed] of both) {
    const taken = new Set<string>()
    for (const [key, template] of Object.entries(pod[fixed])) {
      const message = keyFault(key)
      if (message !== undefined) faults.push({ path: [fixed, key], message })
      taken.add(key)
      const braces = placeholderFault(template)
      if (braces !== undefined) faults.push({ path: [fixed, key], message: braces })
      else if (fixed === "labels" && !isLabelValue(expandText(template, shortest))) {
        faults.push({
          path: [fixed, key],
          message:
            "expected at most 63 letters, digits, dashes, underscores or dots, with a letter or digit at both ends"
        })
      }
    }
    for (const [name, key] of Object.entries(pod[exposed])) {
      const message = keyFault(key) ??
        (taken.has(key) ? `${key} is set by another key of the configuration` : undefined)
      if (message !== undefined) faults.push({ path: [exposed, name], message })
      taken.add(key)
    }
  }
  return faults
}

/** Faults of the user's claim: its volume's name is taken. */
export const claimFaults = (pod: Template): ReadonlyArray<TemplateFault> =>
  pod.claim !== undefined && Array.isArray(pod.podSpec.volumes)
    ? pod.podSpec.volumes.flatMap((volume: unknown, index) =>
      isFields(volume) && volume.name === claimVolume
        ? [{
          path: ["podSpec", "volumes", index, "name"],
          message: `${claimVolume} is the name of the volume that pod.claim makes; choose another`
        }]
        : []
    )
    : []
