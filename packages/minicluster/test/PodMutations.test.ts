import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type KubeObject } from "../src/shapes/Objects.ts"
import { conform } from "../src/shapes/Schemas.ts"
import { createCauses, updateCauses, withDefaults } from "../src/shapes/Validation.ts"
import { type Json, metadata, podOf, rich, said } from "./support/PodCases.ts"

/** Every place in a JSON value, outermost first. */
const places = (value: unknown): ReadonlyArray<ReadonlyArray<string>> =>
  typeof value !== "object" || value === null
    ? []
    : Object.entries(value).flatMap(([key, one]) => [[key], ...places(one).map((path) => [key, ...path])])

const replaced = (value: unknown, [step, ...rest]: ReadonlyArray<string>, by: unknown): unknown => {
  if (step === undefined) return by
  const changed = Array.isArray(value) ? [...(value as ReadonlyArray<unknown>)] : { ...(value as Json) }
  const inside = changed as Record<string, unknown>
  inside[step] = replaced(inside[step], rest, by)
  return changed
}

const odd: ReadonlyArray<unknown> = [
  undefined,
  null,
  "",
  "..",
  "A/b/c",
  "x".repeat(300),
  0,
  -1,
  2 ** 40,
  0.5,
  true,
  [],
  [null],
  ["x", "x"],
  {},
  { x: {} }
]
const natural = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const mutations = {
  mutations: Schema.Array(Schema.Tuple([natural(10_000), natural(odd.length - 1)])).check(Schema.isMaxLength(4))
}

const reasons: Readonly<Record<string, string>> = {
  "Required value": "FieldValueRequired",
  "Invalid value": "FieldValueInvalid",
  "Unsupported value": "FieldValueNotSupported",
  "Duplicate value": "FieldValueDuplicate",
  "Not found": "FieldValueNotFound",
  "Forbidden": "FieldValueForbidden",
  "Too long": "FieldValueTooLong"
}

describe("any pod", () => {
  const whole = { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, labels: { a: "b" } }, spec: rich }
  const mutated = (list: ReadonlyArray<readonly [number, number]>): KubeObject =>
    list.reduce<KubeObject>((pod, [place, value]) => {
      const all = [...places({ spec: pod["spec" as never] }), ["metadata", "labels"], ["metadata", "annotations"]]
      return replaced(pod, all[place % all.length] ?? [], odd[value]) as KubeObject
    }, whole as unknown as KubeObject)

  it.effect.prop(
    "is judged without an accident, and where something is wrong it is said where",
    mutations,
    ({ mutations }) =>
      Effect.sync(() => {
        const pod = withDefaults("pods", mutated(mutations))
        for (
          const { field, message, reason } of [...createCauses("pods", pod), ...updateCauses("pods", pod, podOf(rich))]
        ) {
          assert.match(field, /^(metadata|spec)\b/)
          assert.strictEqual(reason, reasons[/^[A-Za-z ]+/.exec(message)?.[0] ?? ""], message)
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "has its defaults after the first time, and stays as it is",
    mutations,
    ({ mutations }) =>
      Effect.sync(() => {
        // As a server reads it: what has a wrong type never comes this far.
        const { fault, object } = conform("V1Pod", mutated(mutations) as unknown as Json)
        if (fault !== undefined) return
        const pod = withDefaults("pods", object as unknown as KubeObject)
        assert.deepStrictEqual(withDefaults("pods", pod), pod)
        assert.deepStrictEqual(said(updateCauses("pods", pod, pod).filter(({ field }) => field === "spec")), [])
      }),
    { arbitrary: { runs: 300 } }
  )
})
