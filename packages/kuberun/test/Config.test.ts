import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import {
  callTimeout,
  Config,
  type ConfigError,
  consoleContainer,
  decodeConfig,
  defaultConfig,
  PodConfig
} from "kuberun"
import { inspect } from "node:util"

const faultsOf = (input: unknown) => Effect.map(Effect.flip(decodeConfig(input)), (error) => error.faults)
const encode = Schema.encodeUnknownEffect(Config)

/** The configuration with every key at its default, as a file would write it. */
const seed = {
  connection: {
    host: "kubernetes.default.svc",
    path: "/api",
    username: "",
    password: "",
    insecure: false,
    serverName: "",
    certFile: "",
    keyFile: "",
    cacertFile: "",
    cert: "",
    key: "",
    cacert: "",
    bearerToken: "",
    bearerTokenFile: "",
    qps: 5,
    burst: 10
  },
  pod: {
    namespace: "default",
    mode: "connection" as const,
    namePrefix: "kuberun-",
    name: "",
    createMissingPods: false,
    labels: {},
    annotations: {},
    exposeAuthMetadataAsEnv: {},
    exposeAuthMetadataAsLabels: {},
    exposeAuthMetadataAsAnnotations: {},
    linger: "0s",
    warning: "60s",
    agentPath: "/usr/bin/containerssh-agent",
    disableAgent: true,
    consoleContainerNumber: 0,
    podSpec: { containers: [{ name: "shell", image: "containerssh/containerssh-guest-image" }] as const },
    subsystems: { sftp: "/usr/lib/openssh/sftp-server" },
    shellCommand: ["/bin/bash"],
    idleCommand: ["/bin/sh", "-c", "sleep infinity & PID=$!; trap \"kill $PID\" INT TERM; wait"] as const
  },
  timeout: "60s",
  timeouts: {},
  pool: { size: 0, maxAge: "3600s", classes: [] },
  instance: "kuberun"
}

/** As the type says it that encoding gives. */
const written: typeof Config.Encoded = seed

describe("a configuration", () => {
  it.effect("has the keys and defaults of kuberun v0.9.3, all of them and no other", () =>
    Effect.gen(function*() {
      for (const empty of [{}, { connection: {} }, { pod: {} }, { connection: {}, pod: {} }]) {
        assert.deepStrictEqual(yield* encode(yield* decodeConfig(empty)), written)
      }
      assert.deepStrictEqual(yield* encode(yield* decodeConfig(seed)), written)
      assert.deepStrictEqual(yield* encode(defaultConfig), written)
      assert.isTrue(Duration.equals(defaultConfig.timeout, Duration.seconds(60)))
      assert.isTrue(Duration.equals(callTimeout(defaultConfig.connection), Duration.seconds(60)))
      assert.deepStrictEqual(consoleContainer(defaultConfig.pod), seed.pod.podSpec.containers[0])
    }))

  it.effect("takes the limit of a call from its own key", () =>
    Effect.gen(function*() {
      const config = yield* decodeConfig({ connection: { timeout: "1m30s" } })
      assert.isTrue(Duration.equals(callTimeout(config.connection), Duration.seconds(90)))
    }))

  it.effect("keeps its secrets out of what is printed of it", () =>
    Effect.gen(function*() {
      const config = yield* decodeConfig({
        connection: { password: "hunter2", key: "hunter2", bearerToken: "hunter2" }
      })
      assert.notInclude(JSON.stringify(config), "hunter2")
      assert.notInclude(inspect(config, { depth: 5 }), "hunter2")
    }))

  it.effect("reports all that is wrong at once, with the key's path, what stands there and what may", () =>
    Effect.gen(function*() {
      const faults = yield* faultsOf({
        connection: { insecure: "yes", qps: 0, burst: 1.5, timeout: "-1s", hots: "x" },
        pod: {
          namespace: "Upper",
          consoleContainerNumber: -1,
          podSpec: { containers: [{ name: "a_b" }, { name: "b", command: "true" }] },
          subsystems: { sftp: "" },
          shellCommand: "bash",
          idleCommand: [],
          linger: "soon"
        },
        timeout: "0s",
        timeouts: { http: "soon", podstart: "1s" },
        pool: { size: -1, maxAge: "soon" },
        extra: 2
      })
      const byPath = new Map(faults.map(({ message, path }) => [path, message]))
      const duration = "expected a duration such as \"60s\" or \"1m30s\" (a number counts nanoseconds)"
      const name = "expected 1 to 63 lower-case letters, digits or dashes, with a letter or digit at both ends"
      for (
        const [path, message] of [
          ["connection.insecure", "\"yes\" is not allowed: expected boolean"],
          ["connection.qps", "0 is not allowed: expected a value greater than 0"],
          ["connection.burst", "1.5 is not allowed: expected an integer"],
          ["connection.timeout", `"-1s" is not allowed: ${duration}`],
          ["pod.namespace", `"Upper" is not allowed: ${name}`],
          ["pod.consoleContainerNumber", "-1 is not allowed: expected a value greater than or equal to 0"],
          ["pod.podSpec.containers[0].name", `a text is not allowed: ${name}`],
          ["pod.podSpec.containers[1].command", "a text is not allowed: expected array"],
          ["pod.subsystems.sftp", "\"\" is not allowed: expected a value with a length of at least 1"],
          ["pod.shellCommand", "\"bash\" is not allowed: expected array"],
          ["pod.idleCommand[0]", "is missing"],
          ["pod.linger", `"soon" is not allowed: ${duration}`],
          ["timeouts.http", `"soon" is not allowed: ${duration}`],
          [
            "timeouts.podstart",
            "is not a key that is known; allowed here: podStart, podStop, commandStart, signal, window, http"
          ],
          ["pool.size", "-1 is not allowed: expected a value between 0 and 1000"],
          ["pool.maxAge", `"soon" is not allowed: ${duration}`],
          ["timeout", `"0s" is not allowed: ${duration.replace("such as", "longer than 0s, such as")}`],
          ["extra", "is not a key that is known; allowed here: connection, pod, timeout, timeouts, pool, instance"]
        ] as const
      ) {
        assert.strictEqual(byPath.get(path), message, path)
        byPath.delete(path)
      }
      assert.deepStrictEqual([...byPath.keys()], ["connection.hots"])
      assert.strictEqual(
        byPath.get("connection.hots"),
        `is not a key that is known; allowed here: ${[...Object.keys(seed.connection), "timeout"].join(", ")}`
      )
    }))

  it.effect("names the keys of a pod where it is given another", () =>
    Effect.gen(function*() {
      const optional = ["claim", "idleTimeout", "maxLifetime", "consoleContainer"]
      assert.sameMembers(Object.keys(PodConfig.fields), [...Object.keys(seed.pod), ...optional])
      assert.deepStrictEqual(yield* faultsOf({ pod: { shell: ["a"] } }), [{
        path: "pod.shell",
        message: `is not a key that is known; allowed here: ${Object.keys(PodConfig.fields).join(", ")}`
      }])
    }))

  it.effect("has one line for each fault in its message", () =>
    Effect.gen(function*() {
      const error: ConfigError = yield* Effect.flip(decodeConfig({ timeout: "1", pod: { namespace: "" } }))
      assert.strictEqual(error.message, error.faults.map(({ message, path }) => `${path}: ${message}`).join("\n"))
      assert.lengthOf(error.faults, 2)
    }))

  it.effect("that is no map at all is told so", () =>
    Effect.gen(function*() {
      for (const [input, shown] of [[null, "null"], ["hunter2", "a text"], [3, "a number"], [[], "a list"]] as const) {
        const faults = yield* faultsOf(input)
        assert.deepStrictEqual(faults, [{
          path: "(the whole file)",
          message: `${shown} is not allowed: expected object`
        }])
      }
    }))

  it.effect.prop(
    "takes a console container that there is, and no other",
    {
      count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })),
      place: Schema.Union([
        Schema.Int.check(Schema.isBetween({ minimum: -2, maximum: 7 })),
        Schema.Literals([0.5, 1.5])
      ])
    },
    ({ count, place }) =>
      Effect.gen(function*() {
        const containers = Array.from({ length: count }, (_, index) => ({ name: `c${index}` }))
        const pod = { podSpec: { containers }, consoleContainerNumber: place }
        if (Number.isInteger(place) && place >= 0 && place < count) {
          assert.strictEqual(consoleContainer((yield* decodeConfig({ pod })).pod).name, `c${place}`)
          return
        }
        const faults = yield* faultsOf({ pod })
        assert.deepStrictEqual(faults.map(({ path }) => path), ["pod.consoleContainerNumber"])
        if (place >= count && Number.isInteger(place)) {
          assert.include(
            faults[0]?.message,
            `${place} is not allowed: expected the place of one of the ${count} containers, counted from 0`
          )
        }
      }),
    { arbitrary: { runs: 300 } }
  )

  // Digits, so that it may also stand there as YAML reads it without quotes: as a number.
  const digits = Schema.Int.check(Schema.isBetween({ minimum: 100_000_000_000, maximum: 999_999_999_999_999 }))
  const shape = Schema.Literals(["text", "number", "list", "map", "nested", "none"])
  const shaped = (form: typeof shape.Type, value: string): unknown => {
    switch (form) {
      case "text":
        return value
      case "number":
        return Number(value)
      case "list":
        return [value]
      case "map":
        return { a: value }
      case "nested":
        return { a: [{ b: value }], password: value }
      case "none":
        return undefined
    }
  }
  it.effect.prop(
    "never shows a secret, whatever is wrong with it or around it",
    {
      digits,
      password: shape,
      key: shape,
      bearerToken: shape,
      variable: shape,
      env: Schema.Literals(["list", "text", "map", "other"]),
      command: Schema.Literals(["none", "text", "list"]),
      container: Schema.Literals(["map", "text", "list"]),
      podSpec: Schema.Literals(["map", "map", "text", "list"]),
      connection: Schema.Literals(["map", "map", "map", "text", "list"]),
      whole: Schema.Literals(["map", "map", "map", "map", "text", "list"])
    },
    ({ digits: number, ...given }) =>
      Effect.gen(function*() {
        const secret = String(number)
        const all = `password: ${secret}`
        const replaced = (form: string, value: unknown): unknown =>
          form === "text" ? all : form === "list" ? [value, all] : value
        const value = shaped(given.variable, secret)
        const env = given.env === "list"
          ? [{ name: "TOKEN", value }]
          : given.env === "map"
          ? { TOKEN: value }
          : given.env === "text"
          ? `TOKEN=${secret}`
          : value
        const container = {
          name: "NOT A NAME",
          image: 5,
          env,
          ...(given.command === "none"
            ? {}
            : { command: given.command === "text" ? all : ["a", { b: secret }, number, secret] })
        }
        const input = replaced(given.whole, {
          connection: replaced(given.connection, {
            password: shaped(given.password, secret),
            key: shaped(given.key, secret),
            bearerToken: shaped(given.bearerToken, secret),
            qps: "many"
          }),
          pod: { podSpec: replaced(given.podSpec, { containers: [replaced(given.container, container)] }) },
          timeout: "soon",
          unknown: secret
        })
        const foreign = {
          kubernetes: replaced(given.whole, {
            connection: { password: shaped(given.password, secret), key: shaped(given.key, secret) },
            pod: replaced(given.connection, {
              metadata: replaced(given.podSpec, { namespace: "NOT A NAME" }),
              spec: replaced(given.podSpec, { containers: [replaced(given.container, container)] })
            }),
            timeouts: "soon"
          }),
          auth: { password: secret }
        }
        for (const file of [input, foreign]) {
          const error = yield* Effect.flip(decodeConfig(file))
          assert.notInclude(error.message, secret)
          assert.notInclude(JSON.stringify(error), secret)
          assert.notInclude(String(error), secret)
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect("takes names that objects are born with for plain names of subsystems", () =>
    Effect.gen(function*() {
      const input: unknown = JSON.parse(`{"pod":{"subsystems":{"constructor":"/bin/c","toString":"/bin/t"}}}`)
      const { subsystems } = (yield* decodeConfig(input)).pod
      assert.deepStrictEqual(Object.entries(subsystems), [["constructor", "/bin/c"], ["toString", "/bin/t"]])
    }))
})
