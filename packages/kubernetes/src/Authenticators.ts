/**
 * The ways of saying who asks that client-node does not have, or does not have well, made known to it: a token's file, a
 * credential plugin, an OpenID provider. Users are rewritten so that its own are not taken.
 */
import type { Cluster, KubeConfig, User } from "@kubernetes/client-node"
import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { isRecord } from "./ApiFault.ts"
import { TOKEN_FILE, tokenFileProvider } from "./ConnectionSource.ts"
import * as CredentialPlugin from "./CredentialPlugin.ts"
import * as OidcToken from "./OidcToken.ts"

type Authenticator = Parameters<KubeConfig["addAuthenticator"]>[0]
type Options = Parameters<Authenticator["applyAuthentication"]>[1]

/** What `Authenticators` add to a configuration. */
export interface Authenticators {
  /** Aborts what is being asked when the one who waits for it has gone. */
  readonly during: <A>(signal: AbortSignal, work: () => Promise<A>) => Promise<A>
  /** Forgets credentials that the API server has refused, where others can be asked for. */
  readonly forget: () => void
}

type Config = Readonly<Record<string, unknown>>

const configOf = (user: User, name: string): Config | undefined =>
  isRecord(user.authProvider) && user.authProvider["name"] === name && isRecord(user.authProvider["config"])
    ? user.authProvider["config"]
    : undefined

/** Whether the credentials are files and texts: to read those once more costs nothing and asks nobody. */
export const isAtHand = (user: User | null): boolean =>
  user === null || !isRecord(user.authProvider) || configOf(user, TOKEN_FILE) !== undefined

/**
 * The user under names that client-node's own authenticators do not know: its plugin or provider, or the service
 * account's token, whose file client-node reads at most once a minute. Inline certificates win over files, as in client-go.
 */
export const rewritten = (given: User, directory: string): User => {
  const user: User = {
    ...given,
    ...(given.certData ? { certFile: "" } : {}),
    ...(given.keyData ? { keyFile: "" } : {})
  }
  if (isRecord(user.exec)) {
    const { exec, ...others } = user
    return { ...others, authProvider: { name: CredentialPlugin.PLUGIN, config: { plugin: exec, directory } } }
  }
  const account = configOf(user, "tokenFile")
  if (account !== undefined) return { ...user, authProvider: tokenFileProvider(String(account["tokenFile"])) }
  const oidc = configOf(user, "oidc")
  return oidc === undefined ? user : { ...user, authProvider: { name: OidcToken.OIDC, config: { oidc, directory } } }
}

const setToken = (options: Options, token: string): void => {
  options.headers = { ...(isRecord(options.headers) ? options.headers : {}), Authorization: `Bearer ${token}` }
}

/** Trims, because a file that was written by a person ends with a line feed, which no header may hold. */
const readToken = async (path: string): Promise<string> => {
  const token = (await readFile(path, "utf8")).trim()
  if (token === "") throw new Error(`the token's file ${path} is empty`)
  return token
}

const caDataOf = (cluster: Cluster | null): string | undefined => {
  if (cluster?.caFile) return readFileSync(cluster.caFile).toString("base64")
  return cluster?.caData || undefined
}

/** Adds them to the configuration. Credentials that were asked for are kept until they expire or are forgotten. */
export const add = (config: KubeConfig): Authenticators => {
  let signal = new AbortController().signal
  let credential: CredentialPlugin.Credential | undefined
  let tokens: OidcToken.Tokens | undefined

  const authenticator = (
    name: string,
    apply: (config: Config, options: Options) => Promise<void>
  ): Authenticator => ({
    isAuthProvider: (user) => configOf(user, name) !== undefined,
    applyAuthentication: (user, options) => apply(configOf(user, name) ?? {}, options)
  })

  config.addAuthenticator(authenticator(TOKEN_FILE, async ({ path }, options) => {
    setToken(options, await readToken(String(path)))
  }))

  config.addAuthenticator(authenticator(CredentialPlugin.PLUGIN, async ({ directory, plugin }, options) => {
    const exec = isRecord(plugin) ? plugin : {}
    const { expires } = credential ?? {}
    if (expires !== undefined && expires - CredentialPlugin.EXPIRY_MARGIN_MILLIS <= Date.now()) credential = undefined
    if (credential === undefined) {
      const cluster = config.getCurrentCluster()
      const info = CredentialPlugin.execInfo(exec, cluster, caDataOf(cluster))
      credential = await CredentialPlugin.run(exec, String(directory), info, signal)
    }
    const { cert, key, token } = credential
    if (cert !== undefined && key !== undefined) Object.assign(options, { cert, key })
    if (token !== undefined) setToken(options, token)
  }))

  config.addAuthenticator(authenticator(OidcToken.OIDC, async ({ directory, oidc }, options) => {
    tokens ??= OidcToken.tokensOf(oidc)
    if (!OidcToken.isFresh(tokens.idToken, Date.now())) {
      tokens = await OidcToken.renew(oidc, String(directory), tokens, signal)
    }
    setToken(options, tokens.idToken)
  }))

  return {
    during: (given, work) => {
      signal = given
      return work()
    },
    forget: () => {
      credential = undefined
    }
  }
}
