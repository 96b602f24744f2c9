import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted, Schema } from "effect"
import { Config, configFrom, decodeConfig } from "kuberun"

const encode = Schema.encodeUnknownEffect(Config)

const label = Schema.Literals(["default", "a", "guests-2", "0x0", "z".repeat(63)])
const texts = Schema.Array(Schema.String).check(Schema.isMaxLength(3))
const positive = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))
const size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
const duration = Schema.Union([positive, Schema.Literals(["60s", "1m30s", "1.5h", "250ms", "7us"])])
const marks = Schema.Record(
  Schema.Literals(["team", "example.com/team", "A.b_c-d"]),
  Schema.Literals(["", "x", "{{username}}"])
)
const optional = Schema.optionalKey

const pod = Schema.Struct({
  namespace: optional(label),
  namePrefix: optional(Schema.Literals(["a", "kuberun-", "0-"])),
  labels: optional(marks),
  annotations: optional(marks),
  exposeAuthMetadataAsEnv: optional(Schema.Record(Schema.String, Schema.Literals(["TEAM", "_x1"]))),
  exposeAuthMetadataAsLabels: optional(Schema.Struct({ mail: Schema.Literal("mail") })),
  exposeAuthMetadataAsAnnotations: optional(Schema.Struct({ mail: Schema.Literal("mail") })),
  idleTimeout: optional(duration),
  maxLifetime: optional(duration),
  warning: optional(duration),
  agentPath: optional(Schema.NonEmptyString),
  disableAgent: optional(Schema.Boolean),
  subsystems: optional(Schema.Record(Schema.String, Schema.NonEmptyString)),
  shellCommand: optional(texts),
  idleCommand: optional(Schema.Literals(["/bin/sleep infinity", "a"])),
  podSpec: optional(Schema.Struct({
    containers: Schema.NonEmptyArray(Schema.Struct({ image: optional(Schema.String), args: optional(texts) })),
    hostNetwork: optional(Schema.Boolean),
    terminationGracePeriodSeconds: optional(positive),
    nodeSelector: optional(Schema.Record(Schema.String, Schema.String))
  }))
})

/** What may stand in each mode only. */
const modes = Schema.Union([
  Schema.Struct({ mode: optional(Schema.Literal("connection")) }),
  Schema.Struct({ mode: Schema.Literal("session") }),
  Schema.Struct({
    mode: Schema.Literal("persistent"),
    name: Schema.Literals(["desk", "desk-{{username}}"]),
    createMissingPods: optional(Schema.Boolean)
  }),
  Schema.Struct({
    mode: Schema.Literal("user"),
    linger: optional(Schema.Union([duration, Schema.Literal("0s")])),
    claim: optional(Schema.Struct({
      storage: optional(Schema.Literals(["1Gi", "500M"])),
      storageClassName: optional(Schema.String),
      accessModes: optional(Schema.NonEmptyArray(Schema.Literals(["ReadWriteOnce", "ReadOnlyMany"]))),
      mountPath: Schema.Literals(["/home", "/"])
    }))
  })
])

/** Configuration files of any kind that are in order. */
const file = Schema.Struct({
  connection: optional(Schema.Struct({
    host: optional(Schema.NonEmptyString),
    path: optional(Schema.String),
    username: optional(Schema.String),
    password: optional(Schema.String),
    serverName: optional(Schema.String),
    certFile: optional(Schema.String),
    keyFile: optional(Schema.String),
    cacertFile: optional(Schema.String),
    cert: optional(Schema.String),
    key: optional(Schema.String),
    cacert: optional(Schema.String),
    bearerToken: optional(Schema.String),
    bearerTokenFile: optional(Schema.String),
    insecure: optional(Schema.Boolean),
    qps: optional(positive),
    burst: optional(positive),
    timeout: optional(duration)
  })),
  timeout: optional(duration),
  timeouts: optional(Schema.Struct({
    podStart: optional(duration),
    podStop: optional(duration),
    commandStart: optional(duration),
    signal: optional(duration),
    window: optional(duration),
    http: optional(duration)
  })),
  pool: optional(Schema.Struct({
    size: optional(size),
    maxAge: optional(duration),
    classes: optional(
      Schema.Array(Schema.Struct({ name: label, users: Schema.NonEmptyArray(Schema.NonEmptyString), size })).check(
        Schema.makeFilter((classes) =>
          new Set(["default", ...classes.map(({ name }) => name)]).size === classes.length + 1
        )
      )
    )
  })),
  instance: optional(label)
})

const redactedTexts = ({ connection: { bearerToken, key, password } }: Config) =>
  [password, key, bearerToken].map((secret) => Redacted.value(secret))

const inputOf = (top: typeof file.Type, keys: typeof pod.Type, mode: typeof modes.Type) => {
  const { pool, ...others } = top
  const { idleCommand, podSpec, ...rest } = keys
  return {
    ...others,
    // Pods in waiting are for one mode only.
    ...(pool === undefined || (mode.mode ?? "connection") !== "connection" ? {} : { pool }),
    pod: {
      ...rest,
      ...mode,
      ...(idleCommand === undefined ? {} : { idleCommand: idleCommand.split(" ") }),
      ...(podSpec === undefined ? {} : {
        podSpec: { ...podSpec, containers: podSpec.containers.map((one, index) => ({ ...one, name: `c${index}` })) },
        consoleContainerNumber: podSpec.containers.length - 1
      })
    }
  }
}

const parts = { top: file, keys: pod, mode: modes }

describe("a configuration of any kind", () => {
  it.effect.prop(
    "is the same one after it was written and read again, and what it was read from stays as it was",
    parts,
    ({ keys, mode, top }) =>
      Effect.gen(function*() {
        const input = inputOf(top, keys, mode)
        const before = structuredClone(input)
        const config = yield* decodeConfig(input)
        assert.deepStrictEqual(input, before)
        const written = yield* encode(config)
        const again = yield* decodeConfig(JSON.parse(JSON.stringify(written)))
        assert.deepStrictEqual(yield* encode(again), written)
        assert.deepStrictEqual(again, config)
        assert.deepStrictEqual(redactedTexts(again), redactedTexts(config))
        assert.isTrue(Duration.equals(again.timeout, config.timeout))
        assert.strictEqual(redactedTexts(config)[0], input.connection?.password ?? "")
        assert.strictEqual(config.pod.mode, mode.mode ?? "connection")
        if (mode.mode === "user" && mode.claim !== undefined) {
          assert.strictEqual(config.pod.claim?.mountPath, mode.claim.mountPath)
        }
        const { podSpec } = input.pod
        if (podSpec !== undefined) assert.deepStrictEqual<unknown>(config.pod.podSpec, podSpec)
      }),
    { arbitrary: { runs: 500 } }
  )
})

const read = (provider: ConfigProvider.ConfigProvider, path?: string) => configFrom(path).parse(provider)

describe("a configuration from Effect's Config", () => {
  it.effect("is the one that a file with the same content gives", () =>
    Effect.gen(function*() {
      const input = {
        connection: { host: "k8s.example.com", bearerToken: "t", qps: 7.5, insecure: true },
        pod: {
          namespace: "guests",
          labels: { team: "red" },
          podSpec: {
            containers: [{ name: "shell", image: "busybox", stdin: true, env: [{ name: "A", value: "1" }] }],
            terminationGracePeriodSeconds: 5,
            nodeSelector: { big: "true" }
          }
        },
        timeouts: { http: "9s" },
        pool: { size: 2 }
      }
      const expected = yield* decodeConfig(input)
      assert.deepStrictEqual(yield* read(ConfigProvider.fromUnknown(input)), expected)
      assert.deepStrictEqual(yield* read(ConfigProvider.fromUnknown({ kuberun: input }), "kuberun"), expected)
      assert.deepStrictEqual(redactedTexts(expected)[2], "t")
    }))

  it.effect("may be variables of the environment, with the podSpec as JSON", () =>
    Effect.gen(function*() {
      const podSpec = { containers: [{ name: "shell", env: [{ name: "A", value: "1" }] }], hostNetwork: true }
      const config = yield* read(
        ConfigProvider.fromEnvRecord({
          kuberun_pod_namespace: "guests",
          kuberun_connection_qps: "20",
          kuberun_pod_podSpec: JSON.stringify(podSpec)
        }),
        "kuberun"
      )
      assert.deepStrictEqual(
        config,
        yield* decodeConfig({ connection: { qps: 20 }, pod: { namespace: "guests", podSpec } })
      )
    }))

  it.effect("is refused where a file with the same content is", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read(ConfigProvider.fromUnknown({
        pod: { namespace: "Upper", podSpec: { contaners: [] } }
      })))
      assert.include(error.message, "pod")
      const text = yield* Effect.flip(read(ConfigProvider.fromUnknown({ pod: { podSpec: "no JSON" } })))
      assert.include(text.message, "podSpec")
    }))
})
