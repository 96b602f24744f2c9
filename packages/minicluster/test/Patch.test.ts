/** The four ways to PATCH. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { isRecord } from "../src/shapes/Json.ts"
import { mergePatch } from "../src/shapes/MergePatch.ts"
import { applyPatch } from "../src/shapes/Patch.ts"
import { resourceTypes } from "../src/shapes/Resources.ts"
import { strategicMerge } from "../src/shapes/StrategicMerge.ts"

const types = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml"
}
const patched = (type: keyof typeof types, current: object | undefined, patch: unknown) =>
  applyPatch(resourceTypes.pods, types[type], current, patch)
const refused = (type: keyof typeof types, current: object | undefined, patch: unknown) =>
  Effect.map(Effect.flip(patched(type, current, patch)), ({ status }) => [status.code, status.message])

const pod = {
  metadata: { name: "a", labels: { x: "1", y: "2" }, finalizers: ["f/1", "f/2"] },
  spec: {
    containers: [
      { name: "a", image: "one", env: [{ name: "A", value: "1" }, { name: "B", value: "2" }], command: ["x", "y"] },
      { name: "b", image: "two" },
      { name: "c", image: "three" }
    ],
    tolerations: [{ key: "k" }]
  }
}

it.effect("a patch of another type is 415, with the types that would do", () =>
  Effect.gen(function*() {
    const { status } = yield* Effect.flip(applyPatch(resourceTypes.pods, "application/json", pod, {}))
    assert.strictEqual(status.code, 415)
    for (const type of Object.values(types)) assert.include(status.message, type)
  }))

describe("a JSON patch", () => {
  it.effect("does its operations in order, on a copy", () =>
    Effect.gen(function*() {
      const before = structuredClone(pod)
      const result = yield* patched("json", pod, [
        { op: "test", path: "/metadata/labels/x", value: "1" },
        { op: "replace", path: "/metadata/labels/x", value: "9" },
        { op: "move", from: "/metadata/labels/y", path: "/metadata/labels/a~1b" },
        { op: "remove", path: "/spec/containers/1" },
        { op: "add", path: "/spec/containers/-", value: { name: "d" } },
        { op: "copy", from: "/metadata/name", path: "/spec/nodeName" }
      ])
      const [a, , c] = pod.spec.containers
      assert.deepStrictEqual(result, {
        metadata: { ...pod.metadata, labels: { x: "9", "a/b": "2" } },
        spec: { ...pod.spec, containers: [a, c, { name: "d" }], nodeName: "a" }
      })
      assert.deepStrictEqual(pod, before)
    }))

  it.effect("one of whose operations fails changes nothing: 422, and no more is said", () =>
    Effect.gen(function*() {
      const rejected = [422, "the server rejected our request due to an error in our request"]
      const test = { op: "test", path: "/metadata/name", value: "b" }
      assert.deepStrictEqual(yield* refused("json", pod, [test]), rejected)
      assert.deepStrictEqual(yield* refused("json", pod, [{ op: "remove", path: "/spec/none" }]), rejected)
      assert.deepStrictEqual(yield* refused("json", pod, [{ op: "jump", path: "/spec" }]), rejected)
      assert.deepStrictEqual(yield* refused("json", pod, [null]), rejected)
      assert.strictEqual((yield* refused("json", pod, { op: "test" }))[0], 400)
    }))

  it.effect("cannot make an object grow without end", () =>
    Effect.gen(function*() {
      const doublings = (length: number) =>
        Array.from({ length }, (_, at) => ({ op: "copy", from: "/spec", path: `/spec/x${at}` }))
      assert.isObject(yield* patched("json", pod, doublings(4)))
      assert.strictEqual((yield* refused("json", pod, doublings(16)))[0], 422)
      assert.strictEqual((yield* refused("json", pod, doublings(10_001)))[0], 400)
    }))

  it.effect("leaves the prototypes of all objects alone", () =>
    Effect.gen(function*() {
      yield* patched("json", pod, [{ op: "add", path: "/__proto__/spoiled", value: 1 }]).pipe(Effect.ignore)
      assert.isFalse("spoiled" in {})
    }))
})

const json = Schema.Json
/** The merge patch that leads from one value to another. */
const difference = (from: unknown, to: unknown): unknown => {
  if (!isRecord(from) || !isRecord(to)) return to
  return Object.fromEntries([
    ...Object.keys(from).filter((key) => !Object.hasOwn(to, key)).map((key) => [key, null] as const),
    ...Object.entries(to).map(([key, value]) =>
      [key, Object.hasOwn(from, key) ? difference(from[key], value) : value] as const
    )
  ])
}
/** Without nulls in objects, which a merge patch cannot make. */
const withoutNulls = (value: unknown): unknown =>
  isRecord(value)
    ? Object.fromEntries(
      Object.entries(value).flatMap(([key, one]) => one === null ? [] : [[key, withoutNulls(one)] as const])
    )
    : value

describe("a merge patch", () => {
  it.effect.prop(
    "of the difference of two values leads from one to the other",
    { from: json, to: json },
    ({ from, to }) =>
      Effect.sync(() => {
        const [source, target] = [withoutNulls(from), withoutNulls(to)]
        assert.deepStrictEqual(mergePatch(source, difference(source, target)), target)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect("must be an object", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* refused("merge", pod, [1]))[0], 400)
      assert.deepStrictEqual(yield* patched("merge", pod, { spec: null }), { metadata: pod.metadata })
    }))

  it.effect("that is nested beyond all reason is refused", () =>
    Effect.gen(function*() {
      const deep: unknown = JSON.parse(`${"{\"a\":".repeat(100_000)}1${"}".repeat(100_000)}`)
      assert.strictEqual((yield* refused("merge", pod, deep))[0], 400)
      assert.strictEqual((yield* refused("strategic", pod, deep))[0], 400)
    }))
})

const names = Schema.Array(Schema.Literals(["a", "b", "c", "d", "e", "f"])).pipe(
  Schema.check(Schema.isMaxLength(6))
)
const unique = (list: ReadonlyArray<string>) => [...new Set(list)]
const containers = (list: ReadonlyArray<string>, more: object = {}) => ({
  containers: list.map((name) => ({ name, ...more }))
})
const namesOf = (value: unknown) =>
  (value as { containers: ReadonlyArray<{ name: string }> }).containers.map(({ name }) => name)

describe("a strategic merge patch", () => {
  const [a, , c] = pod.spec.containers
  const spec = (patch: object) =>
    patched("strategic", pod, { spec: patch }).pipe(Effect.map((result) => (result as typeof pod).spec))

  it.effect("merges lists that have a key by it, and replaces the others", () =>
    Effect.gen(function*() {
      const result = yield* spec({
        containers: [
          { name: "b", image: "new" },
          { name: "a", env: [{ name: "B", value: null, valueFrom: {} }, { name: "C" }], command: ["z"] },
          { name: "d", image: "four", env: null }
        ],
        tolerations: [{ key: "other" }]
      })
      assert.deepStrictEqual(
        result,
        {
          containers: [
            { ...a, env: [{ name: "A", value: "1" }, { name: "B", valueFrom: {} }, { name: "C" }], command: ["z"] },
            { name: "b", image: "new" },
            c,
            { name: "d", image: "four" }
          ],
          tolerations: [{ key: "other" }]
        } as unknown as typeof result
      )
    }))

  it.effect("follows $patch, $retainKeys and $deleteFromPrimitiveList", () =>
    Effect.gen(function*() {
      const deleted = yield* spec({ containers: [{ name: "b", $patch: "delete" }, { name: "none", $patch: "delete" }] })
      assert.deepStrictEqual(deleted.containers, [a, c] as typeof deleted.containers)
      const replaced = yield* spec({ containers: [{ $patch: "replace" }, { name: "z", image: "i" }] })
      assert.deepStrictEqual(replaced.containers, [{ name: "z", image: "i" }])
      const retained = yield* spec({ containers: [{ name: "a", image: "i", $retainKeys: ["name", "image"] }] })
      assert.deepStrictEqual(retained.containers[0], { name: "a", image: "i" })
      assert.deepStrictEqual(
        yield* patched("strategic", pod, {
          metadata: {
            labels: { $patch: "replace", z: "3" },
            "$deleteFromPrimitiveList/finalizers": ["f/1"],
            finalizers: ["f/3"]
          },
          spec: { $patch: "delete" }
        }),
        { metadata: { name: "a", labels: { z: "3" }, finalizers: ["f/2", "f/3"] }, spec: {} }
      )
    }))

  it.effect("says what is wrong with one that cannot be followed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refused("strategic", pod, { spec: { containers: [{ image: "x" }] } }), [
        400,
        "map: {\"image\":\"x\"} does not contain declared merge key: name"
      ])
      assert.strictEqual((yield* refused("strategic", pod, { spec: { $patch: "burn" } }))[0], 400)
    }))

  it.effect.prop(
    "puts those that $setElementOrder names in that order, and leaves the server's own where they were",
    { before: names, order: names, added: names },
    ({ added, before, order }) =>
      Effect.sync(() => {
        const [server, wanted] = [unique(before), unique(order)]
        const result = namesOf(strategicMerge(containers(server), {
          ...containers(unique(added).filter((name) => wanted.includes(name))),
          "$setElementOrder/containers": wanted.map((name) => ({ name }))
        }))
        const present = new Set([...server, ...added.filter((name) => wanted.includes(name))])
        assert.deepStrictEqual(
          result.filter((name) => wanted.includes(name)),
          wanted.filter((name) => present.has(name))
        )
        const own = server.filter((name) => !wanted.includes(name))
        assert.deepStrictEqual(result.filter((name) => !wanted.includes(name)), own)
        // Where the order that is wanted is the server's, nothing moves at all.
        const same = server.filter((name) => wanted.includes(name))
        if (added.length === 0 && same.join() === wanted.join()) assert.deepStrictEqual(result, server)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "touches no element that it does not name",
    { before: names, some: names },
    ({ before, some }) =>
      Effect.sync(() => {
        const server = unique(before)
        const result = strategicMerge(containers(server, { image: "i" }), containers(unique(some), { tty: true }))
        for (const container of (result as ReturnType<typeof containers>).containers) {
          const isOld = server.includes(container.name)
          const isNamed = some.includes(container.name as typeof some[number])
          assert.deepStrictEqual(container, {
            name: container.name,
            ...(isOld ? { image: "i" } : {}),
            ...(isNamed ? { tty: true } : {})
          })
        }
        assert.deepStrictEqual(namesOf(result), unique([...server, ...some]))
      })
  )
})

describe("an apply", () => {
  const sent = { apiVersion: "v1", kind: "Pod", metadata: { name: "a", labels: { y: "9" }, creationTimestamp: null } }

  it.effect("creates where there is nothing, and merges by the same keys where there is something", () =>
    Effect.gen(function*() {
      const { creationTimestamp: _, ...metadata } = sent.metadata
      assert.deepStrictEqual(yield* patched("apply", undefined, sent), { ...sent, metadata })
      assert.deepStrictEqual(
        yield* patched("apply", pod, { ...sent, spec: { containers: [{ name: "b", image: "new" }] } }),
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { ...pod.metadata, labels: { x: "1", y: "9" } },
          spec: {
            ...pod.spec,
            containers: [pod.spec.containers[0], { name: "b", image: "new" }, pod.spec.containers[2]]
          }
        }
      )
    }))

  it.effect.prop(
    "done twice is the same as done once",
    { before: names, some: names },
    ({ before, some }) =>
      Effect.gen(function*() {
        const patch = { ...sent, spec: containers(unique(some), { image: "i" }) }
        const once = yield* patched("apply", { spec: containers(unique(before)) }, patch)
        assert.deepStrictEqual(yield* patched("apply", once as object, patch), once)
      })
  )

  it.effect("of a field that there is not is refused, and so is one that brings managed fields or no object", () =>
    Effect.gen(function*() {
      const metadata = { name: "a", namespace: "n" }
      const start = "failed to create typed patch object (n/a; /v1, Kind=Pod): "
      assert.deepStrictEqual(yield* refused("apply", pod, { metadata, spec: { contaners: [] } }), [
        500,
        `${start}.spec.contaners: field not declared in schema`
      ])
      assert.deepStrictEqual(yield* refused("apply", pod, { metadata, x: 1, y: 1 }), [
        500,
        `${start}errors:\n  .x: field not declared in schema\n  .y: field not declared in schema`
      ])
      assert.strictEqual((yield* refused("apply", pod, { metadata, spec: 1 }))[0], 500)
      assert.deepStrictEqual(yield* refused("apply", pod, { metadata: { managedFields: [{}] } }), [
        400,
        "metadata.managedFields must be nil"
      ])
      assert.strictEqual((yield* refused("apply", pod, "x"))[0], 400)
    }))
})
