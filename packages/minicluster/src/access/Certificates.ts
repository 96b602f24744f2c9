/**
 * The cluster's own certificate authority, made anew at every start, with the API server's certificate and its clients'.
 *
 * ECDSA P-256, because a key takes a millisecond where RSA takes a second.
 */
// The polyfill must be there before the library is: its decorators look for it while loading.
import "reflect-metadata"
import * as x509 from "@peculiar/x509"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { randomBytes, webcrypto } from "node:crypto"
import { isIP } from "node:net"

/** PEM texts: a certificate, and its key as PKCS #8. */
export interface KeyPair {
  readonly certificate: string
  readonly privateKey: string
}

/** What the server presents, what both sides trust, and what makes a user known. */
export interface Certificates extends KeyPair {
  readonly authority: string
  /** Good for a year: the user is its common name, the groups are its organisations. */
  readonly issueClient: (user: string, groups: ReadonlyArray<string>) => Effect.Effect<KeyPair>
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const day = 86_400_000
/** Long enough for a machine that is left on, short enough that a lost key means nothing. */
const validity = 365 * day
/** A client whose clock is a little behind ours must not find the certificate "not yet valid". */
const clockSkew = day

/**
 * Makes both for a server that is reached as `host`, as `localhost` or by the names that a pod uses for it.
 * Dies when the runtime's own crypto refuses, which no caller can mend.
 */
export const makeCertificates = (host: string): Effect.Effect<Certificates> =>
  Effect.promise(async () => {
    x509.cryptoProvider.set(webcrypto)
    const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
    const [authorityKeys, serverKeys] = await Promise.all([newKeys(), newKeys()])
    const dates = () => ({ notBefore: new Date(Date.now() - clockSkew), notAfter: new Date(Date.now() + validity) })
    const authority = await x509.X509CertificateGenerator.createSelfSigned({
      name: "CN=minicluster-ca",
      serialNumber: "01",
      ...dates(),
      keys: authorityKeys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true)
      ]
    })
    const addresses = new Set(["127.0.0.1", "::1", ...(isIP(host) === 0 ? [] : [host])])
    const names = new Set(["localhost", "kubernetes", "kubernetes.default", ...(isIP(host) === 0 ? [host] : [])])
    const issue = async (
      keys: webcrypto.CryptoKeyPair,
      subject: ReadonlyArray<readonly [type: string, text: string]>,
      extensions: ReadonlyArray<x509.Extension>
    ): Promise<KeyPair> => {
      const certificate = await x509.X509CertificateGenerator.create({
        // As JSON and not as text, so that no letter of a name is taken for syntax.
        subject: new x509.Name(subject.map(([type, utf8String]) => ({ [type]: [{ utf8String }] }))),
        issuer: authority.subject,
        // A positive number with 120 random bits, so that no two are the same.
        serialNumber: `40${randomBytes(15).toString("hex")}`,
        ...dates(),
        publicKey: keys.publicKey,
        signingKey: authorityKeys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          ...extensions
        ]
      })
      const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64")
      return {
        certificate: certificate.toString("pem"),
        privateKey: `-----BEGIN PRIVATE KEY-----\n${key.replace(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`
      }
    }
    const server = await issue(serverKeys, [["CN", "minicluster"]], [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...Array.from(names, (value) => ({ type: "dns" as const, value })),
        ...Array.from(addresses, (value) => ({ type: "ip" as const, value }))
      ])
    ])
    return {
      ...server,
      authority: authority.toString("pem"),
      issueClient: (user, groups) =>
        Effect.promise(async () =>
          issue(await newKeys(), [...groups.map((group) => ["O", group] as const), ["CN", user]], [
            new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])
          ])
        )
    }
  })
