import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Stream } from "effect"
import { Cluster } from "kuberun"
import { layer } from "../src/index.ts"
import { makeCertificate } from "./Certificate.ts"
import { served } from "./TlsServer.ts"

const ref = { namespace: "n", name: "p" }

const cluster = (port: number, changes: { readonly cluster?: object; readonly user?: object }) =>
  Layer.build(layer({
    _tag: "Kubeconfig",
    text: Redacted.make(JSON.stringify({
      clusters: [{ name: "c", cluster: { server: `https://127.0.0.1:${port}`, ...changes.cluster } }],
      users: [{ name: "u", user: { ...changes.user } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x"
    }))
  })).pipe(Effect.map(Context.get(Cluster)))

const base64 = (text: string) => Buffer.from(text).toString("base64")

describe("TLS", () => {
  it.live("trusts the kubeconfig's authority under the kubeconfig's name, and shows the client's certificate", () =>
    Effect.gen(function*() {
      const own = yield* makeCertificate("api.test")
      const client = yield* makeCertificate("client-one")
      const { port } = yield* served(own.certificate, own.key)
      const port1 = yield* cluster(port, {
        cluster: { "certificate-authority-data": base64(own.certificate), "tls-server-name": "api.test" },
        user: { "client-certificate-data": base64(client.certificate), "client-key-data": base64(client.key) }
      })
      assert.strictEqual((yield* port1.readPod(ref)).metadata.name, "client-one")
      const process = yield* port1.exec({ pod: ref, container: "c", command: ["x"] })
      const output = yield* Stream.runCollect(process.output)
      assert.strictEqual(Buffer.concat(output.map((each) => each.bytes)).toString(), "client-one")
      assert.deepStrictEqual(yield* process.exit, { _tag: "Exited", code: 0 })
    }))

  it.live("refuses an unknown authority and a wrong name, for requests and for execs", () =>
    Effect.gen(function*() {
      const own = yield* makeCertificate("api.test")
      const { port } = yield* served(own.certificate, own.key)
      const attempts = [
        {},
        { cluster: { "certificate-authority-data": base64(own.certificate), "tls-server-name": "other.test" } }
      ]
      for (const attempt of attempts) {
        const refused = yield* cluster(port, attempt)
        const call = yield* Effect.flip(refused.readPod(ref))
        const exec = yield* Effect.flip(refused.exec({ pod: ref, container: "c", command: ["x"] }))
        for (const error of [call, exec]) {
          assert.strictEqual(error.reason._tag, "Unreachable")
          assert.include(error.message, "certificate")
        }
      }
    }))

  it.live("skips the check where the kubeconfig says so", () =>
    Effect.gen(function*() {
      const own = yield* makeCertificate("api.test")
      const { port } = yield* served(own.certificate, own.key)
      const lax = yield* cluster(port, { cluster: { "insecure-skip-tls-verify": true } })
      assert.strictEqual((yield* lax.readPod(ref)).metadata.name, "undefined")
      yield* lax.exec({ pod: ref, container: "c", command: ["x"] })
    }))

  it.live("shows the client certificate that a credential plugin prints, for requests and for execs", () =>
    Effect.gen(function*() {
      const own = yield* makeCertificate("api.test")
      const client = yield* makeCertificate("client-two")
      const { port } = yield* served(own.certificate, own.key)
      const status = { clientCertificateData: client.certificate, clientKeyData: client.key }
      const script = `console.log(${JSON.stringify(JSON.stringify({ status }))})`
      const exec = {
        apiVersion: "client.authentication.k8s.io/v1",
        command: process.execPath,
        args: ["-e", script]
      }
      const cluster1 = yield* cluster(port, { cluster: { "insecure-skip-tls-verify": true }, user: { exec } })
      assert.strictEqual((yield* cluster1.readPod(ref)).metadata.name, "client-two")
      const program = yield* cluster1.exec({ pod: ref, container: "c", command: ["x"] })
      const output = yield* Stream.runCollect(program.output)
      assert.strictEqual(Buffer.concat(output.map((each) => each.bytes)).toString(), "client-two")
    }))
})
