/**
 * The cluster's own certificate authority and the API server's certificate, made anew at every start.
 *
 * ECDSA P-256, because a key takes a millisecond where RSA takes a second.
 */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { webcrypto } from "node:crypto"
import { isIP } from "node:net"

/** PEM texts: what the server presents, and what a client needs to trust it. */
export interface Certificates {
  readonly authority: string
  readonly certificate: string
  readonly privateKey: string
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
    // The polyfill must be there before the library is: its own decorators look for it while loading.
    await import("reflect-metadata")
    const x509 = await import("@peculiar/x509")
    x509.cryptoProvider.set(webcrypto)
    const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
    const [authorityKeys, serverKeys] = await Promise.all([newKeys(), newKeys()])
    const notBefore = new Date(Date.now() - clockSkew)
    const notAfter = new Date(Date.now() + validity)
    const authority = await x509.X509CertificateGenerator.createSelfSigned({
      name: "CN=minicluster-ca",
      serialNumber: "01",
      notBefore,
      notAfter,
      keys: authorityKeys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true)
      ]
    })
    const addresses = new Set(["127.0.0.1", "::1", ...(isIP(host) === 0 ? [] : [host])])
    const names = new Set(["localhost", "kubernetes", "kubernetes.default", ...(isIP(host) === 0 ? [host] : [])])
    const certificate = await x509.X509CertificateGenerator.create({
      subject: "CN=minicluster",
      issuer: authority.subject,
      serialNumber: "02",
      notBefore,
      notAfter,
      publicKey: serverKeys.publicKey,
      signingKey: authorityKeys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          ...Array.from(names, (value) => ({ type: "dns" as const, value })),
          ...Array.from(addresses, (value) => ({ type: "ip" as const, value }))
        ])
      ]
    })
    const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", serverKeys.privateKey)).toString("base64")
    return {
      authority: authority.toString("pem"),
      certificate: certificate.toString("pem"),
      privateKey: `-----BEGIN PRIVATE KEY-----\n${key.replace(/(.{64})/g, "$1\n")}\n-----END PRIVATE KEY-----\n`
    }
  })
