/**
 * ID tokens of an OpenID provider (`users[].user.auth-provider` with the name `oidc`), renewed by their refresh token
 * (OpenID Connect Core §12, Discovery §4, as client-go's `plugin/pkg/client/auth/oidc`).
 *
 * Not client-node's: that leaves the client's secret out, takes "expires in" for a time of day and so renews for every
 * call after the first renewal, and asks as nobody when it cannot renew. New tokens are kept in memory only: the
 * kubeconfig is not written.
 */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Agent, request } from "undici"
import { isRecord, parseJson } from "./ApiFault.ts"
import { EXPIRY_MARGIN_MILLIS } from "./CredentialPlugin.ts"

/** Marks a user whose token comes from an OpenID provider; the name in its authentication provider. */
export const OIDC = "kuberun-oidc"

/** What is known now. */
export interface Tokens {
  readonly idToken: string
  readonly refreshToken: string
}

const field = (value: unknown, name: string): string =>
  isRecord(value) && typeof value[name] === "string" ? value[name] : ""

/** The tokens that the kubeconfig holds. */
export const tokensOf = (config: unknown): Tokens => ({
  idToken: field(config, "id-token"),
  refreshToken: field(config, "refresh-token")
})

/** When an ID token runs out (its `exp`), in Unix milliseconds; 0 for what is no token. */
export const expiryOf = (idToken: string): number => {
  const payload = parseJson(Buffer.from(idToken.split(".")[1] ?? "", "base64url").toString("utf8"))
  const exp = isRecord(payload) ? payload["exp"] : undefined
  return typeof exp === "number" ? exp * 1000 : 0
}

export const isFresh = (idToken: string, nowMillis: number): boolean =>
  expiryOf(idToken) - EXPIRY_MARGIN_MILLIS > nowMillis

/** The authorities that the provider's certificate is checked against, or nothing for the system's. */
const authority = (config: unknown, directory: string): string | undefined => {
  const data = field(config, "idp-certificate-authority-data")
  if (data !== "") return Buffer.from(data, "base64").toString("utf8")
  const path = field(config, "idp-certificate-authority")
  return path === "" ? undefined : readFileSync(resolve(directory, path), "utf8")
}

/** Asks the provider for new tokens. Its own words are told when it refuses, never a token. */
export const renew = async (
  config: unknown,
  directory: string,
  { refreshToken }: Tokens,
  signal: AbortSignal
): Promise<Tokens> => {
  const issuer = field(config, "idp-issuer-url").replace(/\/+$/u, "")
  const clientId = field(config, "client-id")
  if (refreshToken === "" || issuer === "" || clientId === "") {
    throw new Error(
      "the OpenID token has expired, and without refresh-token, idp-issuer-url and client-id it cannot be renewed; log in again"
    )
  }
  const ca = authority(config, directory)
  const dispatcher = new Agent(ca === undefined ? {} : { connect: { ca } })
  try {
    const ask = async (url: string, body?: URLSearchParams) => {
      const answer = await request(url, {
        dispatcher,
        signal,
        ...(body === undefined ? {} : {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: body.toString()
        })
      })
      return { code: answer.statusCode, value: parseJson(await answer.body.text()) }
    }
    const discovered = await ask(`${issuer}/.well-known/openid-configuration`)
    const endpoint = field(discovered.value, "token_endpoint")
    if (endpoint === "") {
      throw new Error(`the OpenID provider ${issuer} names no token_endpoint (HTTP ${discovered.code})`)
    }
    const secret = field(config, "client-secret")
    const answer = await ask(
      endpoint,
      new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: refreshToken,
        client_id: clientId,
        ...(secret === "" ? {} : { client_secret: secret })
      })
    )
    const idToken = field(answer.value, "id_token")
    if (answer.code !== 200 || idToken === "") {
      const said = field(answer.value, "error_description") || field(answer.value, "error") || "it sent no id_token"
      throw new Error(`the OpenID provider ${issuer} did not renew the token (HTTP ${answer.code}): ${said}`)
    }
    return { idToken, refreshToken: field(answer.value, "refresh_token") || refreshToken }
  } finally {
    await dispatcher.close().catch(() => undefined)
  }
}
