/**
 * Who asks: by client certificate, else by bearer token, as `pkg/kubeapiserver/authenticator` of Kubernetes tries them,
 * and then perhaps as somebody else (`Impersonation.ts`).
 *
 * As with `--anonymous-auth` limited to them, health and version are told to anybody, and nothing else.
 */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { type TLSSocket } from "node:tls"
import { type User } from "../api/Http.ts"
import { type ApiError, unauthorized } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { superusers } from "./Authorization.ts"
import { impersonate } from "./Impersonation.ts"
import { isEqual, type Tokens } from "./Tokens.ts"

/** By their names in lower case, each with all its values: `IncomingMessage.headersDistinct`. */
export type Headers = Readonly<Record<string, ReadonlyArray<string> | undefined>>

export interface Credentials {
  readonly headers: Headers
  /** The user of a certificate; "untrusted" for one that is not of the cluster's authority, or has expired. */
  readonly certificate: User | "untrusted" | undefined
  /** Of the URL, without its query. */
  readonly path: string
}

const textsOf = (value: unknown): ReadonlyArray<string> =>
  (Array.isArray(value) ? value : [value]).filter((text): text is string => typeof text === "string" && text !== "")

/** What the client's certificate says: the common name is the user, the organisations are its groups. */
export const clientCertificate = (socket: TLSSocket): Credentials["certificate"] => {
  // Of a connection without a certificate this is an empty object, whatever its type says.
  const { fingerprint256, subject } = socket.getPeerCertificate()
  if (subject === undefined) return undefined
  const [name] = textsOf(subject.CN)
  if (!socket.authorized || name === undefined) return "untrusted"
  const id = `X509SHA256=${fingerprint256.replaceAll(":", "").toLowerCase()}`
  return { name, groups: textsOf(subject.O), extra: { "authentication.kubernetes.io/credential-id": [id] } }
}

/** Told to anybody. */
export const publicPaths = ["/healthz", "/livez", "/readyz", "/version", "/version/"]

const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] }
const admin: User = { name: "kubernetes-admin", groups: [superusers] }

const authenticated = (user: User): User => ({ ...user, groups: [...user.groups, "system:authenticated"] })

/**
 * The user of each request. 401 for credentials that are not good, and for none; 403 for whoever may not impersonate.
 * `token` is the admin's.
 */
export const makeAuthentication = (options: {
  readonly store: Store
  readonly tokens: Tokens
  readonly token: string
}): (credentials: Credentials) => Effect.Effect<User, ApiError> => {
  const { store, token, tokens } = options
  return Effect.fnUntraced(function*({ certificate, headers, path }) {
    const bearer = /^bearer +(\S+)/i.exec(headers.authorization?.[0]?.trim() ?? "")?.[1]
    const byToken = bearer === undefined
      ? undefined
      : isEqual(Buffer.from(bearer), Buffer.from(token))
      ? admin
      : yield* tokens.verify(bearer)
    const user = typeof certificate === "object" ? certificate : byToken
    if (user !== undefined) return yield* impersonate(store, authenticated(user), headers)
    const isAnybody = certificate === undefined && bearer === undefined && publicPaths.includes(path)
    return isAnybody ? anonymous : yield* unauthorized
  })
}
