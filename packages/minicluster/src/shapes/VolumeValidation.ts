/** The volumes of a pod. Only those are judged inside that a node here can mount. */
import { type Cause } from "../api/Status.ts"
import { at as valueAt, fieldsOf, isAbsent, listOf, textOf } from "./Json.ts"
import * as Names from "./Names.ts"
import { parseQuantity } from "./Quantity.ts"
import * as Rule from "./Rules.ts"

const needs = (...names: ReadonlyArray<string>): Rule.Rule => Rule.these(names, Rule.needed())

const mode = Rule.must(
  (value: number) => value >= 0 && value <= 0o777,
  "must be a number between 0 and 0777 (octal), both inclusive"
)
const file = Rule.all(Rule.needed(), Rule.strictly(Names.file))
const items = Rule.each(Rule.fields({ key: Rule.needed(), path: file, mode }))

const convertible =
  /^(metadata\.(annotations|labels|name|namespace|uid)|spec\.(nodeName|restartPolicy|serviceAccountName|schedulerName)|status\.(phase|hostIPs?|podIPs?))$/

/** A field of the pod, of those that are offered in this place (`validateObjectFieldSelector`). */
export const fieldRef = (...offered: ReadonlyArray<string>): Rule.Rule => (value, at) => {
  const { apiVersion, fieldPath } = fieldsOf(value)
  const path = textOf(fieldPath)
  const [, of = "", key = ""] = /^(.*)\['(.*)'\]$/.exec(path) ?? []
  const inconvertible = (why: string) => [Rule.wrong(`${at}.fieldPath`, path, `error converting fieldPath: ${why}`)]
  if (path === "") return [Rule.required(`${at}.fieldPath`)]
  if (apiVersion !== "v1") return inconvertible(`unsupported pod version: ${textOf(apiVersion)}`)
  if (of === "metadata.labels") return Rule.strictly(Names.key)(key, at)
  if (of === "metadata.annotations") return Rule.strictly(Names.key)(key.toLowerCase(), at)
  if (of !== "") return inconvertible(`field label does not support subscript: ${path}`)
  if (!convertible.test(path)) return inconvertible(`field label not supported: ${path}`)
  return Rule.exactly(...offered)(path, `${at}.fieldPath`)
}

const amounts = ["limits", "requests"].flatMap((list) =>
  ["cpu", "ephemeral-storage", "memory"].map((name) => `${list}.${name}`)
)
/** A container's request or limit. */
export const resourceFieldRef = Rule.fields({
  resource: Rule.needed((value, at) =>
    /^(limits|requests)\.hugepages-/.test(textOf(value)) ? [] : Rule.exactly(...amounts)(value, at)
  )
})

const downwardFile: Rule.Rule = (value, at) => {
  const [field, resource] = [valueAt(value, "fieldRef"), valueAt(value, "resourceFieldRef")]
  const isNone = isAbsent(field) && isAbsent(resource)
  const isBoth = !isAbsent(field) && !isAbsent(resource)
  const offered = ["annotations", "labels", "name", "namespace", "uid"].map((name) => `metadata.${name}`)
  return [
    ...Rule.fields({
      path: file,
      fieldRef: Rule.present(fieldRef(...offered)),
      resourceFieldRef: Rule.present(Rule.all(needs("containerName"), resourceFieldRef)),
      mode
    })(value, at),
    ...Rule.when(isNone, Rule.required(at, "one of fieldRef and resourceFieldRef is required")),
    ...Rule.when(
      isBoth,
      Rule.wrong(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    )
  ]
}
/** A real server does not say which of the files it means. */
const downward: Rule.Rule = (value, at) => listOf(valueAt(value, "items")).flatMap((one) => downwardFile(one, at))

const projections: Rule.Table = {
  secret: Rule.fields({ name: Rule.needed(), items }),
  configMap: Rule.fields({ name: Rule.needed(), items }),
  downwardAPI: downward,
  serviceAccountToken: Rule.fields({
    expirationSeconds: Rule.all(
      Rule.must((value: number) => value >= 600, "may not specify a duration less than 10 minutes"),
      Rule.must((value: number) => value <= 2 ** 32, "may not specify a duration larger than 2^32 seconds")
    ),
    path: file
  }),
  clusterTrustBundle: needs("path")
}
const projected: Rule.Rule = (value, at) => {
  const seen = new Set<string>()
  return Rule.each((source, path) => {
    const kinds = Object.keys(projections).filter((kind) => !isAbsent(valueAt(source, kind)))
    const paths = kinds.flatMap((kind) => listOf(valueAt(source, kind, "items"))).map((one) =>
      textOf(valueAt(one, "path"))
    )
    const twice = paths.filter((one) => one !== "" && (seen.has(one) || !seen.add(one)))
    return [
      ...kinds.flatMap((kind) => projections[kind]?.(valueAt(source, kind), `${path}.${kind}`) ?? []),
      ...twice.map((one) => Rule.wrong(at, one, "conflicting duplicate paths")),
      ...Rule.when(kinds.length > 1, Rule.forbidden(path, "may not specify more than 1 volume type per source"))
    ]
  })(valueAt(value, "sources"), `${at}.sources`)
}

const isSize = (value: unknown) => (parseQuantity(value)?.amount ?? -1n) >= 0n
const hostTypes = ["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"]
const files = { defaultMode: mode, items }

/** Real sources, none of which is here. */
const elsewhere = "awsElasticBlockStore azureDisk azureFile cephfs cinder csi ephemeral fc flexVolume flocker " +
  "gcePersistentDisk gitRepo glusterfs image iscsi nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos " +
  "vsphereVolume"

const sources: Rule.Table = {
  emptyDir: Rule.fields({
    sizeLimit: Rule.present((value, at) =>
      isSize(value) ? [] : [Rule.forbidden(at, "SizeLimit field must be a valid resource quantity")]
    )
  }),
  hostPath: Rule.fields({ path: Rule.needed(Rule.strictly(Names.noBacksteps)), type: Rule.oneOf("", ...hostTypes) }),
  secret: Rule.fields({ secretName: Rule.needed(), ...files }),
  persistentVolumeClaim: needs("claimName"),
  downwardAPI: Rule.all(Rule.fields({ defaultMode: mode }), downward),
  configMap: Rule.fields({ name: Rule.needed(), ...files }),
  projected: Rule.all(Rule.fields({ defaultMode: mode }), projected),
  ...Object.fromEntries(elsewhere.split(" ").map((name) => [name, Rule.none]))
}

export const sourceOf = (volume: unknown): ReadonlyArray<string> =>
  Object.keys(sources).filter((name) => !isAbsent(valueAt(volume, name)))

/** What is wrong, and the names that may be mounted: those of the volumes with which nothing is wrong. */
export const volumeCauses = (list: unknown): { causes: ReadonlyArray<Cause>; names: ReadonlySet<string> } => {
  const names = new Set<string>()
  const causes = Rule.each((volume, at) => {
    const [first = "", ...others] = sourceOf(volume)
    const name = textOf(valueAt(volume, "name"))
    const found = [
      ...sources[first]?.(valueAt(volume, first), `${at}.${first}`) ??
        [Rule.required(at, "must specify a volume type")],
      ...others.map((other) => Rule.forbidden(`${at}.${other}`, "may not specify more than 1 volume type")),
      ...Rule.needed(Rule.strictly(Names.label))(name, `${at}.name`),
      ...Rule.when(names.has(name), Rule.duplicate(`${at}.name`, name))
    ]
    if (found.length === 0) names.add(name)
    return found
  })(list, "spec.volumes")
  return { causes, names }
}
