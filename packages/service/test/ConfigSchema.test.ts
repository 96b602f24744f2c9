import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Process } from "@kuberun/testkit"
import { Effect, JsonSchema, Result, Schema, SchemaRepresentation } from "effect"
import { Config, configJsonSchema, defaultConfig } from "kuberun"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { schemaText } from "../src/Cli.ts"

const file = new URL("../kuberun.schema.json", import.meta.url)

describe("the JSON schema of the configuration", () => {
  it("that lies beside the package is the one that is printed", () => {
    assert.strictEqual(
      readFileSync(file, "utf8"),
      `${schemaText()}\n`,
      "write it anew: npm run --silent kuberun -- schema > packages/service/kuberun.schema.json"
    )
  })

  it.live("is what kuberun schema prints, and nothing else", () =>
    Effect.gen(function*() {
      const command = yield* Process.kuberun(["schema"], { cwd: process.cwd() })
      assert.strictEqual(yield* command.exit, 0)
      assert.strictEqual(yield* command.stdout, `${schemaText()}\n`)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("comes whole through a pipe of the shell's", () =>
    Effect.gen(function*() {
      const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))
      const piped = yield* Process.start(
        "sh",
        ["-c", "\"$0\" --conditions=@kuberun/source \"$1\" schema | cat", process.execPath, bin],
        { cwd: process.cwd() }
      )
      assert.strictEqual(yield* piped.exit, 0)
      assert.strictEqual((yield* piped.stdout).length, schemaText().length + 1)
    }))

  it("has a description for every key of ours, the defaults and the patterns", () => {
    const text = JSON.stringify(configJsonSchema())
    const { $defs, properties } = JSON.parse(text)
    for (
      const struct of [
        properties,
        ...["Connection", "Pod", "Claim", "Timeouts", "Pool", "PoolClass"].map((name) => $defs[name].properties)
      ]
    ) {
      for (const [key, of] of Object.entries<{ readonly description?: string }>(struct)) {
        assert.isString(of.description, key)
      }
    }
    assert.strictEqual($defs.Pod.properties.namespace.pattern, "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    assert.deepStrictEqual($defs.Pod.properties.shellCommand.default, ["/bin/bash"])
    assert.strictEqual($defs.Connection.properties.qps.default, 5)
    assert.isFalse(properties.kubernetes.properties.pod.properties.disableAgent.default)
    // Every reference leads somewhere.
    for (const [, name = ""] of text.matchAll(/"#\/\$defs\/([^"]+)"/g)) assert.property($defs, name)
  })

  it("takes what is in order, and finds what is not", () => {
    const schema = SchemaRepresentation.fromJsonSchemaDocument(JsonSchema.fromSchemaDraft2020_12(configJsonSchema()), {
      patterns: "apply"
    })
    const decode = Schema.decodeUnknownResult(Schema.make<Schema.Codec<unknown>>(schema.ast), {
      onExcessProperty: "error"
    })
    const takes = (input: unknown) => Result.isSuccess(decode(input))
    const spec = { containers: [{ name: "shell", image: "busybox", env: [{ name: "A", value: "b" }] }] }
    for (
      const input of [
        {},
        Schema.encodeSync(Config)(defaultConfig),
        { pod: { podSpec: spec, mode: "user", linger: "5m", claim: { mountPath: "/home" } }, pool: { size: 0 } },
        { backend: "kubernetes", kubernetes: { pod: { metadata: { namespace: "a" }, spec }, timeouts: { http: "1s" } } }
      ]
    ) assert.isTrue(takes(input), JSON.stringify(input))
    for (
      const input of [
        { pods: {} },
        { pod: { namespace: "Upper" } },
        { pod: { podSpec: { contaners: [] } } },
        { pod: { podSpec: { containers: [{ name: "a", env: [{ name: "A", value: 5 }] }] } } },
        { connection: { qps: 0 } },
        { pool: { classes: [{ name: "a" }] } },
        { kubernetes: { pod: { podSpec: spec } } }
      ]
    ) assert.isFalse(takes(input), JSON.stringify(input))
  })
})
