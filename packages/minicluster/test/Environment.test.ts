import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { makeStore } from "../src/api/Store.ts"
import { expand, resolveEnvironment } from "../src/runtime/Environment.ts"
import { type Container, type Pod } from "../src/shapes/Objects.ts"
import { podOf, specOf } from "./support/Container.ts"

const pieces = Schema.Array(Schema.Literals(["$", "$$", "$(A)", "$(B)", "$(", ")", "(", "x", "$(no)", "$()"]))

/** The same rules read off character by character. */
const reference = (text: string, variables: Readonly<Record<string, string>>): string => {
  if (text === "") return ""
  if (text.startsWith("$$")) return `$${reference(text.slice(2), variables)}`
  const close = text.indexOf(")")
  if (text.startsWith("$(") && close > 0) {
    const name = text.slice(2, close)
    return (name in variables ? variables[name] : `$(${name})`) + reference(text.slice(close + 1), variables)
  }
  return (text[0] ?? "") + reference(text.slice(1), variables)
}

describe("a reference $(NAME)", () => {
  it.effect.prop(
    "is replaced where the variable exists, kept where not, and escaped by $$",
    { parts: pieces },
    ({ parts }) =>
      Effect.sync(() => {
        const variables = { A: "a$(B)", B: "" }
        assert.strictEqual(expand(parts.join(""), variables), reference(parts.join(""), variables))
      }),
    { arbitrary: { runs: 500 } }
  )

  for (
    const [text, expanded] of [
      ["$(A)-$(no)-$A", "1-$(no)-$A"],
      ["$$(A) $$$(A) $$$$(A)", "$(A) $1 $$(A)"],
      ["$(A", "$(A"],
      ["$(", "$("],
      ["$", "$"],
      ["$()", "$()"]
    ] as const
  ) {
    it(`in ${text} becomes ${expanded}`, () => {
      assert.strictEqual(expand(text, { A: "1" }), expanded)
    })
  }
})

const metadata = (name: string) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "",
  creationTimestamp: "2026-01-01T00:00:00Z"
})

const resolve = (
  spec: Partial<Container>,
  pod: Partial<Pod["spec"]> = {},
  base: Readonly<Record<string, string>> = { KUBERNETES_PORT: "base" }
) =>
  Effect.gen(function*() {
    const store = yield* makeStore()
    const data = { color: "blue", "1st": "no name", size: "$(color)" }
    yield* store.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("settings"), data })
    yield* store.create("secrets", {
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata("keys"),
      data: { key: Buffer.from("secret text").toString("base64") }
    })
    yield* store.create(
      "nodes",
      {
        apiVersion: "v1",
        kind: "Node",
        metadata: { ...metadata("minicluster"), namespace: undefined },
        status: { allocatable: { cpu: "3", memory: "2Gi" } }
      } as unknown as Pod
    )
    const labels = { app: "web", "example.com/tier": "back" }
    return yield* resolveEnvironment(
      store,
      podOf({ serviceAccountName: "robot", ...pod }, { labels, annotations: { note: "a \"b\"" } }),
      specOf(spec),
      base
    )
  })

const refusal = (spec: Partial<Container>, pod: Partial<Pod["spec"]> = {}) =>
  Effect.map(Effect.flip(resolve(spec, pod)), ({ message }) => message)

describe("a container's environment", () => {
  it.effect("takes whole objects first, single variables after them, and the cluster's own last", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* resolve(
          {
            envFrom: [
              { configMapRef: { name: "settings" } },
              { prefix: "P_", configMapRef: { name: "settings" } },
              { secretRef: { name: "keys" } },
              { secretRef: { name: "nosuch", optional: true } }
            ],
            env: [
              { name: "color", value: "red" },
              { name: "REFERS", value: "$(color) $(LATER) $(KUBERNETES_PORT) $$(color)" },
              { name: "LATER", value: "1" }
            ]
          },
          {},
          { KUBERNETES_PORT: "base", color: "base" }
        ),
        {
          KUBERNETES_PORT: "base",
          color: "red",
          size: "$(color)",
          P_1st: "no name",
          P_color: "blue",
          P_size: "$(color)",
          key: "secret text",
          REFERS: "red $(LATER) base $(color)",
          LATER: "1"
        }
      )
    }))

  it.effect("has the pod's fields and the container's resources, in units of the divisor, rounded up", () =>
    Effect.gen(function*() {
      const fields = [
        "metadata.name",
        "metadata.namespace",
        "metadata.labels['example.com/tier']",
        "metadata.annotations['note']",
        "metadata.labels['none']",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.podIP",
        "status.hostIPs"
      ]
      const resources = [
        ["limits.cpu", "1m"],
        ["limits.cpu", "1"],
        ["requests.cpu", "1"],
        ["limits.memory", "1Mi"],
        ["requests.memory", "0"]
      ] as const
      const environment = yield* resolve({
        resources: { limits: { cpu: "1500m" }, requests: { memory: "1M" } },
        env: [
          ...fields.map((fieldPath, index) => ({ name: `F${index}`, valueFrom: { fieldRef: { fieldPath } } })),
          ...resources.map(([resource, divisor], index) => ({
            name: `R${index}`,
            valueFrom: { resourceFieldRef: { resource, divisor } }
          }))
        ]
      })
      assert.deepStrictEqual(fields.map((_, index) => environment[`F${index}`]), [
        "pod",
        "default",
        "back",
        "a \"b\"",
        "",
        "minicluster",
        "robot",
        "127.0.0.1",
        "127.0.0.1"
      ])
      assert.deepStrictEqual(resources.map((_, index) => environment[`R${index}`]), [
        "1500",
        "2",
        "0",
        "2048",
        "1000000"
      ])
    }))

  it.effect("has keys of objects, and goes without those that are optional", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* resolve(
          {
            env: [
              { name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "color" } } },
              { name: "B", valueFrom: { secretKeyRef: { name: "keys", key: "key" } } },
              { name: "C", valueFrom: { configMapKeyRef: { name: "settings", key: "no", optional: true } } },
              { name: "D", valueFrom: { secretKeyRef: { name: "no", key: "no", optional: true } } },
              { name: "E", value: "$(A)" }
            ]
          },
          {},
          {}
        ),
        { A: "blue", B: "secret text", E: "blue" }
      )
    }))

  it.effect("is refused in the kubelet's words where an object or a key is missing", () =>
    Effect.gen(function*() {
      const keyed = (kind: "configMapKeyRef" | "secretKeyRef", name: string) =>
        refusal({ env: [{ name: "A", valueFrom: { [kind]: { name, key: "k" } } }] })
      assert.strictEqual(yield* keyed("configMapKeyRef", "x"), `configmap "x" not found`)
      assert.strictEqual(yield* keyed("secretKeyRef", "x"), `secret "x" not found`)
      assert.strictEqual(
        yield* keyed("configMapKeyRef", "settings"),
        "couldn't find key k in ConfigMap default/settings"
      )
      assert.strictEqual(yield* keyed("secretKeyRef", "keys"), "couldn't find key k in Secret default/keys")
      assert.strictEqual(yield* refusal({ envFrom: [{ configMapRef: { name: "x" } }] }), `configmap "x" not found`)
    }))

  it.effect("is refused where the container must not run as root and would", () =>
    Effect.gen(function*() {
      const who = `(pod: "pod_default(11111111-2222-3333-4444-555555555555)", container: main)`
      assert.strictEqual(
        yield* refusal({}, { securityContext: { runAsNonRoot: true } }),
        `container has runAsNonRoot and image will run as root ${who}`
      )
      assert.strictEqual(
        yield* refusal({ securityContext: { runAsNonRoot: true, runAsUser: 0 } }, {
          securityContext: { runAsUser: 1 }
        }),
        `container's runAsUser breaks non-root policy ${who}`
      )
      yield* resolve({ securityContext: { runAsNonRoot: false } }, { securityContext: { runAsNonRoot: true } })
      yield* resolve({}, { securityContext: { runAsNonRoot: true, runAsUser: 1000 } })
    }))
})
