/**
 * The configuration of kuberun v0.9.3: `Config`, `ConnectionConfig` and `PodConfig` with its keys and defaults.
 *
 * Unlike there, everything is checked: an unknown key or a bad value is refused with its path, what stands there and
 * what is allowed.
 */
import { Duration, Effect, Schema } from "effect"
import { type ConfigError, fromSchemaError } from "./ConfigError.ts"
import { GoDuration, GoDurationOrZero } from "./GoDuration.ts"
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

/** Texts by name. */
const Texts = Schema.Record(Schema.String, Schema.String).pipe(
  Schema.withDecodingDefaultKey(Effect.sync(() => ({})))
)

/**
 * Which pod a session channel gets:
 *
 * - `connection`: one for each connection, deleted with it (kuberun v0.9.3).
 * - `session`: one for each channel, whose program is the container's first process; deleted with the channel.
 * - `persistent`: the pod called `name`, which is there already or, with `createMissingPods`, made; never deleted.
 * - `user`: one for each user, shared by all connections of all replicas; deleted `linger` after the last one.
 */
export const PodMode = Schema.Literals(["connection", "session", "persistent", "user"])
export type PodMode = typeof PodMode.Type

/** A PersistentVolumeClaim for each user, made with the user's first pod and never deleted. */
export const ClaimConfig = Schema.Struct({
  /** `resources.requests.storage`: a Kubernetes quantity. */
  storage: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1Gi"))),
  /** Left out: the cluster's default class. */
  storageClassName: Schema.optionalKey(Schema.String),
  accessModes: Schema.NonEmptyArray(
    Schema.Literals(["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"])
  ).pipe(Schema.withDecodingDefaultKey(Effect.succeed(["ReadWriteOnce"] as const))),
  /** Where the console container finds it. */
  mountPath: Schema.String
})
export type ClaimConfig = typeof ClaimConfig.Type

/** The pod to launch, and what runs in it. */
export const PodConfig = Schema.Struct({
  namespace: DnsLabel.pipe(Schema.withDecodingDefaultKey(Effect.succeed("default"))),
  mode: PodMode.pipe(Schema.withDecodingDefaultKey(Effect.succeed("connection"))),
  /** What the names of our pods begin with. */
  namePrefix: Schema.String.check(
    Schema.isPattern(/^[a-z0-9][-a-z0-9]{0,39}$/u, {
      expected: "1 to 40 lower-case letters, digits or dashes, with a letter or digit at the beginning"
    })
  ).pipe(Schema.withDecodingDefaultKey(Effect.succeed("kuberun-"))),
  /** With `persistent`: the pod's name, in which placeholders may stand (see `Placeholders.ts`). */
  name: text,
  /** With `persistent`: a pod that is not there is made. */
  createMissingPods: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  /** Further labels and annotations of the pod; placeholders may stand in the values. */
  labels: Texts,
  annotations: Texts,
  /** What the authenticator said of the user: its name there → the variable of programs, label, annotation here. */
  exposeAuthMetadataAsEnv: Texts,
  exposeAuthMetadataAsLabels: Texts,
  exposeAuthMetadataAsAnnotations: Texts,
  /** With `user`: a volume of the user's own. */
  claim: Schema.optionalKey(ClaimConfig),
  /** With `user`: how long the pod stays after its last connection. */
  linger: GoDurationOrZero.pipe(Schema.withDecodingDefaultKey(Effect.succeed("0s"))),
  /** Ends a connection on which no byte went either way for so long. Left out: never. */
  idleTimeout: Schema.optionalKey(GoDuration),
  /** Ends a pod, and the connections to it, so long after its start. Left out: never. */
  maxLifetime: Schema.optionalKey(GoDuration),
  /** How long before either of these the terminals are told. */
  warning: GoDuration.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1m"))),
  /** ContainerSSH's guest agent in the image… */
  agentPath: Schema.NonEmptyString.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("/usr/bin/containerssh-agent"))
  ),
  /** …which is not used unless this is false. */
  disableAgent: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(true))),
  /** The console container by its name, instead of by its number. */
  consoleContainer: Schema.optionalKey(DnsLabel),
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

/** Time limits of one kind each; what is left out is bounded by `timeout`, and a call by `connection.timeout`. */
export const TimeoutConfig = Schema.Struct({
  /** From asking for a pod until it is ready. */
  podStart: Schema.optionalKey(GoDuration),
  /** For the deletion of a pod to be accepted. */
  podStop: Schema.optionalKey(GoDuration),
  /** From a ready pod until the cluster has accepted the program's streams. */
  commandStart: Schema.optionalKey(GoDuration),
  /** For a signal to be delivered. */
  signal: Schema.optionalKey(GoDuration),
  /** For a new terminal size to be taken. */
  window: Schema.optionalKey(GoDuration),
  /** Of one call, like `connection.timeout`, which wins. */
  http: Schema.optionalKey(GoDuration)
})
export type TimeoutConfig = typeof TimeoutConfig.Type

/** A group of users with pods in waiting of its own. The first class that a user belongs to counts. */
export const PoolClass = Schema.Struct({
  name: DnsLabel,
  /** User names, in which `*` stands for any text. */
  users: Schema.NonEmptyArray(Schema.NonEmptyString),
  size: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
})
export type PoolClass = typeof PoolClass.Type

/** Started pods that wait for users, for all replicas together. */
export const PoolConfig = Schema.Struct({
  /** How many wait for the users of no class. */
  size: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(0))
  ),
  /** A pod that has waited for so long is replaced. */
  maxAge: GoDuration.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1h"))),
  classes: Schema.Array(PoolClass).pipe(Schema.withDecodingDefaultKey(Effect.sync(() => [])))
})
export type PoolConfig = typeof PoolConfig.Type

/** The whole configuration. `timeout` bounds the pod's start and, again, its deletion. */
export const Config = Schema.Struct({
  // A default of the encoded kind would be checked in two steps, and hide the faults of the second behind the first's.
  connection: ConnectionConfig.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(defaultConnection))),
  pod: PodConfig.pipe(Schema.withDecodingDefaultKey(Effect.succeed({}))),
  timeout: GoDuration.pipe(Schema.withDecodingDefaultKey(Effect.succeed("60s"))),
  timeouts: TimeoutConfig.pipe(Schema.withDecodingDefaultKey(Effect.sync(() => ({})))),
  pool: PoolConfig.pipe(Schema.withDecodingDefaultKey(Effect.sync(() => ({})))),
  /** Which installation a pod belongs to, as the label `app.kubernetes.io/instance`: its replicas share one. */
  instance: DnsLabel.pipe(Schema.withDecodingDefaultKey(Effect.succeed("kuberun")))
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
  pod.podSpec.containers.find((container) => container.name === pod.consoleContainer) ??
    pod.podSpec.containers[pod.consoleContainerNumber] ?? pod.podSpec.containers[0]

/** The time limit of one call to the API server. */
export const callTimeout = (connection: ConnectionConfig): Duration.Duration =>
  connection.timeout ?? Duration.seconds(60)

/** How long a pod may take to become ready. */
export const startTimeout = (config: Config): Duration.Duration => config.timeouts.podStart ?? config.timeout

/** How long its deletion may take to be accepted. */
export const stopTimeout = (config: Config): Duration.Duration => config.timeouts.podStop ?? config.timeout
