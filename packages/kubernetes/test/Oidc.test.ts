import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { Cluster } from "kuberun"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { layer } from "../src/index.ts"
import { makeCertificate } from "./Certificate.ts"
import { answer, make } from "./ScriptedServer.ts"

const ref = { namespace: "n", name: "p" }
const pod = { metadata: { ...ref, uid: "u" } }

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** An ID token with this name in it, good for so many seconds. */
const idToken = (name: string, seconds: number) =>
  `${part({ alg: "none" })}.${part({ name, exp: Math.floor(Date.now() / 1000) + seconds })}.s`

const nameIn = (authorization: string | undefined): unknown =>
  JSON.parse(Buffer.from((authorization ?? "").split(".")[1] ?? "", "base64url").toString()).name

/** A provider behind a certificate of its own; `token` answers its token endpoint. */
const provider = (token: (body: URLSearchParams) => { readonly code: number; readonly value: unknown }) =>
  Effect.gen(function*() {
    const own = yield* makeCertificate("localhost")
    const asked: Array<Record<string, string>> = []
    return yield* Effect.acquireRelease(
      Effect.callback<{ url: string; ca: string; asked: typeof asked; close: Effect.Effect<void> }>((resume) => {
        const server = createServer({ cert: own.certificate, key: own.key }, (request, response) => {
          let body = ""
          request.on("data", (piece: Buffer) => {
            body += piece.toString()
          })
          request.on("end", () => {
            const { port } = server.address() as AddressInfo
            if (request.url === "/realm/.well-known/openid-configuration") {
              return answer(response, 200, { token_endpoint: `https://localhost:${port}/token` })
            }
            const form = new URLSearchParams(body)
            asked.push(Object.fromEntries(form))
            const { code, value } = token(form)
            answer(response, code, value)
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          const close = Effect.callback<void>((done) => {
            server.closeAllConnections()
            server.close(() => done(Effect.void))
          })
          resume(Effect.succeed({ url: `https://localhost:${port}/realm/`, ca: own.certificate, asked, close }))
        })
      }),
      ({ close }) => close
    )
  })

const clusterWith = (port: number, config: object) =>
  Layer.build(layer({
    _tag: "Kubeconfig",
    text: Redacted.make(JSON.stringify({
      clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } }],
      users: [{ name: "u", user: { "auth-provider": { name: "oidc", config } } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x"
    }))
  })).pipe(Effect.map(Context.get(Cluster)))

const server = make({ rest: (_, response) => answer(response, 200, pod) })

describe("an OpenID provider's token", () => {
  it.live("is used as it is while it is good", () =>
    Effect.gen(function*() {
      const { port, requests } = yield* server
      const cluster = yield* clusterWith(port, { "id-token": idToken("fresh", 3600) })
      yield* cluster.readPod(ref)
      assert.strictEqual(nameIn(requests[0]?.headers.authorization), "fresh")
    }))

  it.live("is renewed once when it has expired, with the client's secret and the newest refresh token", () =>
    Effect.gen(function*() {
      let count = 0
      const idp = yield* provider(() => {
        count += 1
        const value = { id_token: idToken(`new-${count}`, count === 1 ? 5 : 3600), refresh_token: `refresh-${count}` }
        return { code: 200, value }
      })
      const { port, requests } = yield* server
      const cluster = yield* clusterWith(port, {
        "id-token": idToken("old", -1),
        "refresh-token": "refresh-0",
        "idp-issuer-url": idp.url,
        "idp-certificate-authority-data": Buffer.from(idp.ca).toString("base64"),
        "client-id": "kube",
        "client-secret": "s3cret"
      })
      yield* Effect.repeat(cluster.readPod(ref), { times: 2 })
      assert.deepStrictEqual(requests.map(({ headers }) => nameIn(headers.authorization)), ["new-1", "new-2", "new-2"])
      const grant = { grant_type: "refresh_token", client_id: "kube", client_secret: "s3cret" }
      assert.deepStrictEqual(idp.asked, [
        { ...grant, refresh_token: "refresh-0" },
        { ...grant, refresh_token: "refresh-1" }
      ])
    }))

  it.live("that cannot be renewed is told in the provider's words, and nobody is asked in its place", () =>
    Effect.gen(function*() {
      const idp = yield* provider(() => ({ code: 400, value: { error: "invalid_grant" } }))
      const { port, requests } = yield* server
      const expired = { "id-token": idToken("old", -1) }
      const renewable = {
        ...expired,
        "refresh-token": "top-secret",
        "idp-issuer-url": idp.url,
        "client-id": "kube"
      }
      const ca = { "idp-certificate-authority-data": Buffer.from(idp.ca).toString("base64") }
      const attempts: ReadonlyArray<readonly [object, string]> = [
        [expired, "has expired"],
        [{ ...renewable, ...ca }, "invalid_grant"],
        [renewable, "certificate"]
      ]
      for (const [config, words] of attempts) {
        const error = yield* Effect.flip((yield* clusterWith(port, config)).readPod(ref))
        assert.strictEqual(error.reason._tag, "Misconfigured")
        assert.include(error.message, words)
        assert.notInclude(error.message, "top-secret")
      }
      assert.strictEqual(requests.length, 0)
    }))
})
