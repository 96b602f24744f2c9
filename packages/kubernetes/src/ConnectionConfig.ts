/**
 * Between a kubeconfig, the library's `ConnectionConfig`, and what is used to connect: the equivalents of kuberun
 * v0.9.3's `SetConfigFromKubeConfig` and `CreateConnectionConfig`.
 */
import type { Cluster, User } from "@kubernetes/client-node"
import { Effect, Redacted, Schema, type Scope } from "effect"
import { type ClusterError, ConnectionConfig, Misconfigured } from "kuberun"
import * as ApiAccess from "./ApiAccess.ts"
import { failed, isRecord } from "./ApiFault.ts"
import type { ClusterSource, ConnectionSettings } from "./ClusterSource.ts"
import { TOKEN_FILE } from "./ConnectionSource.ts"
import { PLUGIN } from "./CredentialPlugin.ts"
import { loadKubeConfig } from "./KubeConfigFile.ts"
import { OIDC } from "./OidcToken.ts"

const OPERATION = "read the cluster's configuration"

/** The first thing in the context that a `ConnectionConfig` has no key for. */
const withoutKey = (cluster: Cluster, user: User): string | undefined => {
  const name: unknown = isRecord(user.authProvider) ? user.authProvider["name"] : undefined
  const provider = typeof name === "string" ? name : undefined
  if (provider === PLUGIN) return "a credential plugin (exec)"
  if (provider === OIDC) return "an OpenID provider (auth-provider oidc)"
  if (provider !== undefined && provider !== TOKEN_FILE) return `the auth-provider ${provider}`
  if (user.impersonateUser) return "impersonation (as)"
  if (cluster.proxyUrl) return "a proxy (proxy-url)"
  return undefined
}

const decoded = (data: string | undefined): string =>
  data === undefined ? "" : Buffer.from(data, "base64").toString("utf8")

const fileOf = (user: User): string => {
  const config: unknown = user.authProvider?.config
  return isRecord(config) ? String(config["path"]) : ""
}

/** `ConnectionConfig` as it is written, before decoding. */
const written = (cluster: Cluster, user: User) => ({
  host: cluster.server,
  insecure: cluster.skipTLSVerify,
  serverName: cluster.tlsServerName ?? "",
  cacert: decoded(cluster.caData),
  cacertFile: cluster.caFile ?? "",
  cert: decoded(user.certData),
  certFile: user.certFile ?? "",
  key: decoded(user.keyData),
  keyFile: user.keyFile ?? "",
  username: user.username ?? "",
  password: user.password ?? "",
  bearerToken: user.token ?? "",
  bearerTokenFile: fileOf(user)
})

/**
 * A kubeconfig's context as the library's `ConnectionConfig`: server, certificates by file or inline, user and password,
 * token by file or inline, `tls-server-name`, `insecure-skip-tls-verify`. `qps`, `burst` and `timeout`, which a
 * kubeconfig does not have, are the library's defaults.
 *
 * Fails with `Misconfigured` where the kubeconfig cannot be used, and where it holds what that shape has no key for: a
 * credential plugin, an OpenID provider, impersonation, a proxy. A source `KubeconfigFile` (or `Kubeconfig`) can.
 */
export const connectionConfigFromKubeconfig = Effect.fn("connectionConfigFromKubeconfig")(function*(
  source: Exclude<ClusterSource, { readonly _tag: "Connection" }>
): Effect.fn.Return<ConnectionConfig, ClusterError> {
  const config = yield* loadKubeConfig(source)
  const cluster = config.getCurrentCluster()
  const user = config.getCurrentUser()
  if (cluster === null || user === null) {
    return yield* failed(OPERATION)(new Misconfigured({ detail: "the kubeconfig's context has no cluster or no user" }))
  }
  const missing = withoutKey(cluster, user)
  if (missing !== undefined) {
    const detail = `the kubeconfig's context "${config.currentContext}" uses ${missing}, which a ConnectionConfig ` +
      "cannot hold; use the kubeconfig itself (the source KubeconfigFile)"
    return yield* failed(OPERATION)(new Misconfigured({ detail }))
  }
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(ConnectionConfig)(written(cluster, user)),
    () => failed(OPERATION)(new Misconfigured({ detail: "the kubeconfig's context is not a valid ConnectionConfig" }))
  )
})

/** What a `ConnectionConfig` amounts to at this moment. */
export interface ConnectionDetails {
  /** The URL that stands before `/api` and `/apis`, without a slash at its end. */
  readonly server: string
  /** Whether the server's certificate is verified, under which name if not the host's, and against which authorities. */
  readonly verify: boolean
  readonly serverName?: string | undefined
  /** PEM text; left out: the system's authorities. */
  readonly ca?: string | undefined
  /** The client's certificate and its key, PEM texts. */
  readonly client?: { readonly cert: string; readonly key: Redacted.Redacted<string> } | undefined
  /** The `Authorization` header: basic, or the bearer token as its file holds it now. */
  readonly authorization?: Redacted.Redacted<string> | undefined
}

const text = (value: unknown): string | undefined =>
  Buffer.isBuffer(value) ? value.toString("utf8") : typeof value === "string" ? value : undefined

/**
 * Makes of a `ConnectionConfig` what is used to connect, files read; the layer does the same anew for every call. Fails
 * with `Misconfigured` where settings contradict each other or a file cannot be read. Asks the server nothing.
 */
export const createConnectionConfig = Effect.fn("createConnectionConfig")(function*(
  connection: ConnectionSettings
): Effect.fn.Return<ConnectionDetails, ClusterError, Scope.Scope> {
  const access = yield* ApiAccess.make({ _tag: "Connection", connection })
  const { auth, headers, tls } = yield* access.forSocket(OPERATION)
  const authorization = auth === undefined
    ? headers["authorization"]
    : `Basic ${Buffer.from(auth).toString("base64")}`
  const cert = text(tls.cert)
  const key = text(tls.key)
  const ca = text(tls.ca)
  return {
    server: access.server,
    verify: tls.rejectUnauthorized !== false,
    ...(tls.servername === undefined ? {} : { serverName: tls.servername }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { client: { cert, key: Redacted.make(key) } }),
    ...(authorization === undefined ? {} : { authorization: Redacted.make(authorization) })
  }
}, Effect.scoped)
