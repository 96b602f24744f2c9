/**
 * The JSON schema (draft 2020-12) of a configuration file, for editors: all keys with what they are for, their defaults
 * and the patterns of their values. Our shape and ContainerSSH's, told apart by the key `kubernetes`.
 *
 * It allows no less than `decodeConfig`, but somewhat more: what keys mean to each other is checked there only.
 */
import { type JsonSchema, Schema } from "effect"
import { type Fields, isFields } from "../template/TemplatePlaces.ts"
import { Config, defaultConfig } from "./ConfigShape.ts"
import { ConnectionConfig } from "./ConnectionConfig.ts"
import { samePodKeys } from "./ContainerSsh.ts"
import { ClaimConfig, PodConfig } from "./PodConfig.ts"
import { type FieldType, podSpecTypes, type Scalar } from "./PodSpecTypes.ts"
import { PoolClass, PoolConfig } from "./PoolConfig.ts"
import { TimeoutConfig } from "./TimeoutConfig.ts"

type Json = JsonSchema.JsonSchema

const scalars: Readonly<Record<Scalar, Json>> = {
  string: { type: "string" },
  bytes: { type: "string" },
  time: { type: "string" },
  boolean: { type: "boolean" },
  int32: { type: "integer" },
  int64: { type: "integer" },
  number: { type: "number" },
  quantity: { type: ["string", "number"] },
  intOrString: { type: ["string", "integer"] },
  any: {}
}

const reference = (type: string): Json => ({ $ref: `#/$defs/${type}` })

const ofType = (type: FieldType): Json => {
  switch (type._tag) {
    case "Scalar":
      return scalars[type.name]
    case "List":
      return { type: "array", items: ofType(type.of) }
    case "Map":
      return { type: "object", additionalProperties: ofType(type.of) }
    case "Object":
      return reference(type.name)
  }
}

/** As the API server does, `null` is taken for a field that is not there. */
const orNull = (schema: Json): Json => Object.keys(schema).length === 0 ? schema : { anyOf: [schema, { type: "null" }] }

const apiTypes = (): Readonly<Record<string, Json>> =>
  Object.fromEntries(
    [...podSpecTypes].map(([name, fields]) => {
      const required = [...fields].flatMap(([field, of]) => of.required ? [field] : [])
      return [name, {
        type: "object",
        properties: Object.fromEntries(
          [...fields].map(([field, of]) => [field, of.required ? ofType(of.type) : orNull(ofType(of.type))])
        ),
        ...(required.length === 0 ? {} : { required }),
        additionalProperties: false
      }]
    })
  )

interface Struct extends Schema.Constraint {
  readonly fields: Schema.Struct.Fields
}

const descriptionOf = (field: Schema.Constraint): Fields => {
  const description = field.ast.context?.annotations?.description
  return typeof description === "string" ? { description } : {}
}

/** effect says the descriptions of keys once more, as something that all of the value must fulfil. */
const once = (property: Fields): Fields =>
  Object.fromEntries(
    Object.entries(property).filter(([name, value]) =>
      name !== "allOf" || !Array.isArray(value) ||
      value.some((part: unknown) => isFields(part) && Object.keys(part).some((key) => key !== "description"))
    )
  )

/** One struct: what effect says of its keys, with their descriptions and defaults, and others in place of some. */
const ofStruct = (struct: Struct, defaults: unknown, instead: Readonly<Record<string, Json>> = {}): Json => {
  const { schema } = Schema.toJsonSchemaDocument(struct, { onExcessProperty: "error" })
  const properties = isFields(schema.properties) ? schema.properties : {}
  return {
    ...schema,
    properties: Object.fromEntries(
      Object.entries(struct.fields).map(([key, field]) => {
        const own = instead[key] ?? properties[key]
        const byDefault = isFields(defaults) && !(key in instead) ? defaults[key] : undefined
        return [key, {
          ...(isFields(own) ? once(own) : {}),
          ...descriptionOf(field),
          ...(byDefault === undefined ? {} : { default: byDefault })
        }]
      })
    )
  }
}

/** The same struct with only some of its keys, and further ones. */
const reshaped = (schema: Json, keys: ReadonlyArray<string>, more: Readonly<Record<string, Json>>): Json => {
  const properties = isFields(schema.properties) ? schema.properties : {}
  return {
    ...schema,
    properties: {
      ...more,
      ...Object.fromEntries(Object.entries(properties).filter(([key]) => keys.includes(key)))
    }
  }
}

const propertyOf = (schema: Json, key: string): Json => {
  const property = isFields(schema.properties) ? schema.properties[key] : undefined
  return isFields(property) ? property : {}
}

/** ContainerSSH's shape of the same. */
const foreign = (pod: Json): Json => ({
  type: "object",
  properties: {
    connection: reference("Connection"),
    pod: {
      ...reshaped(pod, samePodKeys.filter((key) => key !== "disableAgent"), {
        disableAgent: { ...propertyOf(pod, "disableAgent"), default: false },
        metadata: {
          type: "object",
          description: "Where the pod is and what it is called.",
          properties: {
            name: propertyOf(pod, "name"),
            namespace: propertyOf(pod, "namespace"),
            generateName: { ...propertyOf(pod, "namePrefix"), default: "containerssh-" },
            labels: propertyOf(pod, "labels"),
            annotations: propertyOf(pod, "annotations")
          },
          additionalProperties: false
        },
        spec: { ...reference("PodSpec"), description: "The pod: a Kubernetes PodSpec." }
      })
    },
    timeouts: reference("Timeouts")
  },
  additionalProperties: false,
  description: "The configuration in the shape of ContainerSSH's kubernetes backend."
})

/** The whole schema, as plain data. */
export const configJsonSchema = (): Json => {
  const written = Schema.encodeSync(Config)(defaultConfig)
  const pod = ofStruct(PodConfig, written.pod, {
    podSpec: reference("PodSpec"),
    claim: reference("Claim")
  })
  const properties = ofStruct(Config, written, {
    connection: reference("Connection"),
    pod: reference("Pod"),
    timeouts: reference("Timeouts"),
    pool: reference("Pool")
  })
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "kuberun",
    description: "The configuration file of kuberun.",
    ...reshaped(properties, Object.keys(Config.fields), {
      backend: { const: "kubernetes", description: "May stand in a file of ContainerSSH's." },
      kubernetes: foreign(pod)
    }),
    $defs: {
      Connection: ofStruct(ConnectionConfig, written.connection),
      Pod: pod,
      Claim: ofStruct(ClaimConfig, { storage: "1Gi", accessModes: ["ReadWriteOnce"] }),
      Timeouts: ofStruct(TimeoutConfig, {}),
      Pool: ofStruct(PoolConfig, written.pool, {
        classes: { type: "array", items: reference("PoolClass"), default: [] }
      }),
      PoolClass: ofStruct(PoolClass, {}),
      ...apiTypes()
    }
  }
}
