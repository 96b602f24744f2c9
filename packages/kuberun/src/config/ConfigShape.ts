/**
 * All keys of the configuration, as a schema. How a file is decoded with it: `Config.ts`.
 */
import { Effect, Schema } from "effect"
import { ConnectionConfig } from "./ConnectionConfig.ts"
import { GoDuration } from "./GoDuration.ts"
import { DnsLabel, PodConfig } from "./PodConfig.ts"
import { poolRules } from "./PodRules.ts"
import { PoolConfig } from "./PoolConfig.ts"
import { TimeoutConfig } from "./TimeoutConfig.ts"

const defaultConnection = Schema.decodeUnknownSync(ConnectionConfig)({})
const defaultPod = Schema.decodeUnknownSync(PodConfig)({})
const defaultPool = Schema.decodeUnknownSync(PoolConfig)({})

/** The whole configuration. `timeout` bounds the pod's start and, again, its deletion. */
export const Config = Schema.Struct({
  // Defaults of the encoded kind would be checked in two steps, and hide the faults of the second behind the first's.
  connection: ConnectionConfig.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(defaultConnection)))
    .annotateKey({ description: "How to reach the API server." }),
  pod: PodConfig.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(defaultPod)))
    .annotateKey({ description: "The pod of a connection, and what runs in it." }),
  timeout: GoDuration.pipe(Schema.withDecodingDefaultKey(Effect.succeed("60s")))
    .annotateKey({ description: "Bounds the start of a pod and, again, its deletion." }),
  timeouts: TimeoutConfig.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed({})))
    .annotateKey({ description: "Time limits of one kind each; what is left out is bounded by timeout." }),
  pool: PoolConfig.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(defaultPool)))
    .annotateKey({ description: "Started pods that wait for users, for all replicas together." }),
  instance: DnsLabel.pipe(Schema.withDecodingDefaultKey(Effect.succeed("kuberun"))).annotateKey({
    description: "Which installation a pod belongs to (label app.kubernetes.io/instance): its replicas share one."
  })
}).check(
  Schema.makeFilter((config) =>
    poolRules.flatMap((rule) => rule.faults(config)).map(({ message, path }) => ({ path, issue: message }))
  )
)
export type Config = typeof Config.Type

/** The configuration with every key left out. */
export const defaultConfig: Config = Schema.decodeUnknownSync(Config)({})
