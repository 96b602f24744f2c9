/**
 * The labels and annotations of a pod: ours, by which it is found again and which tell whose it is, and those that the
 * configuration asks for. Pure.
 *
 * Ours win: the configuration cannot name them (`TemplateFaults.ts`), and would not replace them if it could. A label
 * whose value had to be changed leaves the original in an annotation of the same key.
 */
import type { Config } from "../config/Config.ts"
import type { Identity } from "../ports/Identity.ts"
import { installationLabels, ownerKeys } from "./Labels.ts"
import { expandLabel, expandText, hasPlaceholder, valuesOf } from "./Placeholders.ts"
import { labelValue } from "./SafeText.ts"

type Texts = Readonly<Record<string, string>>

/** Labels and annotations. */
export interface Marks {
  readonly labels: Texts
  readonly annotations: Texts
}

const mapValues = (texts: Texts, change: (text: string) => string): Texts =>
  Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, change(value)]))

/** What the authenticator said of the user, under the keys that `targets` gives it. What it did not say is not there. */
const exposed = (targets: Texts, metadata: Texts): Texts =>
  Object.fromEntries(
    Object.entries(targets).flatMap(([name, key]) => {
      const value = Object.hasOwn(metadata, name) ? metadata[name] : undefined
      return value === undefined ? [] : [[key, value]]
    })
  )

/** The originals of the values that could not stay as they are. */
const changedOnes = (originals: Texts, labels: Texts): Texts =>
  Object.fromEntries(Object.entries(originals).filter(([key, original]) => labels[key] !== original))

/** Whose pod it is, and what else the configuration says of it. */
export const ownerMarks = ({ pod }: Config, identity: Identity): Marks => {
  const values = valuesOf(identity)
  const owner: Texts = {
    [ownerKeys.connectionId]: identity.connectionId,
    [ownerKeys.remoteAddress]: identity.remoteAddress,
    [ownerKeys.username]: identity.username
  }
  const told = exposed(pod.exposeAuthMetadataAsLabels, identity.metadata)
  const labels = {
    ...mapValues(pod.labels, (template) => expandLabel(template, values)),
    ...mapValues(told, labelValue)
  }
  const originals = { ...mapValues(pod.labels, (template) => expandText(template, values)), ...told }
  return {
    labels: { ...labels, ...mapValues(owner, labelValue) },
    annotations: {
      ...changedOnes(originals, labels),
      ...mapValues(pod.annotations, (template) => expandText(template, values)),
      ...exposed(pod.exposeAuthMetadataAsAnnotations, identity.metadata),
      ...owner
    }
  }
}

/** What the configuration says of every pod, whoever's it is. */
export const commonMarks = (config: Config): Marks => {
  const common = (texts: Texts): Texts =>
    mapValues(
      Object.fromEntries(Object.entries(texts).filter(([, template]) => !hasPlaceholder(template))),
      (template) => expandText(template, () => "")
    )
  return {
    labels: { ...common(config.pod.labels), ...installationLabels(config) },
    annotations: common(config.pod.annotations)
  }
}
