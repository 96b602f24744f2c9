/** What kubectl explain, create and apply read before they do anything. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { openApi } from "../src/shapes/OpenApi.ts"
import { resourceTypes, verbsOf } from "../src/shapes/Resources.ts"

interface Schema {
  readonly description?: string
  readonly type?: string
  readonly required?: ReadonlyArray<string>
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema
  readonly allOf?: ReadonlyArray<{ readonly $ref: string }>
  readonly "x-kubernetes-group-version-kind"?: ReadonlyArray<object>
}
interface Operation {
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string }>
  readonly "x-kubernetes-group-version-kind": object
}
interface Document {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, Operation>> & { readonly serverRelativeURL?: string }>
  >
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

const read = Effect.fnUntraced(function*(path: string) {
  const answer = yield* openApi(path.split("/")) ?? Effect.die("not a path of OpenAPI")
  assert.strictEqual(answer._tag, "Json")
  return (answer as Extract<typeof answer, { readonly _tag: "Json" }>).body as Document
})

const groups = ["authentication.k8s.io", "authorization.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io"]
const documents = ["api/v1", ...groups.map((group) => `apis/${group}/v1`)]

describe("OpenAPI", () => {
  it.effect("lists a document for each group that is served, by an address that names its content", () =>
    Effect.gen(function*() {
      const { paths } = yield* read("openapi/v3")
      assert.deepStrictEqual(Object.keys(paths).toSorted(), documents)
      for (const [name, { serverRelativeURL }] of Object.entries(paths)) {
        assert.match(serverRelativeURL ?? "", new RegExp(`^/openapi/v3/${name}\\?hash=[0-9A-F]{64}$`))
      }
    }))

  it.effect("has no reference to anything that is not there", () =>
    Effect.gen(function*() {
      for (const name of documents) {
        const { components } = yield* read(`openapi/v3/${name}`)
        const references = JSON.stringify(components).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)
        const missing = Array.from(references, ([, to]) => to ?? "").filter((to) =>
          components.schemas[to] === undefined
        )
        assert.deepStrictEqual(missing, [])
      }
    }))

  it.effect("describes a pod as the API reference does, by upstream's names", () =>
    Effect.gen(function*() {
      const { components: { schemas } } = yield* read("openapi/v3/api/v1")
      const pod = schemas["io.k8s.api.core.v1.Pod"]
      assert.deepStrictEqual(pod?.["x-kubernetes-group-version-kind"], [{ group: "", version: "v1", kind: "Pod" }])
      assert.match(pod?.description ?? "", /^Pod is a collection of containers that can run on a host\. /)
      assert.match(pod?.properties?.["apiVersion"]?.description ?? "", /^APIVersion defines the versioned schema/)
      const meta = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
      assert.deepStrictEqual(pod?.properties?.["metadata"]?.allOf, [{ $ref: meta }])
      const spec = schemas["io.k8s.api.core.v1.PodSpec"]
      assert.deepStrictEqual(spec?.required, ["containers"])
      assert.strictEqual(spec?.properties?.["containers"]?.type, "array")
      assert.deepStrictEqual(spec?.properties?.["containers"]?.items?.allOf, [
        { $ref: "#/components/schemas/io.k8s.api.core.v1.Container" }
      ])
      assert.match(spec?.properties?.["containers"]?.description ?? "", /^List of containers belonging to the pod\. /)
      const limits = schemas["io.k8s.api.core.v1.ResourceRequirements"]?.properties?.["limits"]
      assert.deepStrictEqual(limits?.additionalProperties?.allOf, [
        { $ref: "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity" }
      ])
      for (const [name, { description = "" }] of Object.entries(schemas)) {
        assert.notMatch(description, /^\*|auto generated|\\'/, name)
      }
    }))

  it.effect("says of each resource that is patched that the server validates its fields", () =>
    Effect.gen(function*() {
      for (const [resource, type] of Object.entries(resourceTypes)) {
        const root = type.group === "" ? "api/v1" : `apis/${type.group}/v1`
        const { paths } = yield* read(`openapi/v3/${root}`)
        const collection = `/${root}${type.namespaced ? "/namespaces/{namespace}" : ""}/${resource}`
        const patch = paths[`${collection}/{name}`]?.["patch"]
        assert.deepStrictEqual(
          patch?.["x-kubernetes-group-version-kind"],
          { group: type.group, version: "v1", kind: type.kind }
        )
        assert.isTrue(patch?.parameters.some(({ in: where, name }) => where === "query" && name === "fieldValidation"))
        assert.strictEqual(paths[collection]?.["post"] !== undefined, verbsOf(type).includes("create"), resource)
      }
    }))

  it.effect("is 404 for what there is not, an empty document for version 2, and nothing at other paths", () =>
    Effect.gen(function*() {
      for (const path of ["openapi", "openapi/v2/pods", "openapi/v3/apis/apps/v1", "openapi/v3/api"]) {
        const { status } = yield* Effect.flip(openApi(path.split("/")) ?? Effect.die(path))
        assert.strictEqual(status.code, 404)
      }
      assert.deepInclude(yield* openApi(["openapi", "v2"]) ?? Effect.die("v2"), { code: 200, body: "" })
      assert.isUndefined(openApi(["api", "v1"]))
    }))
})
