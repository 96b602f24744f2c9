import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Names from "../src/shapes/Names.ts"
import { type KubeObject } from "../src/shapes/Objects.ts"
import { type Resource } from "../src/shapes/Resources.ts"
import { createCauses, updateCauses } from "../src/shapes/Validation.ts"

const own = {
  name: "c",
  namespace: "default",
  uid: "u",
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z"
}
const objectOf = (metadata: object): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { ...own, ...metadata }
})
const created = (metadata: object, resource: Resource = "configmaps") =>
  createCauses(resource, objectOf(metadata)).map(({ field, message }) => `${field}: ${message}`)
const begin = (texts: ReadonlyArray<string>, beginnings: ReadonlyArray<string>) =>
  assert.deepStrictEqual(texts.map((text, index) => text.slice(0, beginnings[index]?.length)), beginnings)

describe("an object's metadata", () => {
  it.effect("needs a name, of the syntax that its kind has", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(created({}), [])
      assert.deepStrictEqual(created({ name: "" }), ["metadata.name: Required value: name or generateName is required"])
      begin(created({ name: "A" }), [
        `metadata.name: Invalid value: "A": a lowercase RFC 1123 subdoma`
      ])
      assert.deepStrictEqual(created({ name: "a".repeat(254) }), [
        `metadata.name: Invalid value: "${"a".repeat(254)}": must be no more than 253 characters`
      ])
      assert.deepStrictEqual(created({ name: "a.b", namespace: "" }, "namespaces"), [
        "metadata.name: Invalid value: \"a.b\": must not contain dots"
      ])
      assert.deepStrictEqual(created({ name: "system:Any thing", namespace: "" }, "clusterroles"), [])
      assert.deepStrictEqual(created({ name: "a/b%" }, "roles"), [
        `metadata.name: Invalid value: "a/b%": may not contain '/'`,
        `metadata.name: Invalid value: "a/b%": may not contain '%'`
      ])
      assert.deepStrictEqual(created({ namespace: "" }), ["metadata.namespace: Required value"])
      assert.deepStrictEqual(created({}, "clusterroles"), ["metadata.namespace: Forbidden: not allowed on this type"])
    }))

  it.effect("may ask for a generated name by a beginning that ends in a dash", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(created({ generateName: "made-", name: Names.generatedName("made-") }), [])
      begin(created({ generateName: "Made-", name: "made-x" }), [
        "metadata.generateName: Invalid value: \"Made-\": a lowercase R"
      ])
      assert.match(Names.generatedName("x".repeat(80)), /^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/)
    }))

  it.effect("has labels and annotations with good keys, labels with good values, and not too much of them", () =>
    Effect.sync(() => {
      const good = { "a": "", "example.com/A_b.c": "x-Y_z.1", "9": "9" }
      assert.deepStrictEqual(created({ labels: good, annotations: { ...good, "Example.com/x": "any thing\n" } }), [])
      begin(created({ labels: { "a/b/c": "", "/x": "", "A.b/c": "-", "x/": "" } }), [
        "metadata.labels: Invalid value: \"a/b/c\": a qualified name mu",
        "metadata.labels: Invalid value: \"/x\": prefix part must be no",
        "metadata.labels: Invalid value: \"A.b/c\": prefix part a lower",
        "metadata.labels: Invalid value: \"-\": a valid label must be a",
        "metadata.labels: Invalid value: \"x/\": name part must be non-",
        "metadata.labels: Invalid value: \"x/\": name part must consist"
      ])
      begin(created({ labels: { a: "x".repeat(64) } }), [
        `metadata.labels: Invalid value: "${"x".repeat(27)}`
      ])
      begin(created({ annotations: { "a b": "" } }), ["metadata.annotations: Invalid value: \"a b\": name part must"])
      assert.deepStrictEqual(created({ annotations: { a: "x".repeat(256 * 1024 - 1) } }), [])
      assert.deepStrictEqual(created({ annotations: { a: "x".repeat(256 * 1024) } }), [
        "metadata.annotations: Too long: may not be more than 262144 bytes"
      ])
    }))

  it.effect("has owners that are wholly named, of which one controls", () =>
    Effect.sync(() => {
      const owner = { apiVersion: "v1", kind: "Pod", name: "p", uid: "u", controller: true }
      assert.deepStrictEqual(created({ ownerReferences: [owner] }), [])
      assert.deepStrictEqual(created({ ownerReferences: [{ kind: "Pod" }] }), [
        "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty",
        "metadata.ownerReferences.name: Invalid value: \"\": must not be empty",
        "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"
      ])
      const [cause, ...others] = created({ ownerReferences: [owner, { ...owner, name: "q" }] })
      assert.deepStrictEqual(others, [])
      assert.include(cause, "Found \"true\" in references for Pod/p and Pod/q")
    }))

  it.effect("has finalizers of its own domains, or those that every cluster knows", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(created({ finalizers: ["example.com/x", "orphan", "foregroundDeletion"] }), [])
      assert.deepStrictEqual(created({ finalizers: ["mine"] }), [
        "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
      ])
    }))

  it.effect("keeps its identity, and takes no new finalizers while it goes", () =>
    Effect.sync(() => {
      const changed = (next: object, previous: object = {}) =>
        updateCauses("configmaps", objectOf(next), objectOf(previous)).map(({ field, message }) =>
          `${field}: ${message}`
        )
      assert.deepStrictEqual(changed({ labels: { a: "b" }, finalizers: ["example.com/x"] }), [])
      assert.deepStrictEqual(
        changed({ name: "d", namespace: "other", uid: "v", creationTimestamp: "2027-01-01T00:00:00Z" }),
        [
          "metadata.name: Invalid value: \"d\": field is immutable",
          "metadata.namespace: Invalid value: \"other\": field is immutable",
          "metadata.uid: Invalid value: \"v\": field is immutable",
          "metadata.creationTimestamp: Invalid value: \"2027-01-01T00:00:00Z\": field is immutable"
        ]
      )
      const going = { deletionTimestamp: "2026-01-02T00:00:00Z", finalizers: ["example.com/x"] }
      assert.deepStrictEqual(changed({ ...going, finalizers: [] }, going), [])
      assert.deepStrictEqual(changed({ ...going, finalizers: ["example.com/x", "example.com/y"] }, going), [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.com/y\"}"
      ])
      begin(changed({ labels: { "-": "" } }), [
        "metadata.labels: Invalid value: \"-\": name part must consist "
      ])
    }))
})

describe("a name", () => {
  it.effect("is good up to its limit, and of its own signs", () =>
    Effect.sync(() => {
      const x = (count: number) => "x".repeat(count)
      const cases = [
        [Names.label, ["a", "0-9", x(63)], ["", "-a", "a-", "A", "a_b", "a\n", x(64)]],
        [Names.subdomain, ["a.b-c.0", x(253)], ["", ".a", "a..b", "a.-b", x(254)]],
        [Names.key, ["A_b.c", x(63), `${x(253)}/${x(63)}`], ["", "a/", x(64), `${x(254)}/a`, "a/b/c"]],
        [Names.labelValue, ["", "A_b.c", x(63)], ["-", "a b", x(64)]],
        [Names.configKey, [".a", "_", x(253)], ["", ".", "..", "..a", "a/b", x(254)]],
        [Names.variable, ["a b", "1", "$"], ["=", "a=b", "\t", "ä"]],
        [Names.port, ["http", "a-1", x(15)], ["", "1", "-a", "a-", "a--b", "A", x(16)]],
        [Names.header, ["X-A"], ["", "a b"]],
        [Names.address, ["10.0.0.1", "::1"], ["", "10.0.0", "x"]],
        [Names.segment, ["a:b c"], [".", "..", "a/b", "a%b"]],
        [Names.file, ["a/b", "a..b"], ["/a", "a/../b", "..", "..a"]],
        [Names.descending, ["a/b", "..a"], ["/a", "../a"]]
      ] as const
      for (const [faults, good, bad] of cases) {
        for (const name of good) assert.deepStrictEqual(faults(name), [], name)
        for (const name of bad) assert.isNotEmpty(faults(name), name)
      }
    }))
})
