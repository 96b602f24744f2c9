import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { ConnectionConfig } from "kuberun"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connectionConfigFromKubeconfig, createConnectionConfig } from "../src/index.ts"
import { makeCertificate } from "./Certificate.ts"
import { settings } from "./Settings.ts"

const base64 = (text: string) => Buffer.from(text).toString("base64")

const kubeconfig = (cluster: object, user: object) =>
  JSON.stringify({
    clusters: [{ name: "c", cluster: { server: "https://one.test:6443/prefix", ...cluster } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }, { name: "none", context: { cluster: "c" } }],
    "current-context": "x"
  })

const from = (cluster: object, user: object, context?: string) =>
  connectionConfigFromKubeconfig({ _tag: "Kubeconfig", text: Redacted.make(kubeconfig(cluster, user)), context })

const encoded = (config: ConnectionConfig) => {
  const { bearerToken, key, password, ...rest } = config
  return {
    ...rest,
    bearerToken: Redacted.value(bearerToken),
    key: Redacted.value(key),
    password: Redacted.value(password)
  }
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const defaults = encoded(Schema.decodeUnknownSync(ConnectionConfig)({}))

describe("a kubeconfig as a ConnectionConfig", () => {
  const table: ReadonlyArray<readonly [string, object, object, object]> = [
    ["inline certificates and a token", {
      "certificate-authority-data": base64("CA"),
      "certificate-authority": "/ca",
      "tls-server-name": "api.test"
    }, {
      "client-certificate-data": base64("CERT"),
      "client-key-data": base64("KEY"),
      "client-key": "/key",
      token: "t"
    }, { cacert: "CA", serverName: "api.test", cert: "CERT", key: "KEY", bearerToken: "t" }],
    ["files", { "certificate-authority": "/ca" }, {
      "client-certificate": "/cert",
      "client-key": "/key",
      tokenFile: "/token"
    }, { cacertFile: "/ca", certFile: "/cert", keyFile: "/key", bearerTokenFile: "/token" }],
    ["a user and a password", { "insecure-skip-tls-verify": true }, { username: "me", password: "pw" }, {
      insecure: true,
      username: "me",
      password: "pw"
    }]
  ]
  for (const [name, cluster, user, expected] of table) {
    it.effect(`holds ${name}`, () =>
      Effect.gen(function*() {
        const config = yield* from(cluster, user)
        assert.deepStrictEqual(encoded(config), { ...defaults, host: "https://one.test:6443/prefix", ...expected })
      }))
  }

  it.effect("takes the context that is named", () =>
    Effect.gen(function*() {
      assert.strictEqual(Redacted.value((yield* from({}, { token: "t" }, "none")).bearerToken), "")
      assert.include((yield* Effect.flip(from({}, {}, "other"))).message, "no context \"other\"")
    }))

  const misfits: ReadonlyArray<readonly [string, object, object]> = [
    ["a credential plugin", {}, { exec: { command: "x" } }],
    ["an OpenID provider", {}, { "auth-provider": { name: "oidc", config: {} } }],
    ["the auth-provider gcp", {}, { "auth-provider": { name: "gcp", config: {} } }],
    ["impersonation", {}, { as: "other" }],
    ["a proxy", { "proxy-url": "http://proxy.test" }, {}]
  ]
  for (const [name, cluster, user] of misfits) {
    it.effect(`cannot hold ${name}, and says so with the way out`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(from(cluster, user))
        assert.strictEqual(error.reason._tag, "Misconfigured")
        assert.include(error.message, `uses ${name}`)
        assert.include(error.message, "KubeconfigFile")
      }))
  }
})

describe("what is used to connect", () => {
  it.effect("is read from the files that the settings name", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const { certificate, key } = yield* makeCertificate("client")
      const files = { ca: `${certificate}\n`, cert: certificate, key, token: "token text\n" }
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
      const details = yield* createConnectionConfig({
        ...settings,
        host: "fd00::1",
        path: "/proxy/api",
        serverName: "api.test",
        cacertFile: join(path, "ca"),
        certFile: join(path, "cert"),
        keyFile: join(path, "key"),
        bearerTokenFile: join(path, "token")
      })
      const { authorization, client, ...plain } = details
      assert.deepStrictEqual(plain, {
        server: "https://[fd00::1]/proxy",
        verify: true,
        serverName: "api.test",
        ca: files.ca
      })
      assert.deepStrictEqual([client?.cert, client && Redacted.value(client.key)], [files.cert, files.key])
      assert.strictEqual(authorization && Redacted.value(authorization), "Bearer token text")
      assert.notInclude(JSON.stringify(details), JSON.stringify(key).slice(1, -1))
    }))

  it.effect("is basic authentication where there is a user name, and inline text before files", () =>
    Effect.gen(function*() {
      const { certificate: cacert } = yield* makeCertificate("authority")
      const { authorization, ...details } = yield* createConnectionConfig({
        ...settings,
        insecure: true,
        username: "me",
        password: Redacted.make("pw"),
        cacert,
        cacertFile: "/nowhere"
      })
      assert.deepStrictEqual(details, { server: "https://kubernetes.default.svc", verify: false, ca: cacert })
      assert.strictEqual(authorization && Redacted.value(authorization), `Basic ${btoa("me:pw")}`)
    }))

  it.effect("is not made of contradictions, files that are missing, or an empty token", () =>
    Effect.gen(function*() {
      const path = yield* folder
      writeFileSync(join(path, "empty"), "\n")
      const bad = [
        { certFile: "/nowhere" },
        { cacertFile: "/nowhere" },
        { bearerTokenFile: "/nowhere" },
        { bearerTokenFile: join(path, "empty") },
        { host: "a b" }
      ]
      for (const changes of bad) {
        const error = yield* Effect.flip(createConnectionConfig({ ...settings, ...changes }))
        assert.strictEqual(error.reason._tag, "Misconfigured")
      }
    }))
})
