/**
 * The authentication protocol of one connection (RFC 4252), between the client's messages and the `Authenticator`.
 *
 * Requests are answered one after the other in the order in which they came; ssh2 takes waiting ones last first,
 * cuts clients that try a method it does not know, and counts no tries (T9).
 */
import { Effect } from "effect"
import type { AuthenticationRequest, Authenticator, AuthMetadata } from "kuberun"
import { DisconnectReason } from "./Messages.ts"
import * as PublicKey from "./PublicKey.ts"
import * as UserAuthMessages from "./UserAuthMessages.ts"

/** How many requests may wait for their answer; RFC 4252 lets clients send several at once, hardly any does. */
export const maximumPipelined = 16

export interface UserAuthLink {
  readonly send: (message: Uint8Array) => void
  readonly disconnect: (reason: number, text: string) => void
  readonly sessionId: () => Uint8Array
  /** Called right before the success is sent: what comes next belongs to the connection protocol. */
  readonly onAuthenticated: () => void
}

type Decision =
  | { readonly _tag: "Accepted"; readonly metadata: AuthMetadata }
  | { readonly _tag: "KeyWouldDo" }
  | { readonly _tag: "Rejected" }

const rejected: Decision = { _tag: "Rejected" }

/** Who has logged in. */
export interface Login {
  readonly username: string
  readonly metadata: AuthMetadata
}

/** Completes after the success was sent; never completes for a client that is cut. */
export const login = (options: {
  /** The next SSH_MSG_USERAUTH_REQUEST. */
  readonly take: Effect.Effect<Uint8Array>
  readonly authenticator: Authenticator["Service"]
  readonly connection: {
    readonly connectionId: string
    readonly remoteAddress: string
    readonly remotePort: number
  }
  readonly maxAuthTries: number
  readonly link: UserAuthLink
}): Effect.Effect<Login> => {
  const { authenticator, connection, link } = options
  const cut = (reason: number, text: string) => {
    link.disconnect(reason, text)
    return Effect.never
  }

  const ask = (request: AuthenticationRequest): Effect.Effect<Decision> =>
    authenticator.authenticate(request).pipe(
      Effect.flatMap((response): Effect.Effect<Decision> => {
        switch (response._tag) {
          case "Accepted":
            return Effect.succeed({ _tag: "Accepted", metadata: response.metadata ?? {} })
          case "Rejected":
            return Effect.succeed(rejected)
          case "Unavailable":
            return Effect.as(Effect.logWarning(`authentication is unavailable: ${response.detail}`), rejected)
        }
      }),
      Effect.catchDefect((defect) =>
        Effect.as(Effect.logError(`the authenticator crashed, login refused: ${describe(defect)}`), rejected)
      )
    )

  const decide = (request: UserAuthMessages.UserAuthRequest): Effect.Effect<Decision> => {
    const identity = { ...connection, username: request.username }
    const method = request.method
    switch (method._tag) {
      case "None":
        return ask({ ...identity, _tag: "None" })
      case "Password":
        // A request to change the password (RFC 4252 §8) is refused: there is nothing that could change it.
        if (method.change || !authenticator.methods.includes("password")) return Effect.succeed(rejected)
        return ask({ ...identity, _tag: "Password", password: method.password })
      case "PublicKey": {
        const { algorithm, key, proof } = method
        if (!authenticator.methods.includes("publickey") || !PublicKey.isAcceptable(algorithm, key)) {
          return Effect.succeed(rejected)
        }
        const question = { ...identity, _tag: "PublicKey", algorithm, key } as const
        if (proof === undefined) {
          return Effect.map(
            ask({ ...question, signed: false }),
            (decision): Decision => decision._tag === "Accepted" ? { _tag: "KeyWouldDo" } : rejected
          )
        }
        // ssh2 verifies nothing: a login without this line is anyone's.
        const data = PublicKey.signedData(link.sessionId(), proof.covered)
        if (!PublicKey.isSignedBy({ algorithm, key, data, signature: proof.signature })) {
          return Effect.succeed(rejected)
        }
        return ask({ ...question, signed: true })
      }
      case "Other":
        return Effect.succeed(rejected)
    }
  }

  return Effect.gen(function*() {
    let identity: { readonly username: string; readonly service: string } | undefined
    let failures = 0
    let askedMethods = false
    while (true) {
      const request = UserAuthMessages.decode(yield* options.take)
      if (request === undefined) return yield* cut(DisconnectReason.protocolError, "malformed authentication request")
      if (request.service !== "ssh-connection") {
        return yield* cut(DisconnectReason.serviceNotAvailable, `there is no service ${request.service}`)
      }
      identity ??= request
      if (request.username !== identity.username) {
        return yield* cut(DisconnectReason.protocolError, "the username may not change within a connection")
      }
      const decision = yield* decide(request)
      if (decision._tag === "Accepted") {
        link.onAuthenticated()
        link.send(UserAuthMessages.success)
        return { username: request.username, metadata: decision.metadata }
      }
      if (decision._tag === "KeyWouldDo" && request.method._tag === "PublicKey") {
        link.send(UserAuthMessages.publicKeyOk(request.method.algorithm, request.method.key))
        continue
      }
      // The first "none" only asks which methods there are, and every client begins with it.
      if (request.method._tag !== "None" || askedMethods) failures += 1
      askedMethods ||= request.method._tag === "None"
      if (failures >= options.maxAuthTries) {
        return yield* cut(DisconnectReason.noMoreAuthMethodsAvailable, "Too many authentication failures")
      }
      link.send(UserAuthMessages.failure(authenticator.methods))
    }
  })
}

const describe = (defect: unknown): string => defect instanceof Error ? defect.message : String(defect)
