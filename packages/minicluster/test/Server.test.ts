import { assert, it, layer } from "@effect/vitest"
import { layer as clusterLayer, make, MiniclusterService } from "@kuberun/minicluster"
import { Effect, Exit, Scope } from "effect"
import { existsSync } from "node:fs"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { at, call, exec, listAt, podBody, pods, runningPod, textAt } from "./support/Client.ts"

layer(clusterLayer(), { excludeTestServices: true })("the API server", (it) => {
  it.effect("says version 1.32 and that it is well, to anybody", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const version = yield* call(cluster, "GET", "/version?timeout=5s", { token: undefined })
      assert.deepStrictEqual([at(version.body, "major"), at(version.body, "minor")], ["1", "32"])
      for (const path of ["/healthz", "/livez", "/readyz"]) {
        assert.strictEqual((yield* call(cluster, "GET", path, { token: undefined })).text, "ok")
      }
    }))

  it.effect("refuses a caller without its token, or with another, with a 401 Status", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (const token of [undefined, "x", "\u00ff".repeat(8)]) {
        const answer = yield* call(cluster, "GET", pods, { token })
        assert.strictEqual(answer.code, 401)
        assert.deepStrictEqual(answer.body, {
          kind: "Status",
          apiVersion: "v1",
          metadata: {},
          status: "Failure",
          message: "Unauthorized",
          reason: "Unauthorized",
          code: 401
        })
      }
    }))

  it.effect("answers what it does not serve with a 404 or 405 Status", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (
        const path of [
          "/nowhere",
          "/api/v1/services",
          "/api/v2/pods",
          "/apis/apps/v1/deployments",
          "/apis/rbac.authorization.k8s.io/v1beta1/roles",
          "/apis/rbac.authorization.k8s.io/v1/pods",
          "/api/v1/namespaces/default/nodes",
          `${pods}/a/nosuch`,
          `${pods}/a/status/b`
        ]
      ) {
        const answer = yield* call(cluster, "GET", path)
        assert.deepStrictEqual([answer.code, at(answer.body, "kind"), at(answer.body, "reason")], [
          404,
          "Status",
          "NotFound"
        ], path)
      }
      for (
        const [method, path] of [
          ["DELETE", "/api/v1/namespaces"],
          ["POST", "/api/v1/nodes"],
          // Into which namespace?
          ["POST", "/api/v1/pods"],
          ["DELETE", "/api/v1/pods"],
          ["PUT", pods],
          ["PATCH", pods],
          ["POST", `${pods}/a`],
          ["DELETE", `${pods}/a/log`],
          ["POST", "/version"],
          ["GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"]
        ] as const
      ) {
        const answer = yield* call(cluster, method, path)
        assert.deepStrictEqual([answer.code, at(answer.body, "reason")], [405, "MethodNotAllowed"], `${method} ${path}`)
      }
    }))

  it.effect("takes bodies of a bounded size only, in forms that it knows", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const post = (raw: string, contentType: string) => call(cluster, "POST", pods, { raw, contentType })
      const xml = yield* post("<pod/>", "application/xml")
      assert.deepStrictEqual([xml.code, at(xml.body, "reason")], [415, "UnsupportedMediaType"])
      assert.strictEqual((yield* post("{", "application/json")).code, 400)
      assert.strictEqual((yield* post(JSON.stringify("x".repeat(4_000_000)), "application/json")).code, 413)
      assert.strictEqual((yield* post(`{"spec":{"containers":"none"}}`, "application/json")).code, 400)
    }))

  it.effect("has the four namespaces of every cluster, each with its account and its authority's certificate", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const all = yield* call(cluster, "GET", "/api/v1/namespaces")
      const names = listAt(all.body, "items").map((item) => textAt(item, "metadata", "name"))
      assert.deepStrictEqual(names, ["default", "kube-node-lease", "kube-public", "kube-system"])
      for (const name of names) {
        const within = `/api/v1/namespaces/${name}`
        assert.strictEqual((yield* call(cluster, "GET", within)).code, 200)
        assert.strictEqual((yield* call(cluster, "GET", `${within}/serviceaccounts/default`)).code, 200)
        const authority = yield* call(cluster, "GET", `${within}/configmaps/kube-root-ca.crt`)
        assert.match(textAt(authority.body, "data", "ca.crt"), /^-----BEGIN CERTIFICATE-----/)
      }
      const missing = yield* call(cluster, "POST", "/api/v1/namespaces/nowhere/pods", { body: podBody("a") })
      assert.strictEqual(missing.code, 404)
      assert.strictEqual(textAt(missing.body, "message"), "namespaces \"nowhere\" not found")
    }))
})

it.live("everything ends with the scope: server, open execs, watches, folder", () =>
  Effect.gen(function*() {
    const parent = mkdtempSync(join(tmpdir(), "minicluster-test-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(parent, { recursive: true, force: true })))
    const scope = yield* Scope.make()
    const directory = join(parent, "pods")
    const cluster = yield* make({ directory }).pipe(Scope.provide(scope))
    const pod = yield* Effect.scoped(Effect.andThen(
      call(cluster, "POST", pods, { body: podBody("a") }),
      Effect.map(runningPod(cluster, podBody("b", "trap '' TERM; while :; do sleep 1; done")), ({ body }) => body)
    ))
    assert.isTrue(existsSync(directory))
    assert.strictEqual(textAt(pod, "status", "phase"), "Running")
    yield* call(cluster, "POST", pods, { body: podBody("c") })
    const session = yield* Effect.gen(function*() {
      yield* Effect.repeat(call(cluster, "GET", `${pods}/c`), {
        until: ({ body }) => textAt(body, "status", "phase") === "Running"
      })
      return yield* exec(cluster, "c", ["sleep", "1000"])
    })
    yield* Scope.close(scope, Exit.void)
    yield* session.end
    const refused = yield* call(cluster, "GET", "/version").pipe(Effect.catchDefect(() => Effect.succeed("refused")))
    assert.strictEqual(refused, "refused")
  }))
