/**
 * The keys under `connection`: how to reach the API server, and how often. The names and defaults of kuberun v0.9.3.
 */
import { Duration, Effect, Schema } from "effect"
import { GoDuration } from "./GoDuration.ts"

const text = (description: string) =>
  Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))).annotateKey({ description })

const secret = (description: string) =>
  Schema.RedactedFromValue(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))
    .annotateKey({ description })

/** How to reach the API server. An empty text means "not set". */
export const ConnectionConfig = Schema.Struct({
  host: Schema.NonEmptyString.pipe(Schema.withDecodingDefaultKey(Effect.succeed("kubernetes.default.svc")))
    .annotateKey({ description: "The API server: a host, host:port, or a URL." }),
  path: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("/api")))
    .annotateKey({ description: "The path below which the API is served." }),
  username: text("User name for basic authentication."),
  password: secret("Password for basic authentication."),
  insecure: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false)))
    .annotateKey({ description: "Do not verify the server's certificate." }),
  serverName: text("The name to ask for (SNI) and to find in the server's certificate."),
  certFile: text("A file with the client's certificate."),
  keyFile: text("A file with the key of the client's certificate."),
  cacertFile: text("A file with the authorities that may have signed the server's certificate."),
  cert: text("The client's certificate, in PEM."),
  key: secret("The key of the client's certificate, in PEM."),
  cacert: text("The authorities that may have signed the server's certificate, in PEM."),
  bearerToken: secret("The token to show."),
  bearerTokenFile: text("A file with the token to show, read again when it changes."),
  qps: Schema.Finite.check(Schema.isGreaterThan(0)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(5)))
    .annotateKey({ description: "At most this many calls a second, after a burst." }),
  burst: Schema.Int.check(Schema.isGreaterThan(0)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(10)))
    .annotateKey({ description: "How many calls may be made at once, before qps counts." }),
  timeout: Schema.optionalKey(GoDuration)
    .annotateKey({ description: "Time limit of one call; left out: timeouts.http, else 60s." })
})
export type ConnectionConfig = typeof ConnectionConfig.Type

/** The time limit of one call to the API server. */
export const callTimeout = (connection: ConnectionConfig): Duration.Duration =>
  connection.timeout ?? Duration.seconds(60)
