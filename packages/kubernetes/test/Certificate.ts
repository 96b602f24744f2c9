/**
 * A certificate for 127.0.0.1 that is its own authority, made for one test. Needs no OpenSSL.
 */
import { Effect } from "effect"
import { webcrypto } from "node:crypto"

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const hourMillis = 3_600_000

/** PEM texts. */
export const makeCertificate = (commonName: string) =>
  Effect.promise(async () => {
    // The library's decorators look for the polyfill while it loads.
    await import("reflect-metadata")
    const x509 = await import("@peculiar/x509")
    x509.cryptoProvider.set(webcrypto)
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${commonName}`,
      serialNumber: "01",
      notBefore: new Date(Date.now() - hourMillis),
      notAfter: new Date(Date.now() + hourMillis),
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.SubjectAlternativeNameExtension([{ type: "dns", value: commonName }])
      ]
    })
    const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)
    return { certificate: certificate.toString("pem"), key: x509.PemConverter.encode(key, "PRIVATE KEY") }
  })
