/**
 * Bodies in Kubernetes' own protobuf, which kubectl and client-go 1.32 send of themselves for the kinds that they know.
 *
 * `k8s\0`, then `runtime.Unknown`: the kind, and the object's bytes. Types come from the models, numbers from a table.
 */
import { Data, Effect } from "effect"
import { Buffer } from "node:buffer"
import { type ApiError, badRequest, unsupportedMediaType } from "../api/Status.ts"
import { messages, roots } from "./ProtobufFields.ts"
import { fieldsOf, modelOf, type Shape, typeName } from "./Schemas.ts"

export const protobufType = "application/vnd.kubernetes.protobuf"

class Malformed extends Data.Error<{ readonly message: string }> {}

/** A field as it stands on the wire: a number, or bytes. */
interface Wire {
  readonly number: number
  readonly value: bigint | Buffer
}

const varint = (bytes: Buffer, start: number): readonly [value: bigint, next: number] => {
  let value = 0n
  for (let index = 0; index < 10; index++) {
    const byte = bytes[start + index]
    if (byte === undefined) break
    value |= BigInt(byte & 0x7f) << BigInt(7 * index)
    if (byte < 0x80) return [BigInt.asUintN(64, value), start + index + 1]
  }
  throw new Malformed({ message: "unexpected EOF" })
}

/** The fields of one message in the order in which they came. */
const wires = (bytes: Buffer): ReadonlyArray<Wire> => {
  const found: Array<Wire> = []
  for (let at = 0; at < bytes.length;) {
    const [key, start] = varint(bytes, at)
    const number = Number(key >> 3n)
    const wireType = Number(key & 7n)
    if (wireType === 0) {
      const [value, next] = varint(bytes, start)
      found.push({ number, value })
      at = next
      continue
    }
    const [length, from] = wireType === 2
      ? varint(bytes, start)
      : [wireType === 1 ? 8n : wireType === 5 ? 4n : 0n, start]
    at = from + Number(length)
    if (![1, 2, 5].includes(wireType)) throw new Malformed({ message: `illegal wireType ${wireType}` })
    if (at > bytes.length) throw new Malformed({ message: "unexpected EOF" })
    found.push({ number, value: bytes.subarray(from, at) })
  }
  return found
}

const bytesOf = ({ value }: Wire): Buffer => Buffer.isBuffer(value) ? value : Buffer.alloc(0)
const numberOf = ({ value }: Wire): number => Buffer.isBuffer(value) ? 0 : Number(BigInt.asIntN(64, value))
const textOf = (wire: Wire): string => bytesOf(wire).toString("utf8")

/** A `runtime.Unknown`, a map's entry, or another small message: its fields by their numbers, the last of each. */
const byNumber = (bytes: Buffer): ReadonlyMap<number, Wire> => new Map(wires(bytes).map((wire) => [wire.number, wire]))
const nothing: Wire = { number: 0, value: Buffer.alloc(0) }
const partOf = (parts: ReadonlyMap<number, Wire>, number: number): Wire => parts.get(number) ?? nothing

/** `metav1.Time` and `metav1.MicroTime`: seconds and nanoseconds; an empty one is none. */
const timeOf = (wire: Wire, digits: 0 | 6): string | undefined => {
  const parts = byNumber(bytesOf(wire))
  if (parts.size === 0) return undefined
  const date = new Date(numberOf(partOf(parts, 1)) * 1000)
  if (Number.isNaN(date.getTime())) throw new Malformed({ message: "time out of range" })
  const fraction = digits === 0 ? "" : `.${String(numberOf(partOf(parts, 2)) / 1000 | 0).padStart(6, "0")}`
  return date.toISOString().replace(/\.\d+Z$/, `${fraction}Z`)
}

const scalarOf = (go: Extract<Shape, { readonly _tag: "Scalar" }>["go"], wire: Wire): unknown => {
  switch (go) {
    case "bool":
      return numberOf(wire) !== 0
    case "int32":
    case "int64":
      return numberOf(wire)
    case "[]uint8":
      return bytesOf(wire).toString("base64")
    case "v1.Time":
      return timeOf(wire, 0)
    case "v1.MicroTime":
      return timeOf(wire, 6)
    case "resource.Quantity":
      return textOf(partOf(byNumber(bytesOf(wire)), 1))
    case "intstr.IntOrString": {
      const parts = byNumber(bytesOf(wire))
      return numberOf(partOf(parts, 1)) === 0 ? numberOf(partOf(parts, 2)) : textOf(partOf(parts, 3))
    }
    default:
      return textOf(wire)
  }
}

/** A field's JSON name, or the message whose fields stand in this one's place in JSON, by number. */
const numbered = (table: string): ReadonlyMap<number, string> => {
  let number = 0
  return new Map(
    table.split(" ").map((entry) => {
      const [name = "", jump] = entry.split("=")
      number = jump === undefined ? number + 1 : Number(jump)
      return [number, name]
    })
  )
}
const tables = new Map<string, ReadonlyMap<number, string>>()
const tableOf = (message: string): ReadonlyMap<number, string> => {
  const table = tables.get(message) ?? numbered(messages[message] ?? "")
  tables.set(message, table)
  return table
}

/** Of all that came for one field: a list has each, a map each entry, any other the last. */
const valueOf = (shape: Shape, all: ReadonlyArray<Wire>): unknown => {
  const last = all.at(-1) ?? nothing
  switch (shape._tag) {
    case "Scalar":
      return scalarOf(shape.go, last)
    case "List":
      return all.map((one) => valueOf(shape.of, [one]))
    case "Dictionary":
      return Object.fromEntries(all.map((one) => {
        const entry = byNumber(bytesOf(one))
        return [textOf(partOf(entry, 1)), valueOf(shape.of, [partOf(entry, 2)])]
      }))
    default: {
      const [name, bytes] = [typeName(shape.model), bytesOf(last)]
      // Better refused than lost.
      if (bytes.length > 0 && messages[name] === undefined) {
        throw new Malformed({ message: `the protobuf message ${name} is not known here, its JSON is` })
      }
      return Object.fromEntries(read(name, fieldsOf(shape.model), bytes))
    }
  }
}

/** Empty texts are left out: Go writes them for the fields that have nothing. */
const read = (
  message: string,
  fields: ReadonlyMap<string, Shape>,
  bytes: Buffer
): ReadonlyArray<readonly [name: string, value: unknown]> =>
  Array.from(Map.groupBy(wires(bytes), ({ number }) => tableOf(message).get(number) ?? "")).flatMap(([name, all]) => {
    if (name.startsWith("+")) return read(name.slice(1), fields, bytesOf(all.at(-1) ?? nothing))
    const shape = fields.get(name)
    const value = shape === undefined ? undefined : valueOf(shape, all)
    return value === undefined || value === "" ? [] : [[name, value] as const]
  })

const magic = Buffer.from("k8s\0", "latin1")

/** The object in its JSON form; 415 for a kind whose numbers are not known here, 400 for bytes that are no message. */
export const decodeProtobuf = (bytes: Buffer): Effect.Effect<unknown, ApiError> =>
  Effect.try({
    try: () => {
      if (!bytes.subarray(0, magic.length).equals(magic)) {
        throw new Malformed({
          message: "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        })
      }
      const envelope = byNumber(bytes.subarray(magic.length))
      const type = byNumber(bytesOf(partOf(envelope, 1)))
      const kind = textOf(partOf(type, 2))
      if (!roots.has(kind)) return undefined
      const model = modelOf(kind)
      const object = read(typeName(model), fieldsOf(model), bytesOf(partOf(envelope, 2)))
      return { apiVersion: textOf(partOf(type, 1)), kind, ...Object.fromEntries(object) }
    },
    catch: (error) => badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : ""}`)
  }).pipe(Effect.filterOrFail(
    (object) => object !== undefined,
    () => unsupportedMediaType(["application/json", "application/yaml"])
  ))
