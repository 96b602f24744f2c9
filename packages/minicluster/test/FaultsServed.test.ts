/** Faults as a client meets them. */
import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import {
  at,
  call,
  eventually,
  execPath,
  listAt,
  podBody,
  pods,
  refusedExec,
  runningPod,
  textAt,
  until
} from "./support/Client.ts"
import { processesWith } from "./support/Machine.ts"

const faults = "/minicluster/faults"

const condition = (body: unknown, type: string) =>
  textAt(listAt(body, "status", "conditions").find((one) => textAt(one, "type") === type), "status")

describe("a cluster with faults", () => {
  it.live("has those of its start, takes others from an admin while it runs, and tells what happened", () =>
    Effect.gen(function*() {
      const cluster = yield* make({ faults: { rules: [{ verbs: ["list"], error: { code: 503 } }] } })
      const refused = yield* call(cluster, "GET", pods)
      assert.deepStrictEqual([refused.code, textAt(refused.body, "reason")], [503, "ServiceUnavailable"])
      assert.strictEqual((yield* call(cluster, "GET", "/api/v1/namespaces/default")).code, 200)

      const everything = { rules: [{ times: 2, error: { code: 429, retryAfterSeconds: 3 } }] }
      assert.strictEqual((yield* call(cluster, "PUT", faults, { body: everything })).code, 200)
      for (const code of [429, 429, 200]) assert.strictEqual((yield* call(cluster, "GET", pods)).code, code)
      const told = yield* call(cluster, "GET", faults)
      assert.deepStrictEqual(at(told.body, "plan"), everything)
      assert.deepStrictEqual(listAt(told.body, "fired").map((one) => textAt(one, "request", "resource")), [
        "pods",
        "pods"
      ])

      const wrong = yield* call(cluster, "PUT", faults, { body: { rules: [{ error: { code: 200 } }] } })
      assert.deepStrictEqual([wrong.code, textAt(wrong.body, "details", "causes", 0, "field")], [
        422,
        "rules[0].error.code"
      ])
      assert.strictEqual((yield* call(cluster, "DELETE", faults)).code, 200)
      assert.deepStrictEqual(yield* cluster.faults.plan, {})
    }))

  it.live("shows and changes them for nobody but an admin", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const asked = yield* call(cluster, "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {
        body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} }
      })
      const token = textAt(asked.body, "status", "token")
      assert.notStrictEqual(token, "")
      for (const method of ["GET", "PUT", "DELETE"]) {
        const { code } = yield* call(cluster, method, faults, { token, ...(method === "PUT" ? { body: {} } : {}) })
        assert.strictEqual(code, 403, method)
      }
    }))

  it.live("refuses creations as a webhook or a quota does, and nothing else", () =>
    Effect.gen(function*() {
      const cluster = yield* make({
        faults: { rules: [{ times: 1, admission: "no" }, { resources: ["pods"], quota: "few" }] }
      })
      const webhook = yield* call(cluster, "POST", pods, { body: podBody("a") })
      assert.strictEqual(
        textAt(webhook.body, "message"),
        "admission webhook \"policy.kuberun.test\" denied the request: no"
      )
      const quota = yield* call(cluster, "POST", pods, { body: podBody("a") })
      assert.strictEqual(quota.code, 403)
      assert.include(
        textAt(quota.body, "message"),
        "pods \"a\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=10"
      )
      const { body, code } = yield* call(cluster, "GET", pods)
      assert.deepStrictEqual([code, at(body, "items")], [200, []])
    }))

  it.live("knows an exec by one verb, by whatever protocol it comes", () =>
    Effect.gen(function*() {
      const cluster = yield* make({
        faults: { rules: [{ verbs: ["create"], subresources: ["exec"], error: { code: 500, message: "not now" } }] }
      })
      yield* runningPod(cluster, podBody("a"))
      const refused = yield* refusedExec(cluster, execPath("a", ["true"], "stdout=true"))
      assert.deepStrictEqual([refused.code, textAt(refused.body, "message")], [500, "not now"])
    }))

  it.live("accepts a deletion that does nothing", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      yield* runningPod(cluster, podBody("stays"))
      yield* cluster.faults.set({ rules: [{ times: 1, deletionIgnored: true }] })
      assert.strictEqual((yield* call(cluster, "DELETE", `${pods}/stays?gracePeriodSeconds=0`)).code, 200)
      const { body, code } = yield* call(cluster, "GET", `${pods}/stays`)
      assert.deepStrictEqual([code, textAt(body, "metadata", "deletionTimestamp")], [200, ""])
      yield* call(cluster, "DELETE", `${pods}/stays?gracePeriodSeconds=0`)
      yield* until(cluster, `${pods}/stays`, ({ code }) => code === 404)
    }))

  it.live("loses its node, whose pods are not ready and do not go, and finds it again", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      yield* runningPod(cluster, podBody("away"))
      yield* cluster.faults.set({ nodeLost: true })
      yield* until(cluster, "/api/v1/nodes/minicluster", ({ body }) => condition(body, "Ready") === "Unknown")
      yield* until(cluster, `${pods}/away`, ({ body }) => condition(body, "Ready") === "False")
      yield* call(cluster, "DELETE", `${pods}/away?gracePeriodSeconds=1`)
      const { body } = yield* call(cluster, "GET", `${pods}/away`)
      assert.notStrictEqual(textAt(body, "metadata", "deletionTimestamp"), "")
      yield* cluster.faults.clear
      yield* until(cluster, "/api/v1/nodes/minicluster", ({ body }) => condition(body, "Ready") === "True")
      yield* until(cluster, `${pods}/away`, ({ code }) => code === 404)
    }))

  it.live("evicts the pods that a plan selects, once, when it is set", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const labelled = (name: string, app: string, script?: string) => ({
        ...podBody(name, script),
        metadata: { name, labels: { app } }
      })
      const mark = "sleep 61728394"
      yield* runningPod(cluster, labelled("goes", "web", `trap 'exit 0' TERM; ${mark} & wait`))
      yield* runningPod(cluster, labelled("stays", "db"))
      yield* cluster.faults.set({ evict: [{ labelSelector: "app=web", message: "low on memory" }] })
      const { body } = yield* until(cluster, `${pods}/goes`, ({ body }) => textAt(body, "status", "phase") === "Failed")
      assert.deepStrictEqual([textAt(body, "status", "reason"), textAt(body, "status", "message")], [
        "Evicted",
        "low on memory"
      ])
      yield* eventually(() => processesWith(mark).length === 0)
      const left = yield* call(cluster, "GET", `${pods}/stays`)
      assert.strictEqual(textAt(left.body, "status", "phase"), "Running")
      yield* runningPod(cluster, labelled("later", "web"))
    }))

  it.live("fails in the same places when the same calls are made again under the same plan", () =>
    Effect.gen(function*() {
      const cluster = yield* make()
      const run = Effect.gen(function*() {
        yield* cluster.faults.set({ seed: 42, rules: [{ share: 0.5, verbs: ["get", "list"], error: { code: 500 } }] })
        return yield* Effect.forEach(
          Array.from({ length: 40 }),
          () => Effect.map(call(cluster, "GET", pods), ({ code }) => code)
        )
      })
      const first = yield* run
      assert.deepStrictEqual(yield* run, first)
      assert.sameMembers(Array.from(new Set(first)), [200, 500])
    }))
})
