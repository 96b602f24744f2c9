import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { decodeConfig, type Identity, labelValue } from "kuberun"
import { inspect } from "node:util"
import { isFrom, podManifest } from "../src/PodTemplate.ts"

const longestLabel = 63

/** Kubernetes' own rule (`apimachinery`, `validation.IsValidLabelValue`). */
const validLabel = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/

const isValid = (value: string): boolean => value.length <= longestLabel && validLabel.test(value)

const text = Schema.Array(Schema.Union([
  Schema.String,
  Schema.Literals(["@", "-", ".", "_", ":", "/", "a", "B", "7", "é", "日", "😀", "\n", " ", "x".repeat(30)])
])).check(Schema.isMaxLength(8))

const validText = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][-A-Za-z0-9_.]{0,40}[A-Za-z0-9]$/))

const owner: Identity = {
  connectionId: "0123456789abcdef0123456789abcdef",
  username: "demo",
  remoteAddress: "192.0.2.1",
  remotePort: 50_000,
  localAddress: "192.0.2.2",
  localPort: 22,
  metadata: {}
}

const config = Effect.fnUntraced(function*(pod: unknown = {}) {
  return yield* decodeConfig({ pod })
})

describe("a label value", () => {
  it.effect.prop(
    "is one that Kubernetes takes, whatever the text",
    { pieces: text },
    ({ pieces }) =>
      Effect.sync(() => {
        const value = labelValue(pieces.join(""))
        assert.isTrue(isValid(value), value)
      }),
    { arbitrary: { runs: 1000 } }
  )

  it.effect.prop(
    "is the text itself where Kubernetes takes that",
    { text: validText },
    ({ text: valid }) => Effect.sync(() => assert.strictEqual(labelValue(valid), valid)),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "tells apart any two texts that had to be changed",
    { left: text, right: text, shared: Schema.String },
    ({ left, right, shared }) =>
      Effect.sync(() => {
        const [one, other] = [`${shared}@${left.join("")}`, `${shared}@${right.join("")}`]
        if (one !== other) assert.notStrictEqual(labelValue(one), labelValue(other))
      }),
    { arbitrary: { runs: 1000 } }
  )

  it("tells apart texts that differ only where they were cut off, or in a character replaced", () => {
    const texts = ["a@b", "a b", "a:b", "a/b", "@", ":", "-", "", ...["x", "y"].map((end) => "u".repeat(100) + end)]
    assert.lengthOf([...new Set(texts.map(labelValue))], texts.length)
  })

  it("keeps enough of the text for a person to know it by", () => {
    assert.match(labelValue("alice@example.com"), /^alice-example\.com-[0-9a-z]+$/)
    assert.match(labelValue("2001:db8::1"), /^2001-db8--1-[0-9a-z]+$/)
    assert.match(labelValue("::1"), /^1-[0-9a-z]+$/)
    assert.strictEqual(labelValue("x".repeat(longestLabel)), "x".repeat(longestLabel))
    assert.lengthOf(labelValue("x".repeat(longestLabel + 1)), longestLabel)
  })
})

describe("a pod's manifest", () => {
  it.effect("puts the idle command into the console container alone, and keeps all else of the user's podSpec", () =>
    Effect.gen(function*() {
      const proxy = { name: "proxy", image: "envoy", command: ["envoy"], ports: [{ containerPort: 80 }] }
      const console = {
        name: "console",
        image: "debian",
        command: ["bash"],
        args: ["-l"],
        env: [{ name: "A", value: "b" }]
      }
      const podSpec = {
        serviceAccountName: "guest",
        restartPolicy: "Never",
        nodeSelector: { disk: "ssd" },
        initContainers: [{ name: "prepare", image: "busybox", command: ["true"] }],
        containers: [proxy, console]
      }
      const settings = yield* config({ podSpec, consoleContainerNumber: 1, idleCommand: ["sleep", "1d"] })
      const { spec } = podManifest(settings, owner, "kuberun-x")
      assert.deepStrictEqual(spec, {
        ...podSpec,
        containers: [proxy, { ...console, command: ["sleep", "1d"] }]
      })
    }))

  it.effect("leaves the configuration as it is, frozen or not", () =>
    Effect.gen(function*() {
      const settings = yield* config()
      const before = inspect(settings.pod, { depth: null })
      const frozen = { ...settings, pod: deepFreeze(settings.pod) }
      podManifest(frozen, owner, "kuberun-x")
      podManifest(frozen, { ...owner, username: "other" }, "kuberun-y")
      assert.strictEqual(inspect(settings.pod, { depth: null }), before)
    }))

  it.effect("names its owner in labels that Kubernetes takes, and in annotations as it was told", () =>
    Effect.gen(function*() {
      const odd = { ...owner, connectionId: "é", username: "Ünï@example.com", remoteAddress: "fe80::1%eth0" }
      const { metadata } = podManifest(yield* config({ namespace: "guests" }), odd, "kuberun-x")
      assert.strictEqual(metadata.name, "kuberun-x")
      assert.strictEqual(metadata.namespace, "guests")
      assert.deepStrictEqual(Object.keys(metadata.labels ?? {}), [
        "containerssh_connection_id",
        "containerssh_ip",
        "containerssh_username",
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/instance",
        "kuberun.dev/mode"
      ])
      for (const value of Object.values(metadata.labels ?? {})) assert.isTrue(isValid(value), value)
      assert.deepStrictEqual(metadata.annotations, {
        containerssh_connection_id: "é",
        containerssh_ip: "fe80::1%eth0",
        containerssh_username: "Ünï@example.com"
      })
    }))

  it.effect("is known again in the pod made from it, and in no other's", () =>
    Effect.gen(function*() {
      const settings = yield* config()
      const manifest = podManifest(settings, owner, "kuberun-x")
      const other = podManifest(settings, { ...owner, connectionId: "f".repeat(32) }, "kuberun-x")
      assert.isTrue(isFrom(manifest, { metadata: { ...manifest.metadata, uid: "u" } }))
      assert.isFalse(isFrom(manifest, { metadata: other.metadata }))
      assert.isFalse(isFrom(manifest, { metadata: { name: "kuberun-x", namespace: "default" } }))
      assert.isFalse(isFrom(manifest, { metadata: { ...manifest.metadata, labels: {} } }))
    }))
})

function deepFreeze<A>(value: A): A {
  if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) deepFreeze(part)
    Object.freeze(value)
  }
  return value
}
