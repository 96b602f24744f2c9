import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Stream } from "effect"
import { Cluster } from "kuberun"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import { WebSocketServer } from "ws"
import { layer } from "../src/index.ts"
import { makeCertificate } from "./Certificate.ts"

const ref = { namespace: "n", name: "p" }

/** An https server that asks for a client's certificate, and tells whose it was as the pod's name. */
const served = (certificate: string, key: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: Effect.Effect<void> }>((resume) => {
      const server = createServer({ cert: certificate, key, requestCert: true, rejectUnauthorized: false })
      const peer = (socket: TLSSocket) => String(socket.getPeerCertificate().subject?.CN)
      server.on("request", (request, response) => {
        response.end(JSON.stringify({ metadata: { namespace: "n", name: peer(request.socket as TLSSocket) } }))
      })
      const webSockets = new WebSocketServer({ noServer: true, handleProtocols: () => "v5.channel.k8s.io" })
      server.on("upgrade", (request, socket, head) =>
        webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          webSocket.send(Buffer.concat([Buffer.of(1), Buffer.from(peer(request.socket as TLSSocket))]))
          webSocket.send(Buffer.concat([Buffer.of(3), Buffer.from("{\"status\":\"Success\"}")]))
          webSocket.close(1000)
        }))
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = Effect.callback<void>((done) => {
          server.closeAllConnections()
          server.close(() => done(Effect.void))
        })
        resume(Effect.succeed({ port, close }))
      })
    }),
    (server) => server.close
  )

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
})
