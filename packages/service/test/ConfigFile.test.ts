import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FileSystem, Path, Result, Schema } from "effect"
import { decode, namesConnection, parse, read } from "../src/ConfigFile.ts"

const faultsOf = (text: string): string => Result.getOrElse(Result.flip(parse("kuberun.yaml", text)), () => "no fault")

describe("the configuration file", () => {
  it.effect.prop("any JSON map is read as JSON reads it", {
    value: Schema.Record(
      Schema.String,
      Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Null, Schema.Array(Schema.String)])
    )
  }, ({ value }) =>
    Effect.sync(() => {
      const json = JSON.stringify(value, null, "\t")
      assert.deepStrictEqual(Result.getOrThrow(parse("kuberun.json", json)), JSON.parse(json))
    }))

  it("may be empty", () => {
    for (const text of ["", "# only a comment\n", "---\n"]) {
      assert.deepStrictEqual(Result.getOrThrow(parse("kuberun.yaml", text)), {})
    }
  })

  it("with broken syntax is refused with file name, line and column", () => {
    assert.match(faultsOf("pod:\n  namespace: default\n namespace: other\n"), /^kuberun\.yaml:3:\d+: \S/)
    assert.match(faultsOf("timeout: 60s\ntimeout: 30s\n"), /^kuberun\.yaml:2:1: this key stands twice/)
    assert.match(faultsOf("pod: {namespace: default}}\n"), /^kuberun\.yaml:1:26: /)
    assert.match(faultsOf("pod: !!thing x\n"), /^kuberun\.yaml:1:6: /)
    assert.match(faultsOf("a: 1\n---\nb: 2\n"), /^kuberun\.yaml:\d+:\d+: /)
  })

  it("may say what is the same twice only once, with anchors, aliases and merges", () => {
    const text = "pod:\n  podSpec:\n    containers:\n      - &shell { name: shell, image: busybox }\n" +
      "      - { <<: *shell, name: other }\n      - *shell\n"
    const shell = { name: "shell", image: "busybox" }
    assert.deepStrictEqual(Result.getOrThrow(parse("kuberun.yaml", text)), {
      pod: { podSpec: { containers: [shell, { ...shell, name: "other" }, shell] } }
    })
    assert.include(faultsOf("pod: { <<: 5 }\n"), "<<")
  })

  it("with an alias to nowhere, or a list at the top, is refused", () => {
    assert.include(faultsOf("pod: *nowhere\n"), "alias")
    assert.include(faultsOf("- a\n- b\n"), "expected a map")
    assert.include(
      faultsOf("hello\n"),
      "expected a map with the keys connection, pod, timeout, timeouts, pool and instance at the top"
    )
  })

  it("never appears in the message about it", () => {
    const secret = "hunter2"
    for (
      const text of [
        `password: "${secret}" more`,
        `password: '${secret}`,
        `password: *${secret}`,
        `password: !${secret} x`,
        `? [${secret}]\n: x`,
        `password: @${secret}`,
        `password: &a &b ${secret}`,
        `password: ${secret}: x: y`,
        `%YAML ${secret}\n---\na: b`
      ]
    ) {
      const said = faultsOf(text)
      assert.notStrictEqual(said, "no fault", text)
      assert.notInclude(said, secret, text)
    }
  })

  it.effect("with bad values and unknown keys is refused with all of them at once, and no secret", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(decode("kuberun.yaml", {
        connection: { hostname: "x", password: 42 },
        pod: { namespace: "Not A Label" },
        timeout: "soon"
      }))
      assert.strictEqual(error.reason, "ConfigFile")
      const lines = error.message.split("\n")
      assert.include(lines[0], "kuberun.yaml")
      for (const path of ["connection.hostname", "connection.password", "pod.namespace", "timeout"]) {
        assert.isTrue(lines.some((line) => line.trim().startsWith(`${path}: `)), `${path} in ${error.message}`)
      }
      assert.include(error.message, "\"Not A Label\"")
      assert.notInclude(error.message, "42")
    }))

  it.effect("overrides the defaults of the mode key by key below pod", () =>
    Effect.gen(function*() {
      const defaults = { shellCommand: ["/bin/sh"], podSpec: { containers: [{ name: "shell", image: "busybox" }] } }
      const config = yield* decode(undefined, { pod: { namespace: "guests" }, timeout: "90s" }, defaults)
      assert.strictEqual(config.pod.namespace, "guests")
      assert.deepStrictEqual(config.pod.shellCommand, ["/bin/sh"])
      assert.strictEqual(config.pod.podSpec.containers[0].image, "busybox")
      assert.strictEqual(Duration.toSeconds(config.timeout), 90)
      const other = yield* decode(undefined, { pod: { shellCommand: ["/bin/zsh"] } }, defaults)
      assert.deepStrictEqual(other.pod.shellCommand, ["/bin/zsh"])
    }))

  it.effect("of ContainerSSH's takes the same defaults of the mode", () =>
    Effect.gen(function*() {
      const defaults = { shellCommand: ["/bin/sh"], podSpec: { containers: [{ name: "shell", image: "busybox" }] } }
      const raw = { kubernetes: { pod: { metadata: { namespace: "guests" } } } }
      const { pod } = yield* decode("kuberun.yaml", raw, defaults)
      assert.strictEqual(pod.namespace, "guests")
      assert.deepStrictEqual(pod.shellCommand, ["/bin/sh"])
      assert.strictEqual(pod.podSpec.containers[0].image, "busybox")
      const own = { kubernetes: { pod: { spec: { containers: [{ name: "own" }] } } } }
      assert.strictEqual((yield* decode("kuberun.yaml", own, defaults)).pod.podSpec.containers[0].name, "own")
      assert.strictEqual(
        (yield* decode("kuberun.yaml", { backend: "kubernetes" }, defaults)).pod.shellCommand[0],
        "/bin/sh"
      )
    }))

  it("names a connection in either shape", () => {
    assert.isTrue(namesConnection({ connection: {} }))
    assert.isTrue(namesConnection({ kubernetes: { connection: {} } }))
    for (const raw of [{}, { kubernetes: {} }, { kubernetes: "x" }, { backend: "kubernetes" }]) {
      assert.isFalse(namesConnection(raw))
    }
  })

  it.effect("that is not there, or is a folder, is one sentence", () =>
    Effect.gen(function*() {
      const paths = yield* Path.Path
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const missing = yield* Effect.flip(read(paths.join(folder, "none.yaml")))
      assert.match(missing.message, /^cannot read the configuration .*none\.yaml: there is no such file$/)
      const isFolder = yield* Effect.flip(read(folder))
      assert.match(isFolder.message, /^cannot read the configuration [^\n]*: it is a folder, or leads nowhere$/)
    }).pipe(Effect.provide(NodeServices.layer)))
})
