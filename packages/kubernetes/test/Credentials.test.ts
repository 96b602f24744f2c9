import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Cluster } from "kuberun"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layer } from "../src/index.ts"
import { exitOf, request, success } from "./ExecScript.ts"
import { answer, make, until } from "./ScriptedServer.ts"

const ref = { namespace: "n", name: "p" }
const pod = { metadata: { ...ref, uid: "u" } }

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const cluster = (port: number, changes: { readonly cluster?: object; readonly user?: object }) =>
  Layer.build(layer({
    _tag: "Kubeconfig",
    text: Redacted.make(JSON.stringify({
      clusters: [{
        name: "c",
        cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true, ...changes.cluster }
      }],
      users: [{ name: "u", user: { ...changes.user } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x"
    }))
  })).pipe(Effect.map(Context.get(Cluster)))

const plugin = (script: string) => ({
  exec: { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: ["-e", script] }
})

const hasEnded = (pid: number) => {
  try {
    return !process.kill(pid, 0)
  } catch {
    return true
  }
}

const server = make({
  rest: (_, response) => answer(response, 200, pod),
  exec: (socket) => {
    socket.send(success)
    socket.close(1000)
  }
})

describe("a credential plugin", () => {
  it.live("runs once for many calls that wait for it", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "runs")
      writeFileSync(path, "")
      const { port, requests } = yield* server
      const script = `require("fs").appendFileSync(${JSON.stringify(path)}, "x");` +
        "console.log(JSON.stringify({ status: { token: \"from-plugin\" } }))"
      const port1 = yield* cluster(port, { user: plugin(script) })
      yield* Effect.forEach([1, 2, 3, 4], () => port1.readPod(ref), { concurrency: "unbounded" })
      assert.strictEqual(readFileSync(path, "utf8"), "x")
      assert.deepStrictEqual(
        requests.map((each) => each.headers.authorization),
        Array.from({ length: 4 }, () => "Bearer from-plugin")
      )
    }))

  it.live("that fails is told in its own words", () =>
    Effect.gen(function*() {
      const { port } = yield* server
      const port1 = yield* cluster(port, { user: plugin("console.error('please log in'); process.exit(1)") })
      const error = yield* Effect.flip(port1.readPod(ref))
      assert.strictEqual(error.reason._tag, "Misconfigured")
      assert.strictEqual(error.message, "cannot read pod n/p: the credentials cannot be used: please log in")
    }))

  it.effect("that hangs is not waited for, and is ended", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "pid")
      const { port } = yield* server
      const script = `require("fs").writeFileSync(${JSON.stringify(path)}, String(process.pid));` +
        "setInterval(() => undefined, 1000)"
      const port1 = yield* cluster(port, { user: plugin(script) })
      const call = yield* Effect.flip(port1.readPod(ref)).pipe(Effect.forkChild({ startImmediately: true }))
      const pid = () => {
        try {
          return Number(readFileSync(path, "utf8"))
        } catch {
          return 0
        }
      }
      yield* until(() => pid() > 0)
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(call)
      yield* until(() => hasEnded(pid()))
      assert.strictEqual(error.reason._tag, "Misconfigured")
      assert.include(error.message, "not there within 30s")
    }))

  it.live("is told in KUBERNETES_EXEC_INFO what it is for, and of the cluster where the kubeconfig asks for that", () =>
    Effect.gen(function*() {
      const { port, requests } = yield* server
      const script = "console.log(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', status: { token: " +
        "Buffer.from(process.env.KUBERNETES_EXEC_INFO + process.env.EXTRA).toString('base64url') } }))"
      const { exec } = plugin(script)
      const env = [{ name: "EXTRA", value: "+extra" }]
      const told = (authorization: string | undefined) =>
        Buffer.from((authorization ?? "").replace("Bearer ", ""), "base64url").toString()
      yield* (yield* cluster(port, { user: { exec: { ...exec, env } } })).readPod(ref)
      yield* (yield* cluster(port, { user: { exec: { ...exec, env, provideClusterInfo: true } } })).readPod(ref)
      const info = (more: object) =>
        `${
          JSON.stringify({
            apiVersion: "client.authentication.k8s.io/v1",
            kind: "ExecCredential",
            spec: { interactive: false, ...more }
          })
        }+extra`
      assert.deepStrictEqual(requests.map(({ headers }) => told(headers.authorization)), [
        info({}),
        info({ cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } })
      ])
    }))

  it.live("is asked again when its credential has expired, or was refused, and not before", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "runs")
      writeFileSync(path, "")
      let refusing = false
      const { port, requests } = yield* make({
        rest: (_, response) => refusing ? answer(response, 401, { reason: "Unauthorized" }) : answer(response, 200, pod)
      })
      const script = (expires: string) =>
        `const fs = require("fs"), path = ${JSON.stringify(path)}; fs.appendFileSync(path, "x");` +
        `console.log(JSON.stringify({ status: { token: fs.readFileSync(path, "utf8"), ${expires} } }))`
      const lasting = yield* cluster(port, { user: plugin(script("expirationTimestamp: '2999-01-01T00:00:00Z'")) })
      yield* lasting.readPod(ref)
      yield* lasting.readPod(ref)
      refusing = true
      assert.strictEqual((yield* Effect.flip(lasting.readPod(ref))).reason._tag, "Unauthorized")
      refusing = false
      yield* lasting.readPod(ref)
      const expired = yield* cluster(port, { user: plugin(script("expirationTimestamp: '2001-01-01T00:00:00Z'")) })
      yield* expired.readPod(ref)
      yield* expired.readPod(ref)
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers.authorization?.replace("Bearer ", "").length),
        [1, 1, 1, 2, 3, 4]
      )
    }))

  const broken: ReadonlyArray<readonly [string, object, string]> = [
    ["prints no JSON", plugin("console.log('top-secret')"), "did not print JSON"],
    ["prints neither token nor certificate", plugin("console.log('{}')"), "neither a token nor a client certificate"],
    [
      "prints a certificate alone",
      plugin("console.log(JSON.stringify({ status: { token: 'top-secret', clientCertificateData: 'c' } }))"),
      "without its key"
    ],
    [
      "answers in another version",
      plugin("console.log(JSON.stringify({ apiVersion: 'v9', status: { token: 'top-secret' } }))"),
      "answered in \"v9\""
    ],
    ["says nothing", plugin("process.exit(3)"), "exit status 3"],
    ["is not there", { exec: { command: "kuberun-no-such", installHint: "install it" } }, "is not there: install it"],
    ["wants a person", { exec: { command: "x", interactiveMode: "Always" } }, "interactiveMode: Always"],
    ["has no command", { exec: {} }, "has no command"]
  ]
  for (const [name, user, words] of broken) {
    it.live(`that ${name} is told, without what it printed`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip((yield* cluster(1, { user })).readPod(ref))
        assert.strictEqual(error.reason._tag, "Misconfigured")
        assert.include(error.message, words)
        assert.notInclude(error.message, "top-secret")
      }))
  }
})

describe("a file of credentials", () => {
  const missing: ReadonlyArray<{ readonly cluster?: object; readonly user?: object }> = [
    { cluster: { "certificate-authority": "/nowhere/ca" } },
    { user: { "client-certificate": "/nowhere/cert", "client-key": "/nowhere/key" } },
    { user: { tokenFile: "/nowhere/token" } }
  ]
  for (const changes of missing) {
    it.live(`that is missing is told when the layer is built: ${JSON.stringify(changes)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(cluster(1, changes))
        assert.strictEqual(error.reason._tag, "Misconfigured")
        assert.include(error.message, "/nowhere/")
      }))
  }
})

describe("a proxy", () => {
  it.live("named in the kubeconfig carries requests and execs", () =>
    Effect.gen(function*() {
      const tunnels: Array<string> = []
      const proxy = yield* Effect.acquireRelease(
        Effect.callback<{ readonly port: number; readonly close: Effect.Effect<void> }>((resume) => {
          const open = new Set<{ destroy: () => unknown }>()
          // Plain http goes through a proxy in whole (RFC 9112 §3.2.2); everything else by CONNECT.
          const server = createServer((passed, response) => {
            tunnels.push(String(passed.url))
            answer(response, 200, pod)
          })
          server.on("connect", (connected, socket) => {
            tunnels.push(String(connected.url))
            const [host = "", port = ""] = String(connected.url).split(":")
            const upstream = connect(Number(port), host, () => {
              socket.write("HTTP/1.1 200 Connected\r\n\r\n")
              socket.pipe(upstream).pipe(socket)
            })
            for (const end of [socket, upstream]) {
              open.add(end)
              end.on("error", () => undefined)
            }
          })
          server.listen(0, "127.0.0.1", () => {
            const { port } = server.address() as AddressInfo
            const close = Effect.callback<void>((done) => {
              for (const end of open) end.destroy()
              server.closeAllConnections()
              server.close(() => done(Effect.void))
            })
            resume(Effect.succeed({ port, close }))
          })
        }),
        (each) => each.close
      )
      const { port } = yield* server
      const port1 = yield* cluster(port, { cluster: { "proxy-url": `http://127.0.0.1:${proxy.port}` } })
      yield* port1.readPod(ref)
      assert.strictEqual(yield* exitOf(yield* port1.exec(request)), "0")
      assert.deepStrictEqual(tunnels, [
        `http://127.0.0.1:${port}/api/v1/namespaces/n/pods/p`,
        `127.0.0.1:${port}`
      ])
    }))
})
