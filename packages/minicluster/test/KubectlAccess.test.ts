/** Who may what, as kubectl and a pod's own token see it. */
import { assert, describe, it } from "@effect/vitest"
import { make, type Minicluster } from "@kuberun/minicluster"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { call, outputOf, podBody, pods, runningPod, textAt } from "./support/Client.ts"

const missing = spawnSync("kubectl", ["version", "--client"]).status !== 0

/** kubectl with a kubeconfig: the exit code, and what it printed on both. */
const kubectlBy = (kubeconfig: string) =>
  Effect.gen(function*() {
    const home = mkdtempSync(join(tmpdir(), "minicluster-kubectl-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(home, { recursive: true, force: true })))
    writeFileSync(join(home, "config"), kubeconfig)
    const env = { PATH: process.env["PATH"] ?? "", HOME: home, KUBECONFIG: join(home, "config") }
    return (args: string) =>
      Effect.callback<{ readonly code: number; readonly text: string }>((resume) => {
        const child = spawn("kubectl", args.split(" "), { env, stdio: ["ignore", "pipe", "pipe"] })
        let text = ""
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (text += String(piece)))
        child.once("close", (code) => resume(Effect.succeed({ code: code ?? -1, text: text.trim() })))
        return Effect.sync(() => child.kill())
      })
  })

/** A cluster, its admin, and alice of the group dev. */
const setUp = Effect.gen(function*() {
  const cluster: Minicluster = yield* make()
  const admin = yield* kubectlBy(cluster.kubeconfig)
  const alice = yield* kubectlBy(yield* cluster.kubeconfigFor({ user: "alice", groups: ["dev"] }))
  return { cluster, admin, alice }
})

const cannot = (verb: string, resource: string) =>
  `Error from server (Forbidden): pods is forbidden: User "alice" cannot ${verb} resource "${resource}" in API group "" ` +
  "in the namespace \"default\""

describe.skipIf(missing)("kubectl", () => {
  it.live("tells who one is, by token, by certificate, and as somebody else", () =>
    Effect.gen(function*() {
      const { admin, alice } = yield* setUp
      const who = "auth whoami -o jsonpath={.status.userInfo['username','groups']}"
      assert.strictEqual((yield* admin(who)).text, `kubernetes-admin ["system:masters","system:authenticated"]`)
      assert.strictEqual((yield* alice(who)).text, `alice ["dev","system:authenticated"]`)
      assert.strictEqual((yield* admin(`${who} --as bob --as-group ops`)).text, `bob ["ops","system:authenticated"]`)
      // With the discovery at hand: a refusal there is "unknown" to kubectl.
      yield* alice("api-resources")
      const refused = yield* alice("get pods --as bob")
      assert.include(refused.text, "users \"bob\" is forbidden: User \"alice\" cannot impersonate resource \"users\"")
    }))

  it.live("says what one may, before and after a binding, and is refused or served just so", () =>
    Effect.gen(function*() {
      const { admin, alice } = yield* setUp
      assert.deepStrictEqual(yield* alice("auth can-i list pods"), { code: 1, text: "no" })
      assert.deepStrictEqual(yield* alice("get pods"), { code: 1, text: cannot("list", "pods") })
      yield* admin("create rolebinding dev --clusterrole=view --group=dev")
      assert.deepStrictEqual(yield* alice("auth can-i list pods"), { code: 0, text: "yes" })
      assert.deepStrictEqual(yield* alice("get pods"), { code: 0, text: "No resources found in default namespace." })
      assert.deepStrictEqual(yield* alice("auth can-i list pods -n kube-system"), { code: 1, text: "no" })
      assert.deepStrictEqual(yield* alice("auth can-i get /metrics"), { code: 1, text: "no" })
      assert.match((yield* alice("auth can-i --list")).text, /^configmaps +\[\] +\[\] +\[get list watch\]$/m)
      assert.deepStrictEqual(yield* admin("auth can-i * *"), { code: 0, text: "yes" })
      assert.deepStrictEqual(yield* admin("get secrets --as alice --as-group dev"), {
        code: 1,
        text: cannot("list", "secrets").replace("pods is", "secrets is")
      })
    }))

  it.live("enters a pod only with the verb create, although it comes by GET", () =>
    Effect.gen(function*() {
      const { admin, alice, cluster } = yield* setUp
      yield* runningPod(cluster, podBody("web"))
      yield* admin("create rolebinding dev --clusterrole=view --user=alice")
      yield* admin("create role enter --verb=get --resource=pods/exec")
      yield* admin("create rolebinding enter --role=enter --user=alice")
      const refused = yield* alice("exec web -- echo in")
      assert.strictEqual(refused.code, 1)
      assert.include(refused.text, "User \"alice\" cannot create resource \"pods/exec\"")
      yield* admin("delete role enter")
      yield* admin("create role enter --verb=get,create --resource=pods/exec")
      assert.deepStrictEqual(yield* alice("exec web -- echo in"), { code: 0, text: "in" })
    }))

  it.live("gets a token that is the service account's, until the account is deleted", () =>
    Effect.gen(function*() {
      const { admin, cluster } = yield* setUp
      yield* admin("create serviceaccount robot")
      yield* admin("create rolebinding robot --clusterrole=view --serviceaccount=default:robot")
      const { text: token } = yield* admin("create token robot --duration=10m")
      const list = Effect.map(call(cluster, "GET", pods, { token }), ({ code }) => code)
      assert.strictEqual(yield* list, 200)
      assert.strictEqual((yield* call(cluster, "GET", "/api/v1/nodes", { token })).code, 403)
      yield* admin("delete serviceaccount robot")
      assert.strictEqual(yield* list, 401)
      assert.include(
        (yield* admin("create token default --duration=1m")).text,
        "may not specify a duration less than 10"
      )
    }))
})

it.live("a pod's own token is its account's, and good for nothing once the pod is gone", () =>
  Effect.gen(function*() {
    const { cluster } = yield* setUp
    const token = yield* Effect.scoped(Effect.gen(function*() {
      yield* runningPod(cluster, podBody("web"))
      const token = yield* outputOf(cluster, "web", "cat /var/run/secrets/kubernetes.io/serviceaccount/token")
      const answer = yield* call(cluster, "GET", pods, { token })
      assert.strictEqual(answer.code, 403)
      assert.include(textAt(answer.body, "message"), "User \"system:serviceaccount:default:default\" cannot list")
      return token
    }))
    yield* Effect.repeat(call(cluster, "GET", `${pods}/web`), { until: ({ code }) => code === 404 })
    assert.strictEqual((yield* call(cluster, "GET", pods, { token })).code, 401)
  }))
