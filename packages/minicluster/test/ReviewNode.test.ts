/** What must not outlive a pod, whenever it is deleted; and what a container finds in its environment. */
import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { layer as clusterLayer, makeWith, MiniclusterService } from "../src/Minicluster.ts"
import {
  type Answer,
  at,
  call,
  eventually,
  exec,
  isRunning,
  listAt,
  podBody,
  pods,
  runningPod,
  textAt,
  until
} from "./support/Client.ts"
import { temporaryFolder } from "./support/Container.ts"
import { processesWith } from "./support/Machine.ts"

it.live("nothing is left of pods that were deleted at any moment of their start", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryFolder
    const cluster = yield* makeWith({ directory }, {})
    const mark = `started-in-${directory}`
    const [own = ""] = readdirSync(directory)
    for (let wait = 0; wait < 60; wait += 2) {
      yield* call(cluster, "POST", pods, { body: podBody(`short-${wait}`, `: ${mark}; sleep 1000; :`) })
      yield* Effect.sleep(`${wait} millis`)
      yield* call(cluster, "DELETE", `${pods}/short-${wait}?gracePeriodSeconds=0`)
    }
    yield* eventually(
      () => processesWith(mark).length === 0 && readdirSync(join(directory, own, "pods")).length === 0,
      () => `${processesWith(mark).length} processes, ${readdirSync(join(directory, own, "pods")).join(" ")}`
    )
  })))

layer(clusterLayer(), { excludeTestServices: true })("a pod", (it) => {
  it.effect("whose service account is gone says so, and starts once there is one again", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const accounts = "/api/v1/namespaces/default/serviceaccounts"
      yield* call(cluster, "POST", accounts, { body: { metadata: { name: "gone" } } })
      const gated = { serviceAccountName: "gone", schedulingGates: [{ name: "example.com/gate" }] }
      yield* call(cluster, "POST", pods, { body: podBody("orphan", undefined, gated) })
      yield* call(cluster, "DELETE", `${accounts}/gone`)
      yield* call(cluster, "PATCH", `${pods}/orphan`, {
        body: { spec: { schedulingGates: null } },
        contentType: "application/merge-patch+json"
      })
      const about = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=orphan,reason=FailedMount"
      const events = yield* until(cluster, about, ({ body }) => listAt(body, "items").length > 0)
      assert.match(
        textAt(listAt(events.body, "items")[0], "message"),
        /^MountVolume.SetUp failed for volume "kube-api-access-\w+" : failed to fetch token: serviceaccounts "gone" not found$/
      )
      yield* call(cluster, "POST", accounts, { body: { metadata: { name: "gone" } } })
      yield* until(cluster, `${pods}/orphan`, isRunning)
      yield* call(cluster, "DELETE", `${pods}/orphan?gracePeriodSeconds=0`)
    }))

  it.effect("has the files of its volumes however their paths are written", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const data = { metadata: { name: "paths" }, data: { key: "v" } }
      yield* call(cluster, "POST", "/api/v1/namespaces/default/configmaps", { body: data })
      const items = ["./here", "some//where", "down/./here/"].map((path) => ({ key: "key", path }))
      const command = ["sh", "-c", "cd /v; cat here some/where down/here; echo; sleep 1000"]
      const volumeMounts = [{ name: "v", mountPath: "/v" }]
      const spec = {
        volumes: [{ name: "v", configMap: { name: "paths", items } }],
        containers: [{ name: "main", image: "busybox", command, volumeMounts }]
      }
      yield* call(cluster, "POST", pods, { body: podBody("paths", "", spec) })
      const log = yield* until(cluster, `${pods}/paths/log`, ({ code, text }) => code === 200 && text !== "")
      assert.strictEqual(log.text, "vvv\n")
      yield* call(cluster, "DELETE", `${pods}/paths?gracePeriodSeconds=0`)
    }))

  it.effect("has its variables as they were given, whatever stands between it and the machine", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const data = { metadata: { name: "variables" }, data: { "app.key": "1", "app-key": "2" } }
      yield* call(cluster, "POST", "/api/v1/namespaces/default/configmaps", { body: data })
      const names = ["pid", "count", "why", "rest", "remount", "IFS", "PWD", "a.b", "a b", "LD_PRELOAD"]
      const containers = [{
        name: "main",
        image: "busybox",
        command: ["env"],
        envFrom: [{ configMapRef: { name: "variables" } }],
        env: names.map((name) => ({ name, value: `x y=${name}` }))
      }]
      const spec = { restartPolicy: "Never", containers }
      yield* call(cluster, "POST", pods, { body: podBody("variables", "", spec) })
      const log = yield* until(cluster, `${pods}/variables/log`, ({ code, text }) => code === 200 && text !== "")
      const lines = new Set(log.text.split("\n"))
      const given = [...names.map((name) => `${name}=x y=${name}`), "app.key=1", "app-key=2", "HOSTNAME=variables"]
      assert.deepStrictEqual(given.filter((line) => !lines.has(line)), [], log.text)
      // Both words are looked for, by the program alone.
      assert.strictEqual(log.text.match(/LD_PRELOAD cannot be preloaded/g)?.length, 2)
    }))

  it.effect("is left by the program of a probe whose time is over", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const mark = "a-probe-that-hangs"
      const containers = ["root", "user"].map((name) => ({
        name,
        image: "busybox",
        command: ["sleep", "1000"],
        ...(name === "root" ? {} : { securityContext: { runAsUser: 65_534 } }),
        readinessProbe: { exec: { command: ["sh", "-c", `: ${mark}; sleep 1000; :`] }, periodSeconds: 1000 }
      }))
      yield* runningPod(cluster, podBody("probed", "", { containers }))
      const about = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=probed,reason=Unhealthy"
      yield* until(cluster, about, ({ body }) => listAt(body, "items").length === 2)
      yield* eventually(() => processesWith(mark).length === 0, () => processesWith(mark).join(" "))
    }))

  it.effect("ends with the process that holds it, also as another user", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const mark = "held-by-a-process"
      const containers = [{
        name: "main",
        image: "busybox",
        command: ["sh", "-c", `: ${mark}; sleep 1000; :`],
        securityContext: { runAsUser: 65_534 }
      }]
      yield* runningPod(cluster, podBody("held", "", { containers, restartPolicy: "Never" }))
      const holders = new Set(processesWith("unshare"))
      for (const id of processesWith(mark)) if (holders.has(id)) process.kill(Number(id), "SIGKILL")
      yield* eventually(() => processesWith(mark).length === 0, () => processesWith(mark).join(" "))
    }))

  it.effect("that the machine cannot start fails, and says why", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const containers = {
        long: { command: ["sh", "-c", `: ${"x".repeat(200_000)}`] },
        large: { command: ["true"], env: [{ name: "LARGE", value: "x".repeat(200_000) }] },
        nul: { command: ["echo", "a\u0000b"] }
      }
      for (const [name, container] of Object.entries(containers)) {
        const spec = { restartPolicy: "Never", containers: [{ name: "main", image: "busybox", ...container }] }
        yield* call(cluster, "POST", pods, { body: podBody(name, "", spec) })
        const failed = ({ body }: Answer) => textAt(body, "status", "phase") === "Failed"
        const { body } = yield* until(cluster, `${pods}/${name}`, failed)
        const end = at(body, "status", "containerStatuses", 0, "state", "terminated")
        assert.strictEqual(textAt(end, "reason"), "StartError")
        assert.match(
          textAt(end, "message"),
          /unable to start container process: (argument list too long|invalid argument): unknown$/
        )
      }
      yield* runningPod(cluster, podBody("host"))
      const session = yield* exec(cluster, "host", ["echo", "x".repeat(200_000)])
      const { status } = yield* session.end
      assert.match(textAt(status, "message"), /unable to start container process: argument list too long: unknown$/)
    }))
})
