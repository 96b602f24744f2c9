/** What an odd client must not break: names that JavaScript knows, options that nobody sends, statuses that say nothing. */
import { assert, it, layer } from "@effect/vitest"
import { layer as clusterLayer, make, MiniclusterService } from "@kuberun/minicluster"
import { Effect, Exit, Scope } from "effect"
import { connect as connectTcp } from "node:net"
import { connect } from "node:tls"
import { at, call, eventually, follow, isRunning, listAt, podBody, pods, textAt, until } from "./support/Client.ts"

const merging = (body: object) => ({ body, contentType: "application/merge-patch+json" })
const asTable = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" }
const configmaps = "/api/v1/namespaces/default/configmaps"

layer(clusterLayer(), { excludeTestServices: true })("an odd client", (it) => {
  it.effect("a label, a key and a priority class may be called as JavaScript calls its own", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const none = yield* call(cluster, "GET", `${configmaps}?labelSelector=constructor`)
      assert.deepStrictEqual(listAt(none.body, "items"), [])
      const all = yield* call(cluster, "GET", `${configmaps}?labelSelector=!constructor`)
      assert.isNotEmpty(listAt(all.body, "items"))
      const priority = yield* call(cluster, "POST", pods, {
        body: podBody("important", "", { priorityClassName: "constructor" })
      })
      assert.deepStrictEqual([priority.code, textAt(priority.body, "message")], [
        403,
        "pods \"important\" is forbidden: no PriorityClass with name constructor was found"
      ])
      const raw = `{"metadata":{"name":"names"},"data":{"__proto__":"p","constructor":"c"}}`
      assert.strictEqual((yield* call(cluster, "POST", configmaps, { raw })).code, 201)
      const { text } = yield* call(cluster, "GET", `${configmaps}/names`)
      assert.include(text, `"data":{"__proto__":"p","constructor":"c"}`)
    }))

  it.effect("variables may have such names too, and are not had from objects that lack them", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* call(cluster, "POST", configmaps, { raw: `{"metadata":{"name":"variables"},"data":{"__proto__":"p"}}` })
      const missing = { configMapKeyRef: { name: "variables", key: "constructor", optional: true } }
      const containers = [{
        name: "main",
        image: "busybox",
        command: ["sh", "-c", `echo "$__proto__/\${MISSING-none}"; sleep 1000`],
        envFrom: [{ configMapRef: { name: "variables" } }],
        env: [{ name: "MISSING", valueFrom: missing }]
      }]
      yield* call(cluster, "POST", pods, { body: podBody("variables", "", { containers }) })
      const log = yield* until(cluster, `${pods}/variables/log`, ({ code, text }) => code === 200 && text !== "")
      assert.strictEqual(log.text, "p/none\n")
      yield* call(cluster, "DELETE", `${pods}/variables?gracePeriodSeconds=0`)
    }))

  it.effect("a status that says nothing, or half of it, spoils neither tables nor logs nor the scheduler", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const patch = (path: string, body: object) => call(cluster, "PATCH", path, merging(body))
      const gated = podBody("emptied", undefined, { schedulingGates: [{ name: "example.com/gate" }] })
      yield* call(cluster, "POST", pods, { body: gated })
      assert.strictEqual((yield* patch(`${pods}/emptied/status`, { status: null })).code, 200)
      assert.strictEqual((yield* call(cluster, "GET", pods, asTable)).code, 200)
      const status = { name: "main", image: "x", imageID: "", ready: false, restartCount: 0 }
      const halved = yield* patch(`${pods}/emptied/status`, { status: { containerStatuses: [status] } })
      assert.deepStrictEqual(at(halved.body, "status", "containerStatuses"), [{ state: {}, lastState: {}, ...status }])
      assert.strictEqual((yield* call(cluster, "GET", pods, asTable)).code, 200)
      assert.strictEqual((yield* patch(`${pods}/emptied`, { spec: { schedulingGates: null } })).code, 200)
      yield* until(cluster, `${pods}/emptied`, isRunning)
      yield* call(cluster, "DELETE", `${pods}/emptied?gracePeriodSeconds=0`)
    }))

  it.effect("a node without spec and status can still be lost and found", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const node = "/api/v1/nodes/minicluster"
      const bare = { metadata: { name: "minicluster" } }
      assert.strictEqual((yield* call(cluster, "PUT", node, { body: bare })).code, 200)
      yield* call(cluster, "PATCH", `${node}/status`, merging({ status: null }))
      const isReady = (status: string) =>
        until(cluster, node, ({ body }) =>
          listAt(body, "status", "conditions").some((one) =>
            textAt(one, "type") === "Ready" && textAt(one, "status") === status
          ))
      yield* cluster.faults.set({ nodeLost: true })
      yield* isReady("Unknown")
      yield* cluster.faults.clear
      yield* isReady("True")
    }))

  it.effect("the options of a list are judged as a real server judges them", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const refused = (query: string) =>
        Effect.map(call(cluster, "GET", `${pods}?${query}`), ({ body, code }) => [code, textAt(body, "message")])
      const lead = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: "
      assert.deepStrictEqual(yield* refused("resourceVersionMatch=Exact"), [
        422,
        `${lead}Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided`
      ])
      assert.deepStrictEqual(yield* refused("resourceVersion=1&resourceVersionMatch=About"), [
        422,
        `${lead}Unsupported value: "About": supported values: "Exact", "NotOlderThan", ""`
      ])
      assert.deepStrictEqual(yield* refused("resourceVersion=0&resourceVersionMatch=Exact"), [
        422,
        `${lead}Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`
      ])
      assert.deepStrictEqual(yield* refused("sendInitialEvents=true"), [
        422,
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"
      ])
      const [code, message] = yield* refused("resourceVersion=99999999")
      assert.strictEqual(code, 504)
      assert.match(String(message), /^Too large resource version: 99999999, current: \d+$/)
      const [status, sentence] = yield* refused("watch=1&timeoutSeconds=soon")
      assert.deepStrictEqual([status, sentence], [400, "strconv.ParseInt: parsing \"soon\": invalid syntax"])
    }))

  it.effect("an option is on whatever it says, unless it says false or 0", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (const value of ["", "=TRUE", "=yes"]) {
        const watch = yield* follow(cluster, `${configmaps}?watch${value}`)
        yield* watch.until((events) => events.some((event) => textAt(event, "type") === "ADDED"))
      }
      const list = yield* call(cluster, "GET", `${configmaps}?watch=False`)
      assert.strictEqual(textAt(list.body, "kind"), "ConfigMapList")
    })))

  it.effect("who may patch and not create makes nothing by an apply", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
      const grant = Effect.fnUntraced(function*(name: string, verb: string) {
        const rules = [{ apiGroups: [""], resources: ["configmaps"], verbs: [verb] }]
        yield* call(cluster, "POST", `${rbac}/roles`, { body: { metadata: { name }, rules } })
        const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name }
        const subjects = [{ kind: "ServiceAccount", name: "default" }]
        yield* call(cluster, "POST", `${rbac}/rolebindings`, { body: { metadata: { name }, roleRef, subjects } })
      })
      const account = "/api/v1/namespaces/default/serviceaccounts/default/token"
      const token = textAt((yield* call(cluster, "POST", account, { body: {} })).body, "status", "token")
      const apply = call(cluster, "PATCH", `${configmaps}/applied?fieldManager=test`, {
        token,
        body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied" } },
        contentType: "application/apply-patch+yaml"
      })
      yield* grant("patcher", "patch")
      const refused = yield* apply
      assert.deepStrictEqual([refused.code, textAt(refused.body, "message")], [
        403,
        "configmaps \"applied\" is forbidden: User \"system:serviceaccount:default:default\" cannot create resource " +
        "\"configmaps\" in API group \"\" in the namespace \"default\""
      ])
      yield* grant("creator", "create")
      assert.strictEqual((yield* apply).code, 201)
      assert.strictEqual((yield* apply).code, 200)
    }))

  it.effect("a media type is the same in capitals", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const body = { metadata: { name: "capitals" } }
      const created = yield* call(cluster, "POST", configmaps, { body, contentType: "Application/JSON; charset=UTF-8" })
      assert.strictEqual(created.code, 201)
    }))

  it.effect("a path of slashes alone is a path", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      assert.strictEqual((yield* call(cluster, "GET", "//")).code, 200)
      assert.strictEqual((yield* call(cluster, "GET", "//api/v1")).code, 200)
    }))
})

it.live("a client that never closes its end of a refused stream is dropped, also with the cluster", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const cluster = yield* Scope.provide(make(), scope)
    const { hostname, port } = new URL(cluster.url)
    const token = /token: (\S+)/.exec(cluster.kubeconfig)?.[1] ?? ""
    const transport = connectTcp({ host: hostname, port: Number(port), allowHalfOpen: true })
    const socket = connect({ socket: transport, rejectUnauthorized: false })
    let answer = ""
    let closed = false
    socket.on("data", (piece) => {
      answer += String(piece)
    })
    // A client that is dropped may see that as an error.
    socket.on("error", () => {})
    socket.on("close", () => {
      closed = true
    })
    socket.write(
      `GET ${pods}/none/exec?command=x&stdout=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    )
    yield* eventually(() => answer.includes("not found"))
    yield* Scope.close(scope, Exit.void)
    yield* eventually(() => {
      // Only by writing does one learn that nobody listens any more.
      socket.write("x")
      return closed
    }, () => answer)
  }))
