/**
 * The messages of the authentication protocol (RFC 4252) that a server gets and sends. Pure.
 */
import { Redacted } from "effect"
import { hasRawBytes } from "kuberun"
import { MessageNumber } from "./Messages.ts"
import { string, WireReader } from "./WireReader.ts"

export type UserAuthMethod =
  | { readonly _tag: "None" }
  | { readonly _tag: "Password"; readonly password: Redacted.Redacted<string>; readonly change: boolean }
  | {
    readonly _tag: "PublicKey"
    readonly algorithm: string
    readonly key: Buffer
    /** The signature and the part of the message that it covers; none asks whether the key would do. */
    readonly proof: { readonly signature: Buffer; readonly covered: Buffer } | undefined
  }
  /** Any method that is not known here. */
  | { readonly _tag: "Other" }

export interface UserAuthRequest {
  readonly username: string
  readonly service: string
  readonly method: UserAuthMethod
}

/**
 * Decodes SSH_MSG_USERAUTH_REQUEST; `undefined` when it is cut short, or the user's name is no UTF-8 (RFC 4252 §5): two
 * such names must not become one.
 */
export const decode = (payload: Uint8Array): UserAuthRequest | undefined => {
  const reader = new WireReader(payload, 1)
  const username = reader.byteText()
  const service = reader.text()
  const method = decodeMethod(reader.text(), reader)
  return reader.ok && !hasRawBytes(username) ? { username, service, method } : undefined
}

const decodeMethod = (name: string, reader: WireReader): UserAuthMethod => {
  switch (name) {
    case "none":
      return { _tag: "None" }
    case "password": {
      const change = reader.boolean()
      return { _tag: "Password", change, password: Redacted.make(reader.text()) }
    }
    case "publickey": {
      const signed = reader.boolean()
      const algorithm = reader.text()
      const key = reader.string()
      if (!signed) return { _tag: "PublicKey", algorithm, key, proof: undefined }
      const covered = reader.bytes.subarray(0, reader.position)
      return { _tag: "PublicKey", algorithm, key, proof: { signature: reader.string(), covered } }
    }
    default:
      return { _tag: "Other" }
  }
}

export const success: Buffer = Buffer.of(MessageNumber.userauthSuccess)

/** `methods` can be tried next. */
export const failure = (methods: ReadonlyArray<string>): Buffer =>
  Buffer.concat([Buffer.of(MessageNumber.userauthFailure), string(methods.join(",")), Buffer.of(0)])

/** This key would do (RFC 4252 §7); names algorithm and key as the request did. */
export const publicKeyOk = (algorithm: string, key: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(MessageNumber.userauthPkOk), string(algorithm), string(key)])
