/** The syntax of names and labels, with the sentences of `k8s.io/apimachinery/pkg/util/validation`. */

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const qualified = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/

const tooLong = (limit: number) => `must be no more than ${limit} characters`

/** Why `value` is no DNS subdomain (a pod's name), or nothing. */
export const subdomainFault = (value: string): string | undefined => {
  if (value.length > 253) return tooLong(253)
  if (subdomain.test(value)) return undefined
  return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
}

/** Why `value` is no DNS label (a container's name), or nothing. */
export const labelFault = (value: string): string | undefined => {
  if (value.length > 63) return tooLong(63)
  if (label.test(value)) return undefined
  return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
}

const namePartFault = (value: string): string | undefined => {
  if (value.length === 0) return "name part must be non-empty"
  if (value.length > 63) return `name part ${tooLong(63)}`
  if (qualified.test(value)) return undefined
  return "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
}

/** Why `key` is no key of a label or an annotation, or nothing. */
export const keyFault = (key: string): string | undefined => {
  const parts = key.split("/")
  if (parts.length === 1) return namePartFault(key)
  const [prefix = "", name = ""] = parts
  if (parts.length > 2) {
    return "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
  }
  if (prefix === "") return "prefix part must be non-empty"
  const fault = subdomainFault(prefix)
  return fault === undefined ? namePartFault(name) : `prefix part ${fault}`
}

/** Why `value` is no value of a label, or nothing. */
export const labelValueFault = (value: string): string | undefined => {
  if (value.length > 63) return tooLong(63)
  if (value === "" || qualified.test(value)) return undefined
  return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
}

const alphabet = "bcdfghjklmnpqrstvwxz2456789"

/** A name for `generateName`: the base, cut to 58 characters, and five random ones. */
export const generatedName = (base: string): string => {
  const suffix = Array.from({ length: 5 }, () => alphabet[Math.floor(Math.random() * alphabet.length)])
  return base.slice(0, 58) + suffix.join("")
}
