/**
 * Every key of the connection's settings, and a service account, as a server sees them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Logger, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Cluster, type ClusterError } from "kuberun"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ClusterSource, type ConnectionSettings, layer } from "../src/index.ts"
import { makeCertificate } from "./Certificate.ts"
import { success } from "./ExecScript.ts"
import { answer, make, until } from "./ScriptedServer.ts"
import { settings } from "./Settings.ts"
import { served } from "./TlsServer.ts"

const ref = { namespace: "n", name: "p" }

const built = (source: ClusterSource) => Layer.build(layer(source)).pipe(Effect.map(Context.get(Cluster)))

const connected = (changes: Partial<ConnectionSettings>) =>
  built({ _tag: "Connection", connection: { ...settings, qps: 0, burst: 0, ...changes } })

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Whose certificate the server saw, by a request and by an exec; or the reason why it saw none. */
const peers = (cluster: Cluster["Service"]) => {
  const orReason = (call: Effect.Effect<string, ClusterError>) =>
    Effect.match(call, { onSuccess: (name) => name, onFailure: ({ reason }): string => reason._tag })
  const byExec = Effect.gen(function*() {
    const process = yield* cluster.exec({ pod: ref, container: "c", command: ["x"] })
    const output = yield* Stream.runCollect(process.output)
    return Buffer.concat(output.map(({ bytes }) => bytes)).toString()
  }).pipe(Effect.scoped)
  return Effect.all([orReason(Effect.map(cluster.readPod(ref), ({ metadata }) => metadata.name)), orReason(byExec)])
}

const both = (text: string) => [text, text]

describe("a connection over TLS", () => {
  const certificates = Effect.all([makeCertificate("api.test"), makeCertificate("client-one"), makeCertificate("x")])

  it.live("verifies by cacert and serverName and shows cert and key, inline or by file, inline first", () =>
    Effect.gen(function*() {
      const [own, client, other] = yield* certificates
      const { port } = yield* served(own.certificate, own.key)
      const path = yield* folder
      const file = (name: string, text: string) => {
        writeFileSync(join(path, name), text)
        return join(path, name)
      }
      const inline = {
        cacert: own.certificate,
        cert: client.certificate,
        key: Redacted.make(client.key)
      }
      const files = {
        cacertFile: file("ca", own.certificate),
        certFile: file("cert", client.certificate),
        keyFile: file("key", client.key)
      }
      const wrong = {
        cacertFile: file("other-ca", other.certificate),
        certFile: file("other-cert", other.certificate),
        keyFile: file("other-key", other.key)
      }
      const at = { host: `127.0.0.1:${port}`, serverName: "api.test" }
      const seen = (changes: Partial<ConnectionSettings>) => Effect.flatMap(connected({ ...at, ...changes }), peers)
      assert.deepStrictEqual(yield* seen(inline), both("client-one"))
      assert.deepStrictEqual(yield* seen(files), both("client-one"))
      assert.deepStrictEqual(yield* seen({ ...wrong, ...inline }), both("client-one"))
      assert.deepStrictEqual(yield* seen({ ...files, ...wrong }), both("Unreachable"))
      assert.deepStrictEqual(yield* seen({ ...files, serverName: "other.test" }), both("Unreachable"))
      assert.deepStrictEqual(yield* seen({ ...files, cacertFile: "" }), both("Unreachable"))
      assert.deepStrictEqual(yield* seen({ insecure: true, serverName: "" }), both("undefined"))
    }))

  it.live("uses a client certificate that was rotated", () =>
    Effect.gen(function*() {
      const [own, first, second] = yield* certificates
      const { port } = yield* served(own.certificate, own.key)
      const path = yield* folder
      const write = ({ certificate, key }: { certificate: string; key: string }) => {
        writeFileSync(join(path, "cert"), certificate)
        writeFileSync(join(path, "key"), key)
      }
      write(first)
      const cluster = yield* connected({
        host: `https://127.0.0.1:${port}`,
        insecure: true,
        certFile: join(path, "cert"),
        keyFile: join(path, "key")
      })
      assert.deepStrictEqual(yield* peers(cluster), both("client-one"))
      write(second)
      assert.deepStrictEqual(yield* peers(cluster), both("x"))
    }))

  it.live("says who asks by basic authentication, a token, or a token's file that rotates, also to open streams", () =>
    Effect.gen(function*() {
      const [own] = yield* certificates
      const { port, seen } = yield* served(own.certificate, own.key)
      const token = join(yield* folder, "token")
      writeFileSync(token, "filed\n")
      const at = { host: `127.0.0.1:${port}`, insecure: true }
      yield* peers(yield* connected({ ...at, username: "me", password: Redacted.make("p:w") }))
      yield* peers(yield* connected({ ...at, bearerToken: Redacted.make("inline") }))
      const filed = yield* connected({ ...at, bearerToken: Redacted.make("inline"), bearerTokenFile: token })
      yield* peers(filed)
      writeFileSync(token, "rotated\n")
      yield* peers(filed)
      assert.deepStrictEqual(
        seen.map(({ authorization }) => authorization),
        [`Basic ${btoa("me:p:w")}`, "Bearer inline", "Bearer filed", "Bearer rotated"].flatMap(both)
      )
    }))

  for (const key of ["bearerTokenFile", "cacertFile"] as const) {
    it.live(`is told at the start when its ${key} is missing`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(connected({ [key]: "/nowhere/file" }))
        assert.strictEqual(error.reason._tag, "Misconfigured")
        assert.include(error.message, "/nowhere/file")
      }))
  }
})

describe("a service account", () => {
  const account = Effect.gen(function*() {
    const own = yield* makeCertificate("localhost")
    const server = yield* served(own.certificate, own.key)
    const root = yield* folder
    const path = join(root, "var/run/secrets/kubernetes.io/serviceaccount")
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, "ca.crt"), own.certificate)
    writeFileSync(join(path, "token"), "first\n")
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const before = [process.env["KUBERNETES_SERVICE_HOST"], process.env["KUBERNETES_SERVICE_PORT"]]
        Object.assign(process.env, { KUBERNETES_SERVICE_HOST: "localhost", KUBERNETES_SERVICE_PORT: server.port })
        return before
      }),
      ([host, port]) =>
        Effect.sync(() => {
          for (const [name, value] of [["KUBERNETES_SERVICE_HOST", host], ["KUBERNETES_SERVICE_PORT", port]] as const) {
            if (value === undefined) delete process.env[name]
            else process.env[name] = value
          }
        })
    )
    return { ...server, root, path }
  })

  it.live("is used with its token, which rotates, and its authority", () =>
    Effect.gen(function*() {
      const { path, root, seen } = yield* account
      const cluster = yield* built({ _tag: "ServiceAccount", root })
      yield* cluster.readPod(ref)
      writeFileSync(join(path, "token"), "second\n")
      assert.deepStrictEqual(yield* peers(cluster), both("undefined"))
      assert.deepStrictEqual(
        seen.map(({ authorization }) => authorization),
        ["Bearer first", "Bearer second", "Bearer second"]
      )
      rmSync(join(path, "token"))
      const error = yield* Effect.flip(built({ _tag: "ServiceAccount", root }))
      assert.include(error.message, "serviceaccount/token")
    }))

  it.live("is told to be none outside a pod", () =>
    Effect.gen(function*() {
      const { root } = yield* Effect.scoped(account)
      if (process.env["KUBERNETES_SERVICE_HOST"] !== undefined) return
      const error = yield* Effect.flip(built({ _tag: "ServiceAccount", root }))
      assert.include(error.message, "not a pod with a service account")
    }))
})

describe("the limits of calls", () => {
  const lease = { namespace: "n", name: "l", resourceVersion: "1" }
  const open = { pod: ref, container: "c" }
  const operations: ReadonlyArray<
    readonly [string, (cluster: Cluster["Service"]) => Effect.Effect<unknown, ClusterError>, calls: number]
  > = [
    ["readPod", (cluster) => cluster.readPod(ref), 1],
    ["patchPod", (cluster) => cluster.patchPod(ref, {}), 1],
    ["watchPods", (cluster) => Stream.runDrain(cluster.watchPods({ namespace: "n", labels: {} })), 2],
    ["podNotices", (cluster) => Stream.runDrain(cluster.podNotices({ ...ref, uid: "u" })), 2],
    ["exec", (cluster) => Effect.scoped(cluster.exec({ ...open, command: ["x"] })), 1],
    ["attach", (cluster) => Effect.scoped(cluster.attach(open)), 1],
    ["updateLease", (cluster) => cluster.updateLease({ metadata: lease }), 1],
    ["listLeases", (cluster) => cluster.listLeases({ namespace: "n", labels: {} }), 1]
  ]
  const serving = make({
    rest: (request, response) => {
      if (request.url?.includes("watch=true")) return response.writeHead(200).end()
      const isList = request.method === "GET" && !request.url?.endsWith("/p")
      answer(response, 200, isList ? { metadata: { resourceVersion: "1" }, items: [] } : { metadata: ref })
    },
    exec: (socket) => {
      socket.send(success)
      socket.close(1000)
    }
  })

  for (const [name, call, calls] of operations) {
    it.effect(`qps and burst hold ${name} back, and the log says so`, () =>
      Effect.gen(function*() {
        const server = yield* serving
        const lines: Array<unknown> = []
        const logger = Logger.make(({ message }) => {
          lines.push(message)
        })
        const cluster = yield* connected({ host: `http://127.0.0.1:${server.port}`, qps: 0.5, burst: 1 })
        yield* cluster.readPod(ref)
        const fiber = yield* call(cluster).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.forkChild({ startImmediately: true })
        )
        for (let made = 1; made <= calls; made += 1) {
          yield* until(() => lines.length === made)
          assert.match(String(lines.at(-1)), /^waiting 2\.0 s for the API call limit \(qps 0\.5\): /u)
          assert.strictEqual(server.requests.length, made)
          yield* TestClock.adjust("1999 millis")
          assert.strictEqual(server.requests.length, made)
          yield* TestClock.adjust("1 millis")
          yield* until(() => server.requests.length === made + 1)
        }
        yield* Fiber.join(fiber)
      }))
  }

  it.effect("timeout bounds each call, and the way to a stream", () =>
    Effect.gen(function*() {
      const server = yield* make({ upgrade: () => undefined })
      const cluster = yield* connected({ host: `http://127.0.0.1:${server.port}`, timeout: Duration.seconds(3) })
      const calls = yield* Effect.forEach(
        operations.filter(([name]) => !name.startsWith("watch")),
        ([, call]) => Effect.forkChild(Effect.flip(call(cluster)), { startImmediately: true })
      )
      yield* until(() => server.requests.length === calls.length)
      yield* TestClock.adjust("2999 millis")
      assert.isTrue(calls.every((each) => each.pollUnsafe() === undefined))
      yield* TestClock.adjust("1 millis")
      const errors = yield* Effect.forEach(calls, Fiber.join)
      for (const error of errors) assert.strictEqual(error.reason._tag, "CallTimedOut")
      assert.include(errors[0]?.message, "within 3s")
    }))
})
