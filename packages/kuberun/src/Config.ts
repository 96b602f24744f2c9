/**
 * The configuration of kuberun v0.9.3: `Config`, `ConnectionConfig` and `PodConfig` with its keys and defaults.
 *
 * Unlike there, everything is checked: an unknown key or a bad value is refused with its path, what stands there and
 * what is allowed.
 */
import { Duration, Effect, Schema } from "effect"
import { type ConfigError, fromSchemaError } from "./ConfigError.ts"
import { GoDuration } from "./GoDuration.ts"
import type { Container } from "./Pod.ts"

const text = Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))
const secret = Schema.RedactedFromValue(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))

/** A DNS label of RFC 1123, which Kubernetes asks of namespaces and containers. */
export const DnsLabel = Schema.String.check(
  Schema.isPattern(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u, {
    expected: "1 to 63 lower-case letters, digits or dashes, with a letter or digit at both ends"
  })
)

/** How to reach the API server. An empty text means "not set". */
export const ConnectionConfig = Schema.Struct({
  /** A host, `host:port`, or a URL. */
  host: Schema.NonEmptyString.pipe(Schema.withDecodingDefaultKey(Effect.succeed("kubernetes.default.svc"))),
  /** The path below which the API is served. */
  path: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("/api"))),
  /** Basic authentication. */
  username: text,
  password: secret,
  /** Do not verify the server's certificate. */
  insecure: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  /** The name to ask for (SNI) and to find in the server's certificate. */
  serverName: text,
  /** Client certificate, its key, and the server's authorities: as files… */
  certFile: text,
  keyFile: text,
  cacertFile: text,
  /** …or as PEM text. */
  cert: text,
  key: secret,
  cacert: text,
  bearerToken: secret,
  /** A file with the bearer token, read again when it changes. */
  bearerTokenFile: text,
  /** At most this many calls a second… */
  qps: Schema.Finite.check(Schema.isGreaterThan(0)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(5))),
  /** …after a burst of this many. */
  burst: Schema.Int.check(Schema.isGreaterThan(0)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(10))),
  /** Time limit of one call. Left out: the adapter's own. */
  timeout: Schema.optionalKey(GoDuration)
})
export type ConnectionConfig = typeof ConnectionConfig.Type

const Command = Schema.Array(Schema.String)

/** Checked as far as this library relies on it; the API server checks the rest. */
const ContainerSchema = Schema.StructWithRest(
  Schema.Struct({
    name: DnsLabel,
    image: Schema.optionalKey(Schema.String),
    command: Schema.optionalKey(Command)
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

const PodSpecSchema = Schema.StructWithRest(
  Schema.Struct({ containers: Schema.NonEmptyArray(ContainerSchema) }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

/** The containers of kuberun v0.9.3 where the configuration names none. */
const defaultContainer = { name: "shell", image: "containerssh/containerssh-guest-image" } satisfies Container

/** The pod to launch, and what runs in it. */
export const PodConfig = Schema.Struct({
  namespace: DnsLabel.pipe(Schema.withDecodingDefaultKey(Effect.succeed("default"))),
  /** The place in `podSpec.containers` of the container that programs run in, from 0. */
  consoleContainerNumber: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(0))
  ),
  podSpec: PodSpecSchema.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed({ containers: [defaultContainer] as const }))
  ),
  /** Subsystem name to the executable that serves it. */
  subsystems: Schema.Record(Schema.String, Schema.NonEmptyString).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed({ sftp: "/usr/lib/openssh/sftp-server" }))
  ),
  /** What runs for a shell request. Empty: shells are refused. */
  shellCommand: Command.pipe(Schema.withDecodingDefaultKey(Effect.succeed(["/bin/bash"]))),
  /** The console container's first process, which keeps the pod up while programs come and go. */
  idleCommand: Schema.NonEmptyArray(Schema.String).pipe(
    Schema.withDecodingDefaultKey(
      Effect.succeed(["/bin/sh", "-c", "sleep infinity & PID=$!; trap \"kill $PID\" INT TERM; wait"] as const)
    )
  )
}).check(
  Schema.makeFilter((pod) =>
    pod.consoleContainerNumber < pod.podSpec.containers.length ? undefined : {
      path: ["consoleContainerNumber"],
      issue: `expected the place of one of the ${pod.podSpec.containers.length} containers, counted from 0`
    }
  )
)
export type PodConfig = typeof PodConfig.Type

const defaultConnection = Schema.decodeUnknownSync(ConnectionConfig)({})

/** The whole configuration. `timeout` bounds the pod's start and, again, its deletion. */
export const Config = Schema.Struct({
  // A default of the encoded kind would be checked in two steps, and hide the faults of the second behind the first's.
  connection: ConnectionConfig.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(defaultConnection))),
  pod: PodConfig.pipe(Schema.withDecodingDefaultKey(Effect.succeed({}))),
  timeout: GoDuration.pipe(Schema.withDecodingDefaultKey(Effect.succeed("60s")))
})
export type Config = typeof Config.Type

const decode = Schema.decodeUnknownEffect(Config, { errors: "all", onExcessProperty: "error" })

/** Decodes what a YAML or JSON file held. All faults are reported at once. */
export const decodeConfig = (input: unknown): Effect.Effect<Config, ConfigError> =>
  decode(input).pipe(Effect.mapError((error) => fromSchemaError(error, input)))

/** The configuration with every key left out. */
export const defaultConfig: Config = Schema.decodeUnknownSync(Config)({})

/** The container that programs run in. */
export const consoleContainer = (pod: PodConfig): Container =>
  pod.podSpec.containers[pod.consoleContainerNumber] ?? pod.podSpec.containers[0]

/** The time limit of one call to the API server. */
export const callTimeout = (connection: ConnectionConfig): Duration.Duration =>
  connection.timeout ?? Duration.seconds(60)
