/**
 * Who may log in: the holders of authorized keys, and whoever knows the password. Any user name will do; the name goes
 * into the pod's labels and the log.
 */
import { type Context, Effect, Layer, Redacted } from "effect"
import {
  accepted,
  type AuthenticationMethod,
  type AuthenticationRequest,
  type AuthenticationResponse,
  Authenticator,
  rejected
} from "kuberun"
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import type { AuthorizedKey } from "./AuthorizedKeys.ts"

/** What lets someone in. A method without anything behind it is not offered. */
export interface Credentials {
  readonly keys: ReadonlyArray<AuthorizedKey>
  readonly password?: Redacted.Redacted<string> | undefined
}

/** Length of a digest's key: that of SHA-256's output, as RFC 2104 §3 advises. */
const saltBytes = 32

/**
 * Compares texts in a time that tells nothing of where they differ, nor of their lengths: digests under a key of this
 * process are compared, never the texts. UTF-16, JavaScript's own, so that no two texts are made alike.
 */
const makeSecretEquality = (): (one: string, other: string) => boolean => {
  const salt = randomBytes(saltBytes)
  const digest = (text: string) => createHmac("sha256", salt).update(text, "utf16le").digest()
  return (one, other) => timingSafeEqual(digest(one), digest(other))
}

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && timingSafeEqual(one, other)

/** The answer to one try to log in. A question about a key and a login by it get the same answer (RFC 4252 §7). */
export const makeAuthenticate = (
  { keys, password }: Credentials
): (request: AuthenticationRequest) => AuthenticationResponse => {
  const equal = makeSecretEquality()
  return (request) => {
    switch (request._tag) {
      case "None":
        return rejected
      case "Password":
        return password !== undefined && equal(Redacted.value(request.password), Redacted.value(password))
          ? accepted
          : rejected
      case "PublicKey":
        return keys.some((key) => sameBytes(key.blob, request.key)) ? accepted : rejected
    }
  }
}

/** The methods that have something behind them. */
export const offeredMethods = ({ keys, password }: Credentials): ReadonlyArray<AuthenticationMethod> => [
  ...keys.length > 0 ? ["publickey" as const] : [],
  ...password === undefined ? [] : ["password" as const]
]

/** A key's fingerprint as `ssh-keygen -l` prints it. */
export const fingerprint = (key: Uint8Array): string =>
  `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`

/** What the log says of a try, or undefined for a mere question: which methods there are, whether a key would do. */
const tried = (request: AuthenticationRequest): string | undefined => {
  switch (request._tag) {
    case "None":
      return undefined
    case "Password":
      return "password"
    case "PublicKey":
      return request.signed ? `key ${fingerprint(request.key)}` : undefined
  }
}

const logTry = (request: AuthenticationRequest, response: AuthenticationResponse): Effect.Effect<void> => {
  const what = tried(request)
  return what === undefined
    ? Effect.void
    : Effect.logInfo(
      `${what} ${response._tag === "Accepted" ? "accepted" : "refused"} from ${request.remoteAddress}`
    ).pipe(Effect.annotateLogs({ connectionId: request.connectionId, user: request.username }))
}

export const make = (credentials: Credentials): Context.Service.Shape<typeof Authenticator> => {
  const authenticate = makeAuthenticate(credentials)
  return {
    methods: offeredMethods(credentials),
    authenticate: (request) =>
      Effect.suspend(() => {
        const response = authenticate(request)
        return Effect.as(logTry(request, response), response)
      })
  }
}

/** The service that the SSH server asks. */
export const layer = (credentials: Credentials): Layer.Layer<Authenticator> =>
  Layer.sync(Authenticator, () => make(credentials))
