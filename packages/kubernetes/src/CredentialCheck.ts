/**
 * Whether credentials can be used at all, before anybody waits for them. Pure. What they are is never quoted.
 */
import { X509Certificate } from "node:crypto"
import type { RequestOptions } from "node:https"
import { createSecureContext } from "node:tls"
import { isRecord, messageOf } from "./ApiFault.ts"

/** Why a file with credentials could not be read, or whatever else was thrown, in words. */
export const readingFault = (error: unknown): string => {
  if (isRecord(error) && typeof error["path"] === "string") {
    if (error["code"] === "ENOENT") return `the file ${error["path"]} does not exist`
    if (error["code"] === "EACCES") return `the file ${error["path"]} may not be read (permission denied)`
  }
  return messageOf(error)
}

const succeeds = (attempt: () => unknown): boolean => {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}

type Credentials = Pick<RequestOptions, "ca" | "cert" | "key" | "passphrase" | "headers">

const isCertificate = (given: Credentials["ca"]): boolean =>
  [given].flat().every((pem) => pem === undefined || succeeds(() => new X509Certificate(pem)))

/** What is wrong, in words that name the keys of `connection` and of a kubeconfig; `undefined`: nothing. */
export const credentialFault = ({ ca, cert, headers, key, passphrase }: Credentials): string | undefined => {
  // TLS takes authorities that are none without a word, and trusts nobody then.
  if (!isCertificate(ca)) return "cacert, or certificate-authority, holds no certificate in PEM"
  if (!isCertificate(cert)) return "cert, or client-certificate, holds no certificate in PEM"
  if (!succeeds(() => createSecureContext({ key, passphrase }))) {
    return "key, or client-key, holds no private key in PEM"
  }
  if (!succeeds(() => createSecureContext({ cert, key, passphrase }))) {
    return "cert and key, or client-certificate and client-key, do not belong together"
  }
  const authorization = isRecord(headers) ? headers["Authorization"] : undefined
  return authorization === undefined || /^[\x20-\x7e]*$/u.test(String(authorization))
    ? undefined
    : "the token holds a line feed or another character that no header can carry"
}
