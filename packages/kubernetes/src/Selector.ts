/**
 * Selectors as texts of a query. Their syntax has commas and operators: what is put in must not be read as one of these.
 */
import { Effect } from "effect"
import { type ClusterError, type LabelQuery, Rejected } from "kuberun"
import { failed } from "./ApiFault.ts"
import { encode } from "./ExecWire.ts"

/** Which objects of the collection: `fieldSelector` or `labelSelector`, as the API takes them. */
export type Selector = Readonly<Record<"fieldSelector", string>> | Readonly<Record<"labelSelector", string>>

/** Objects whose field has this value. A value's own comma, equals sign and backslash are escaped (apimachinery's `fields.EscapeValue`). */
export const fieldSelector = (field: string, value: string): Selector => ({
  fieldSelector: `${field}=${value.replaceAll(/[\\,=]/gu, String.raw`\$&`)}`
})

/** `[prefix/]name` of apimachinery's `validation.IsQualifiedName`, its lengths left to the API server. */
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/u

/** `validation.IsValidLabelValue`: empty, or letters, digits, dashes, dots and underscores between two alphanumerics. */
const LABEL_VALUE = /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/u

/**
 * Objects that carry all of these labels; without any, all objects. A selector has no way to escape: what is no label
 * is refused here, because `x,other=y` would ask for something else.
 */
export const labelSelector = (
  operation: string,
  labels: LabelQuery["labels"]
): Effect.Effect<Selector, ClusterError> => {
  const entries = Object.entries(labels)
  const wrong = entries.find(([key, value]) => !LABEL_KEY.test(key) || !LABEL_VALUE.test(value))
  if (wrong === undefined) {
    return Effect.succeed({ labelSelector: entries.map(([key, value]) => `${key}=${value}`).join(",") })
  }
  const detail = `no object can carry the label ${JSON.stringify(wrong[0])} with the value ${JSON.stringify(wrong[1])}`
  return Effect.fail(failed(operation)(new Rejected({ status: 400, detail })))
}

/** The part of a URL after the question mark. */
export const query = (parameters: Readonly<Record<string, string>>): string =>
  Object.entries(parameters).map(([name, value]) => `${name}=${encode(value)}`).join("&")
