import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { storeDefaultRoles } from "../src/access/DefaultRoles.ts"
import { review } from "../src/access/Reviews.ts"
import { type ApiRequest, type User } from "../src/api/Http.ts"
import { makeStore } from "../src/api/Store.ts"
import { type Review } from "../src/shapes/Resources.ts"
import { at, listAt, textAt } from "./support/Client.ts"

const alice: User = {
  name: "alice",
  uid: "7",
  groups: ["dev", "system:authenticated"],
  extra: { scope: ["a"] }
}

/** What the review answers to a user who has the role "view" in "default". */
const ask = Effect.fnUntraced(function*(which: Review, spec: object | undefined, user: User = alice) {
  const store = yield* makeStore()
  yield* storeDefaultRoles(store)
  const apiGroup = "rbac.authorization.k8s.io"
  yield* store.create("rolebindings", {
    apiVersion: `${apiGroup}/v1`,
    kind: "RoleBinding",
    metadata: { name: "b", namespace: "default", uid: "b", resourceVersion: "", creationTimestamp: "" },
    roleRef: { apiGroup, kind: "ClusterRole", name: "view" },
    subjects: [{ kind: "Group", name: "dev" }, { kind: "User", name: "bob" }]
  })
  const request: ApiRequest = {
    method: "POST",
    user,
    path: [],
    query: new URLSearchParams(),
    accept: "",
    contentType: "",
    json: Effect.succeed(undefined)
  }
  return yield* review(store, which, request, spec === undefined ? {} : { spec }).pipe(
    Effect.map((answer) => answer._tag === "Json" ? { code: answer.code, body: answer.body } : { code: 0, body: {} }),
    Effect.catchTag("ApiError", ({ status }) => Effect.succeed({ code: status.code, body: status }))
  )
})

describe("can-i", () => {
  const resourceAttributes = { namespace: "default", verb: "list", resource: "pods" }

  it.effect("answers yes, and by which binding", () =>
    Effect.gen(function*() {
      const { body, code } = yield* ask("selfsubjectaccessreviews", { resourceAttributes })
      assert.strictEqual(code, 201)
      assert.deepStrictEqual(body, {
        kind: "SelfSubjectAccessReview",
        apiVersion: "authorization.k8s.io/v1",
        metadata: { creationTimestamp: null },
        spec: { resourceAttributes },
        status: {
          allowed: true,
          reason: "RBAC: allowed by RoleBinding \"b/default\" of ClusterRole \"view\" to Group \"dev\""
        }
      })
    }))

  it.effect("answers no without a reason, for a resource, a subresource and a path; yes to all for the admin", () =>
    Effect.gen(function*() {
      const admin: User = { name: "x", groups: ["system:masters"] }
      for (
        const spec of [
          { resourceAttributes: { ...resourceAttributes, verb: "delete" } },
          { resourceAttributes: { ...resourceAttributes, namespace: "other" } },
          { resourceAttributes: { ...resourceAttributes, verb: "get", subresource: "exec" } },
          { resourceAttributes: { verb: "*", group: "*", resource: "*" } },
          { nonResourceAttributes: { verb: "get", path: "/metrics" } }
        ]
      ) {
        const { body } = yield* ask("selfsubjectaccessreviews", spec)
        assert.deepStrictEqual(at(body, "status"), { allowed: false }, JSON.stringify(spec))
        assert.deepStrictEqual(at((yield* ask("selfsubjectaccessreviews", spec, admin)).body, "status"), {
          allowed: true
        })
      }
      const log = { resourceAttributes: { ...resourceAttributes, verb: "get", subresource: "log" } }
      assert.isTrue(at((yield* ask("selfsubjectaccessreviews", log)).body, "status", "allowed"))
      const path = { nonResourceAttributes: { verb: "get", path: "/apis/apps" } }
      assert.isTrue(at((yield* ask("selfsubjectaccessreviews", path)).body, "status", "allowed"))
    }))

  it.effect("takes one question at a time", () =>
    Effect.gen(function*() {
      const nonResourceAttributes = { verb: "get", path: "/" }
      for (const spec of [undefined, {}, { resourceAttributes, nonResourceAttributes }]) {
        assert.strictEqual((yield* ask("selfsubjectaccessreviews", spec)).code, 422)
      }
    }))
})

describe("can-i --list", () => {
  it.effect("tells all rules of the user in the namespace", () =>
    Effect.gen(function*() {
      const { body, code } = yield* ask("selfsubjectrulesreviews", { namespace: "default" })
      assert.strictEqual(code, 201)
      assert.strictEqual(at(body, "status", "incomplete"), false)
      assert.deepInclude(listAt(body, "status", "resourceRules"), {
        apiGroups: [""],
        resources: ["namespaces"],
        verbs: ["get", "list", "watch"]
      })
      const urls = listAt(body, "status", "nonResourceRules").flatMap((rule) => listAt(rule, "nonResourceURLs"))
      assert.includeMembers(urls, ["/apis/*", "/version"])
      const elsewhere = yield* ask("selfsubjectrulesreviews", { namespace: "other" })
      const resources = listAt(elsewhere.body, "status", "resourceRules").flatMap((rule) => listAt(rule, "resources"))
      assert.deepStrictEqual(resources, ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"])
    }))

  it.effect("tells the admin's one rule for everything", () =>
    Effect.gen(function*() {
      const { body } = yield* ask("selfsubjectrulesreviews", { namespace: "default" }, {
        name: "x",
        groups: ["system:masters"]
      })
      assert.deepStrictEqual(listAt(body, "status", "resourceRules"), [{
        apiGroups: ["*"],
        resources: ["*"],
        verbs: ["*"]
      }])
    }))

  it.effect("needs a namespace", () =>
    Effect.gen(function*() {
      const { body, code } = yield* ask("selfsubjectrulesreviews", {})
      assert.deepStrictEqual([code, textAt(body, "message")], [400, "no namespace on request"])
    }))
})

it.effect("whoami tells name, uid, groups and extra fields", () =>
  Effect.gen(function*() {
    const { body, code } = yield* ask("selfsubjectreviews", undefined)
    assert.strictEqual(code, 201)
    assert.deepStrictEqual(body, {
      kind: "SelfSubjectReview",
      apiVersion: "authentication.k8s.io/v1",
      metadata: { creationTimestamp: null },
      status: { userInfo: { username: "alice", uid: "7", groups: alice.groups, extra: alice.extra } }
    })
  }))
