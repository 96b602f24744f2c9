import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import { issuer, makeTokens, podToken, requestToken } from "../src/access/Tokens.ts"
import { makeStore } from "../src/api/Store.ts"
import { type KubeObject, type Pod } from "../src/shapes/Objects.ts"
import { type Resource, type Resources } from "../src/shapes/Resources.ts"
import { at, textAt } from "./support/Client.ts"

const metadata = (name: string, uid: string, namespace: string | undefined = "default") => ({
  name,
  ...(namespace === "" ? {} : { namespace }),
  uid,
  resourceVersion: "",
  creationTimestamp: "2026-01-01T00:00:00Z"
})
const object = (kind: string, name: string, uid: string, namespace?: string): KubeObject => ({
  apiVersion: "v1",
  kind,
  metadata: metadata(name, uid, namespace)
})
const pod: Pod = {
  ...object("Pod", "web", "pod-uid"),
  spec: {
    containers: [],
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 0,
    serviceAccountName: "robot",
    nodeName: "machine"
  },
  status: { phase: "Running" }
}

/** A store with the account "robot", a pod of it, a node and a secret. */
const make = Effect.gen(function*() {
  const store = yield* makeStore()
  yield* store.create("serviceaccounts", object("ServiceAccount", "robot", "robot-uid"))
  yield* store.create("pods", pod)
  yield* store.create("secrets", object("Secret", "key", "secret-uid"))
  yield* store.create("nodes", object("Node", "machine", "node-uid", ""))
  const tokens = makeTokens(store)
  const request = (spec: object, name = "robot") =>
    requestToken(store, tokens, "default", name, { kind: "TokenRequest", spec }).pipe(
      Effect.map((answer) => answer._tag === "Json" ? { code: answer.code, body: answer.body } : { code: 0, body: {} }),
      Effect.catchTag("ApiError", ({ status }) => Effect.succeed({ code: status.code, body: status }))
    )
  const tokenFor = (spec: object) => Effect.map(request(spec), ({ body }) => textAt(body, "status", "token"))
  const replace = <R extends Resource>(resource: R, next: Resources[R]) =>
    Effect.andThen(
      store.remove(resource, next.metadata.namespace ?? "", next.metadata.name),
      store.create(resource, next)
    )
  return { store, tokens, request, tokenFor, replace }
})

const claimsOf = (token: string): unknown => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString())

describe("a service account's token", () => {
  it.effect("is a JWT with Kubernetes' claims, and says in the answer until when it is good", () =>
    Effect.gen(function*() {
      const { request } = yield* make
      yield* TestClock.setTime(Date.parse("2026-05-05T10:00:00Z"))
      const { body, code } = yield* request({ expirationSeconds: 600 })
      assert.strictEqual(code, 201)
      const token = textAt(body, "status", "token")
      assert.deepStrictEqual(body, {
        kind: "TokenRequest",
        apiVersion: "authentication.k8s.io/v1",
        metadata: { name: "robot", namespace: "default", creationTimestamp: "2026-05-05T10:00:00Z" },
        spec: { audiences: [issuer], expirationSeconds: 600, boundObjectRef: null },
        status: { token, expirationTimestamp: "2026-05-05T10:10:00Z" }
      })
      const claims = claimsOf(token)
      const iat = Date.parse("2026-05-05T10:00:00Z") / 1000
      assert.deepStrictEqual(claims, {
        aud: [issuer],
        exp: iat + 600,
        iat,
        iss: issuer,
        jti: textAt(claims, "jti"),
        "kubernetes.io": { namespace: "default", serviceaccount: { name: "robot", uid: "robot-uid" } },
        nbf: iat,
        sub: "system:serviceaccount:default:robot"
      })
    }))

  it.effect("makes its bearer the account, in the groups of all accounts and of those of its namespace", () =>
    Effect.gen(function*() {
      const { tokenFor, tokens } = yield* make
      const token = yield* tokenFor({})
      assert.deepStrictEqual(yield* tokens.verify(token), {
        name: "system:serviceaccount:default:robot",
        uid: "robot-uid",
        groups: ["system:serviceaccounts", "system:serviceaccounts:default"],
        extra: { "authentication.kubernetes.io/credential-id": [`JTI=${textAt(claimsOf(token), "jti")}`] }
      })
    }))

  it.effect("is good for an hour unless asked otherwise, and not a moment longer", () =>
    Effect.gen(function*() {
      const { tokenFor, tokens } = yield* make
      const token = yield* tokenFor({})
      yield* TestClock.adjust("3599 seconds")
      assert.isDefined(yield* tokens.verify(token))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* tokens.verify(token))
    }))

  it.effect("is refused when any part of it was changed, was signed by another cluster, or is no token at all", () =>
    Effect.gen(function*() {
      const { store, tokenFor, tokens } = yield* make
      const token = yield* tokenFor({})
      const [head = "", body = "", signature = ""] = token.split(".")
      const forged = Buffer.from(JSON.stringify({ ...Object(claimsOf(token)), exp: 9e9 })).toString("base64url")
      const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url")
      const bad = [
        `${head}.${forged}.${signature}`,
        `${none}.${body}.`,
        `${none}.${body}.${signature}`,
        `${token}.x`,
        `${head}.${body}`,
        `${head}.${body}.${signature.slice(2)}`,
        "..",
        ""
      ]
      for (const one of bad) assert.isUndefined(yield* tokens.verify(one), one)
      assert.isUndefined(yield* makeTokens(store).verify(token))
      assert.isDefined(yield* tokens.verify(token))
    }))

  it.effect("for other audiences is none for the API", () =>
    Effect.gen(function*() {
      const { tokenFor, tokens } = yield* make
      assert.isUndefined(yield* tokens.verify(yield* tokenFor({ audiences: ["vault"] })))
      assert.isDefined(yield* tokens.verify(yield* tokenFor({ audiences: ["vault", issuer] })))
    }))

  it.effect("ends with its account, also when one of the same name follows", () =>
    Effect.gen(function*() {
      const { replace, store, tokenFor, tokens } = yield* make
      const token = yield* tokenFor({})
      yield* replace("serviceaccounts", object("ServiceAccount", "robot", "other-uid"))
      assert.isUndefined(yield* tokens.verify(token))
      const second = yield* tokenFor({})
      assert.isDefined(yield* tokens.verify(second))
      yield* store.remove("serviceaccounts", "default", "robot")
      assert.isUndefined(yield* tokens.verify(second))
    }))

  it.effect("bound to a pod names pod and node, and ends with the pod, a minute after it was to be gone", () =>
    Effect.gen(function*() {
      const { replace, store, tokenFor, tokens } = yield* make
      const boundObjectRef = { kind: "Pod", apiVersion: "v1", name: "web", uid: "pod-uid" }
      const asked = yield* tokenFor({ boundObjectRef })
      const mounted = yield* podToken(store, tokens, pod, { expirationSeconds: 3607 })
      for (const token of [asked, mounted]) {
        const extra = (yield* tokens.verify(token))?.extra ?? {}
        assert.deepInclude(extra, {
          "authentication.kubernetes.io/node-name": ["machine"],
          "authentication.kubernetes.io/node-uid": ["node-uid"],
          "authentication.kubernetes.io/pod-name": ["web"],
          "authentication.kubernetes.io/pod-uid": ["pod-uid"]
        })
      }
      const deletionTimestamp = new Date(yield* Clock.currentTimeMillis).toISOString()
      yield* store.update("pods", "default", "web", (current) => ({
        ...current,
        metadata: { ...current.metadata, deletionTimestamp, deletionGracePeriodSeconds: 30 }
      }))
      yield* TestClock.adjust("60 seconds")
      assert.isDefined(yield* tokens.verify(mounted))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* tokens.verify(mounted))
      yield* replace("pods", { ...pod, metadata: metadata("web", "other") })
      assert.isUndefined(yield* tokens.verify(asked))
    }))

  it.effect("bound to a secret ends with it", () =>
    Effect.gen(function*() {
      const { store, tokenFor, tokens } = yield* make
      const token = yield* tokenFor({ boundObjectRef: { kind: "Secret", apiVersion: "v1", name: "key" } })
      assert.isDefined(yield* tokens.verify(token))
      yield* store.remove("secrets", "default", "key")
      assert.isUndefined(yield* tokens.verify(token))
    }))

  it.effect("is given for no shorter than ten minutes, to accounts and bound to objects that are there", () =>
    Effect.gen(function*() {
      const { request } = yield* make
      const short = yield* request({ expirationSeconds: 599 })
      assert.strictEqual(short.code, 422)
      assert.strictEqual(
        textAt(short.body, "message"),
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: " +
          "may not specify a duration less than 10 minutes"
      )
      assert.strictEqual(textAt(short.body, "details", "causes", 0, "field"), "spec.expirationSeconds")
      const ref = { kind: "Pod", apiVersion: "v1", name: "web" }
      const refused = [
        [422, request({ expirationSeconds: 2 ** 32 + 1 })],
        [404, request({}, "nobody")],
        [404, request({ boundObjectRef: { ...ref, name: "gone" } })],
        [409, request({ boundObjectRef: { ...ref, uid: "other" } })],
        [400, request({ boundObjectRef: { ...ref, kind: "ConfigMap" } })]
      ] as const
      for (const [code, answer] of refused) assert.strictEqual((yield* answer).code, code)
    }))

  it.effect("is not given for a pod that runs as another account", () =>
    Effect.gen(function*() {
      const { request, store } = yield* make
      yield* store.create("serviceaccounts", object("ServiceAccount", "other", "u"))
      const answer = yield* request({ boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "web" } }, "other")
      assert.deepStrictEqual([answer.code, at(answer.body, "message")], [
        400,
        "cannot bind token for serviceaccount \"other\" to pod running with different serviceaccount name."
      ])
    }))
})
