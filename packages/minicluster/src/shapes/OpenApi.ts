/**
 * `/openapi/v3`, made from client-node's models and their documentation: enough for `kubectl explain`, and for `create`
 * and `apply` to find that the server validates fields. Of v2 there is but a document without definitions, which kubectl
 * wants to read before it says that it does not know a kind.
 */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { type ApiResponse, json, text } from "../api/Http.ts"
import { type ApiError, noSuchResource } from "../api/Status.ts"
import { groupVersion, type ResourceType, resourceTypes, reviewTypes, verbsOf } from "./Resources.ts"
import { fieldsOf, modelFile, modelOf, type Shape, typeName } from "./Schemas.ts"

const all = Object.entries<ResourceType>({ ...resourceTypes, ...reviewTypes })
const root = (type: ResourceType): string => `${type.group === "" ? "api" : "apis"}/${groupVersion(type)}`
/** The documents' names: "api/v1", "apis/rbac.authorization.k8s.io/v1". */
const roots = [...new Set(all.map(([, type]) => root(type)))]

/** Changes with what is served: kubectl keeps a document by it. */
const hash = createHash("sha256").update(JSON.stringify(all)).digest("hex").toUpperCase()

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1"
const metaTypes = new Set(
  ["ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "LabelSelector", "LabelSelectorRequirement"]
    .concat("FieldSelectorRequirement", "DeleteOptions", "Preconditions", "Condition")
)
const schemaName = (model: string, group: string): string => {
  const name = typeName(model)
  return metaTypes.has(name) ? `${meta}.${name}` : `io.k8s.api.${group.split(".")[0] || "core"}.v1.${name}`
}

/** The types that are no models; those with a name of their own stand among the components. */
const scalarTypes: Readonly<Record<string, { readonly name?: string; readonly schema: object }>> = {
  "string": { schema: { type: "string" } },
  "bool": { schema: { type: "boolean" } },
  "int32": { schema: { type: "integer", format: "int32" } },
  "int64": { schema: { type: "integer", format: "int64" } },
  "float64": { schema: { type: "number", format: "double" } },
  "[]uint8": { schema: { type: "string", format: "byte" } },
  "interface {}": { schema: { type: "object" } },
  "v1.Time": { name: `${meta}.Time`, schema: { type: "string", format: "date-time" } },
  "v1.MicroTime": { name: `${meta}.MicroTime`, schema: { type: "string", format: "date-time" } },
  "resource.Quantity": {
    name: "io.k8s.apimachinery.pkg.api.resource.Quantity",
    schema: { oneOf: [{ type: "string" }, { type: "number" }] }
  },
  "intstr.IntOrString": {
    name: "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    schema: { oneOf: [{ type: "integer" }, { type: "string" }], format: "int-or-string" }
  }
}

const referenceTo = (name: string): object => ({ allOf: [{ $ref: `#/components/schemas/${name}` }] })

const schemaOf = (shape: Shape, group: string): object => {
  switch (shape._tag) {
    case "List":
      return { type: "array", items: schemaOf(shape.of, group) }
    case "Dictionary":
      return { type: "object", additionalProperties: schemaOf(shape.of, group) }
    case "Model":
      return referenceTo(schemaName(shape.model, group))
    default: {
      const { name, schema } = scalarTypes[shape.go] ?? { schema: {} }
      return name === undefined ? schema : referenceTo(name)
    }
  }
}

/** A comment without its stars, or nothing. */
const comment = "(?:/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*)?"
const ofClass = new RegExp(`${comment}export declare class`)
const ofField = new RegExp(`${comment}'([^']+)'(\\?)?:`, "g")
const plain = (text = ""): string =>
  text.replaceAll(/\n\s*\* ?/g, "\n").replaceAll(/\\(['"])/g, "$1").replaceAll(/\s*\n\s*/g, " ").trim()

/** What only the declarations beside a model say: what it is, what its fields are, and which of them must be there. */
const documentation = (model: string) => {
  const text = readFileSync(modelFile(model, ".d.ts"), "utf8")
  const fields = new Map(
    Array.from(
      text.matchAll(ofField),
      ([, about, name = "", optional]) => [name, { about: plain(about), isRequired: optional === undefined }] as const
    )
  )
  return { about: plain(ofClass.exec(text)?.[1]), fields }
}

const modelIn = (shape: Shape): string | undefined =>
  shape._tag === "Model" ? shape.model : shape._tag === "Scalar" ? undefined : modelIn(shape.of)

const described = (about: string, schema: object): object => about === "" ? schema : { description: about, ...schema }

const component = (model: string, group: string, kind: object | undefined): object => {
  const { about, fields } = documentation(model)
  const shapes = Array.from(fieldsOf(model))
  const required = shapes.flatMap(([name]) => fields.get(name)?.isRequired === true ? [name] : [])
  return {
    description: about,
    type: "object",
    properties: Object.fromEntries(
      shapes.map(([name, shape]) => [name, described(fields.get(name)?.about ?? "", schemaOf(shape, group))])
    ),
    ...(required.length === 0 ? {} : { required }),
    ...(kind === undefined ? {} : { "x-kubernetes-group-version-kind": [kind] })
  }
}

const kindOf = ({ group, kind, version }: ResourceType) => ({ group, version, kind })

const componentsOf = (types: ReadonlyArray<ResourceType>, group: string): object => {
  const kinds = new Map(types.map((type) => [modelOf(type.kind), kindOf(type)]))
  const models = new Set([...kinds.keys(), "V1DeleteOptions"])
  // The set grows while it is walked.
  for (const model of models) {
    for (const shape of fieldsOf(model).values()) {
      const inside = modelIn(shape)
      if (inside !== undefined) models.add(inside)
    }
  }
  return Object.fromEntries([
    ...Object.values(scalarTypes).flatMap(({ name, schema }) => name === undefined ? [] : [[name, schema] as const]),
    ...Array.from(models, (model) => [schemaName(model, group), component(model, group, kinds.get(model))] as const)
  ])
}

/** By verb: the method, whether it is one object's, and upstream's word for what it does. */
const operations: Readonly<Record<string, readonly [method: string, ofOne: boolean, action: string]>> = {
  create: ["post", false, "post"],
  delete: ["delete", true, "delete"],
  deletecollection: ["delete", false, "deletecollection"],
  get: ["get", true, "get"],
  list: ["get", false, "list"],
  patch: ["patch", true, "patch"],
  update: ["put", true, "put"]
}

const parameter = (name: string, where: "path" | "query", type = "string"): object => ({
  name,
  in: where,
  ...(where === "path" ? { required: true } : {}),
  schema: { type, uniqueItems: true }
})
const writing = ["dryRun", "fieldManager", "fieldValidation"].map((name) => parameter(name, "query"))

const operation = (type: ResourceType, method: string, action: string): object => ({
  "x-kubernetes-action": action,
  "x-kubernetes-group-version-kind": kindOf(type),
  parameters: ["patch", "post", "put"].includes(method) ? writing : [],
  responses: { 200: { description: "OK" } }
})

const pathsOf = (resource: string, type: ResourceType): object => {
  const inNamespace = type.namespaced ? "/namespaces/{namespace}" : ""
  const named = (ofOne: boolean) => ({
    parameters: [
      ...(ofOne ? [parameter("name", "path")] : []),
      ...(type.namespaced ? [parameter("namespace", "path")] : [])
    ],
    ...Object.fromEntries(
      verbsOf(type).flatMap((verb) => {
        const [method = "", isOne, action = ""] = operations[verb] ?? []
        return isOne === ofOne ? [[method, operation(type, method, action)] as const] : []
      })
    )
  })
  const collection = `/${root(type)}${inNamespace}/${resource}`
  return { [collection]: named(false), [`${collection}/{name}`]: named(true) }
}

const documentOf = (name: string): object => {
  const types = all.filter(([, type]) => root(type) === name)
  const group = types[0]?.[1].group ?? ""
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "v1.32.0" },
    paths: Object.assign({}, ...types.map(([resource, type]) => pathsOf(resource, type))),
    components: { schemas: componentsOf(types.map(([, type]) => type), group) }
  }
}

const documents = new Map<string, ApiResponse>()

const document = (name: string): ApiResponse => {
  const made = documents.get(name) ?? json(documentOf(name))
  documents.set(name, made)
  return made
}

/** The answer at a path below `/openapi`; `undefined` for any other path. Documents are made when first asked for. */
export const openApi = (
  [first, version, ...rest]: ReadonlyArray<string>
): Effect.Effect<ApiResponse, ApiError> | undefined => {
  if (first !== "openapi") return undefined
  const name = rest.join("/")
  // In protobuf, the one form that kubectl asks for, a document without anything is no bytes at all.
  if (version === "v2" && name === "") return Effect.succeed(text(""))
  if (version !== "v3" || (name !== "" && !roots.includes(name))) return Effect.fail(noSuchResource)
  return Effect.sync(() =>
    name === ""
      ? json({
        paths: Object.fromEntries(roots.map((one) => [one, { serverRelativeURL: `/openapi/v3/${one}?hash=${hash}` }]))
      })
      : document(name)
  )
}
