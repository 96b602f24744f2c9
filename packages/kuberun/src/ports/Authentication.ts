/**
 * The port to authentication (RFC 4252). This library itself authenticates nobody: like kuberun v0.9.3 its own answer
 * is always `Unavailable`. The service brings authenticators of its own.
 */
import { Context, type Effect, type Redacted } from "effect"

/** One try to log in. Public keys arrive in SSH wire format; a signature was verified before this is asked. */
export type AuthenticationRequest =
  & {
    readonly connectionId: string
    readonly username: string
    readonly remoteAddress: string
    readonly remotePort: number
  }
  & (
    | { readonly _tag: "None" }
    | { readonly _tag: "Password"; readonly password: Redacted.Redacted<string> }
    | {
      readonly _tag: "PublicKey"
      readonly algorithm: string
      readonly key: Uint8Array
      /** False for the question whether this key would do (RFC 4252 §7), true for a login proved by signature. */
      readonly signed: boolean
    }
  )

/** The authentication methods that are offered, by their RFC 4252 names. */
export type AuthenticationMethod = "publickey" | "password"

/** What is known of a user beside the name, by name: `{ team: "blue" }`. */
export type AuthMetadata = Readonly<Record<string, string>>

/** `Unavailable` ends like `Rejected` for the client; `detail` is for the log. */
export type AuthenticationResponse =
  | { readonly _tag: "Accepted"; readonly metadata?: AuthMetadata | undefined }
  | { readonly _tag: "Rejected" }
  | { readonly _tag: "Unavailable"; readonly detail: string }

export const accepted: AuthenticationResponse = { _tag: "Accepted" }
export const rejected: AuthenticationResponse = { _tag: "Rejected" }

/** The answer of kuberun v0.9.3, word for word. */
export const unavailable: AuthenticationResponse = {
  _tag: "Unavailable",
  detail: "the backend handler does not support authentication"
}

/** Decides who may log in. */
export class Authenticator extends Context.Service<Authenticator, {
  readonly methods: ReadonlyArray<AuthenticationMethod>
  readonly authenticate: (request: AuthenticationRequest) => Effect.Effect<AuthenticationResponse>
}>()("kuberun/Authenticator") {}
