/**
 * The connection settings of kuberun v0.9.3 as what a kubeconfig would say: one cluster and one user.
 */
import type { Cluster, User } from "@kubernetes/client-node"
import { Redacted, Result } from "effect"
import type { ConnectionSettings } from "./ClusterSource.ts"

/** Marks a user whose bearer token is read from a file for every call; see `Authenticators.ts`. */
export const TOKEN_FILE = "kuberun-token-file"

/** The user's authentication provider that reads the token from this file. */
export const tokenFileProvider = (path: string) => ({ name: TOKEN_FILE, config: { path } })

/** What stands before `/api` in the path that the API is served under. */
const pathPrefix = (path: string): string => {
  const trimmed = path.replaceAll(/^\/+|\/+$/gu, "")
  const prefix = trimmed === "api" ? "" : trimmed.replace(/\/api$/u, "")
  return prefix === "" ? "" : `/${prefix}`
}

/** `https://host[:port][/prefix]`, without a slash at its end, or a sentence that says what is wrong with it. */
export const serverUrl = (host: string, path: string): Result.Result<string, string> => {
  const written = host.trim()
  const bareIpv6 = /^[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*$/iu.test(written)
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//iu.test(written)
    ? written
    : `https://${bareIpv6 ? `[${written}]` : written}`
  // What stands before an @ may be a password.
  const shown = written.includes("@") ? "connection.host" : `connection.host "${host}"`
  if (written === "" || !URL.canParse(withScheme)) {
    return Result.fail(`${shown} is not a host, host:port or URL`)
  }
  const url = new URL(withScheme)
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return Result.fail(`${shown} has the scheme ${url.protocol} where http: or https: is allowed`)
  }
  if (url.username !== "" || url.password !== "") {
    return Result.fail("connection.host holds credentials; write them as connection.username and connection.password")
  }
  return Result.succeed(`${url.origin}${url.pathname.replace(/\/+$/u, "")}${pathPrefix(path)}`)
}

const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64")

/** Inline PEM text, else the file that holds it, else nothing. */
const pem = <D extends string, F extends string>(
  data: D,
  inline: string,
  file: F,
  path: string
): Partial<Record<D | F, string>> => {
  const found: Partial<Record<D | F, string>> = {}
  if (inline !== "") found[data] = base64(inline) as typeof found[D]
  else if (path !== "") found[file] = path as typeof found[F]
  return found
}

/** The cluster and the user that the settings describe, or a sentence that says what contradicts what. */
export const clusterAndUser = (
  settings: ConnectionSettings
): Result.Result<{ readonly cluster: Cluster; readonly user: User }, string> => {
  const server = serverUrl(settings.host, settings.path)
  if (Result.isFailure(server)) return Result.fail(server.failure)
  const hasCertificate = settings.cert !== "" || settings.certFile !== ""
  const hasKey = Redacted.value(settings.key) !== "" || settings.keyFile !== ""
  if (hasCertificate !== hasKey) {
    return Result.fail(
      hasCertificate
        ? "a client certificate is set but not its key; set connection.key or connection.keyFile"
        : "a client key is set but not its certificate; set connection.cert or connection.certFile"
    )
  }
  const token = Redacted.value(settings.bearerToken)
  if (settings.username !== "" && (token !== "" || settings.bearerTokenFile !== "")) {
    return Result.fail(
      "both connection.username and a bearer token are set; the API server takes one of them"
    )
  }
  return Result.succeed({
    cluster: {
      name: "connection",
      server: server.success,
      // client-node takes plain http only from a cluster that says so. There is no certificate to verify then.
      skipTLSVerify: settings.insecure || server.success.startsWith("http:"),
      ...(settings.serverName === "" ? {} : { tlsServerName: settings.serverName }),
      ...pem("caData", settings.cacert, "caFile", settings.cacertFile)
    },
    user: {
      name: "connection",
      ...pem("certData", settings.cert, "certFile", settings.certFile),
      ...pem("keyData", Redacted.value(settings.key), "keyFile", settings.keyFile),
      ...(settings.username === ""
        ? {}
        : { username: settings.username, password: Redacted.value(settings.password) }),
      ...(settings.bearerTokenFile !== ""
        ? { authProvider: tokenFileProvider(settings.bearerTokenFile) }
        : token !== ""
        ? { token }
        : {})
    }
  })
}
