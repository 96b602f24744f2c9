import { assert, describe, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import { clusterAndUser, serverUrl } from "../src/ConnectionSource.ts"
import type { ConnectionSettings } from "../src/index.ts"
import { settings } from "./Settings.ts"

describe("the server's URL", () => {
  const table: ReadonlyArray<readonly [host: string, path: string, url: string]> = [
    ["kubernetes.default.svc", "/api", "https://kubernetes.default.svc"],
    ["example.org:6443", "/api", "https://example.org:6443"],
    ["example.org:6443", "", "https://example.org:6443"],
    ["https://example.org:6443/", "/api/", "https://example.org:6443"],
    ["http://127.0.0.1:8001", "/api", "http://127.0.0.1:8001"],
    ["10.0.0.1", "/api", "https://10.0.0.1"],
    ["fd00::1", "/api", "https://[fd00::1]"],
    ["[fd00::1]:6443", "/api", "https://[fd00::1]:6443"],
    ["example.org", "/k8s/clusters/c-1/api", "https://example.org/k8s/clusters/c-1"],
    ["example.org", "/k8s/clusters/c-1", "https://example.org/k8s/clusters/c-1"],
    ["https://example.org/prefix", "/api", "https://example.org/prefix"]
  ]
  for (const [host, path, url] of table) {
    it(`of host ${host} and path "${path}" is ${url}`, () =>
      assert.deepStrictEqual(serverUrl(host, path), Result.succeed(url)))
  }

  for (const host of ["", "a b", "ftp://example.org", "https://user:secret@example.org"]) {
    it(`is refused for the host "${host}"`, () => assert.isTrue(Result.isFailure(serverUrl(host, "/api"))))
  }

  it("is refused without repeating credentials in it", () => {
    for (
      const server of ["https://user:secret@example.org", "https://user:secret@a b", "ftp://user:secret@a", "u:secret@"]
    ) {
      const refused = serverUrl(server, "/api")
      assert.notInclude(Result.isFailure(refused) ? refused.failure : "secret", "secret", server)
    }
  })
})

describe("who is asking", () => {
  const userOf = (changes: Partial<ConnectionSettings>) =>
    Result.getOrThrow(clusterAndUser({ ...settings, ...changes }))

  it("is nobody where nothing is set", () => assert.deepStrictEqual(userOf({}).user, { name: "connection" }))

  it("takes inline certificates before files, as base64 of their PEM", () => {
    const { cluster, user } = userOf({
      cacert: "CA",
      cacertFile: "/ca",
      cert: "CERT",
      certFile: "/cert",
      key: Redacted.make("KEY"),
      keyFile: "/key"
    })
    assert.deepStrictEqual([cluster.caData, cluster.caFile], ["Q0E=", undefined])
    assert.deepStrictEqual([user.certData, user.certFile], ["Q0VSVA==", undefined])
    assert.deepStrictEqual([user.keyData, user.keyFile], ["S0VZ", undefined])
  })

  it("takes certificates by file", () => {
    const { cluster, user } = userOf({ cacertFile: "/ca", certFile: "/cert", keyFile: "/key" })
    assert.deepStrictEqual([cluster.caFile, user.certFile, user.keyFile], ["/ca", "/cert", "/key"])
  })

  it("keeps the server's name and the order not to verify", () => {
    const { cluster } = userOf({ serverName: "api", insecure: true })
    assert.deepInclude(cluster, { tlsServerName: "api", skipTLSVerify: true })
    assert.deepInclude(userOf({}).cluster, { skipTLSVerify: false })
  })

  it("prefers the token's file to the token", () => {
    const { user } = userOf({ bearerToken: Redacted.make("t"), bearerTokenFile: "/token" })
    assert.isUndefined(user.token)
    assert.deepInclude(user.authProvider, { config: { path: "/token" } })
  })

  const contradictions: ReadonlyArray<readonly [string, Partial<ConnectionSettings>]> = [
    ["a certificate without its key", { cert: "CERT" }],
    ["a key without its certificate", { keyFile: "/key" }],
    ["a user name and a token", { username: "u", bearerToken: Redacted.make("t") }]
  ]
  for (const [name, changes] of contradictions) {
    it(`refuses ${name}`, () => assert.isTrue(Result.isFailure(clusterAndUser({ ...settings, ...changes }))))
  }
})
