import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Cluster, type ClusterError } from "kuberun"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import type { ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { Dispatcher } from "undici"
import * as ApiCall from "../src/ApiCall.ts"
import { type ConnectionSettings, layer } from "../src/index.ts"
import { answer, clusterAt, make, scripted, until } from "./ScriptedServer.ts"
import { settings } from "./Settings.ts"

const ref = { namespace: "n", name: "p" }
const pod = { metadata: { ...ref, uid: "u" } }

const reasonOf = <A>(effect: Effect.Effect<A, ClusterError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

const connection = (host: string, changes: Partial<ConnectionSettings> = {}): ConnectionSettings => ({
  ...settings,
  host,
  qps: 0,
  burst: 0,
  ...changes
})

const connected = (settings: ConnectionSettings) =>
  Layer.build(layer({ _tag: "Connection", connection: settings })).pipe(Effect.map(Context.get(Cluster)))

describe("a call", () => {
  it.effect("that is not answered in time fails with CallTimedOut, says what it was, and is aborted", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({}, { callTimeout: "10 seconds" })
      const call = yield* Effect.flip(cluster.readPod(ref)).pipe(Effect.forkChild({ startImmediately: true }))
      yield* until(() => server.requests.length === 1)
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(call)
      assert.strictEqual(error.reason._tag, "CallTimedOut")
      assert.strictEqual(error.message, "cannot read pod n/p: the API server did not answer within 10s")
      yield* until(() => server.open() === 0)
    }))

  it.effect("whose answer stops in the middle is not waited for either", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({
        rest: (_, response) => {
          response.writeHead(200, { "content-type": "application/json" })
          response.write("{\"metadata\":")
        }
      }, { callTimeout: "10 seconds" })
      const call = yield* reasonOf(cluster.readPod(ref)).pipe(Effect.forkChild({ startImmediately: true }))
      yield* until(() => server.requests.length === 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(call), "CallTimedOut")
    }))

  it.live("is aborted when its fiber is interrupted", () =>
    Effect.gen(function*() {
      let hungUp = false
      const { cluster, server } = yield* scripted({
        rest: (_, response) => {
          response.on("close", () => {
            hungUp = true
          })
        }
      })
      const call = yield* cluster.readPod(ref).pipe(Effect.forkChild({ startImmediately: true }))
      yield* until(() => server.requests.length === 1)
      yield* Fiber.interrupt(call)
      yield* until(() => hungUp)
    }))

  it.live("shares connections with other calls: 20 in a row need at most 2", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({ rest: (_, response) => answer(response, 200, pod) })
      yield* Effect.repeat(cluster.readPod(ref), { times: 19 })
      assert.strictEqual(server.requests.length, 20)
      assert.isAtMost(server.accepted(), 2)
    }))

  it.live("leaves no connection open after the layer's end", () =>
    Effect.gen(function*() {
      const server = yield* make({ rest: (_, response) => answer(response, 200, pod) })
      yield* Effect.scoped(Effect.flatMap(clusterAt(server.port), (cluster) => cluster.readPod(ref)))
      // Time for the news to get here, but not for an idle connection's own limit.
      yield* Effect.repeat(until(() => true), { times: 1000 })
      assert.strictEqual(server.open(), 0)
      assert.strictEqual(server.accepted(), 1)
    }))

  it.live("to nobody is Unreachable", () =>
    Effect.gen(function*() {
      const server = yield* Effect.scoped(make({}))
      const cluster = yield* clusterAt(server.port)
      const error = yield* Effect.flip(cluster.readPod(ref))
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.include(error.message, "the connection was refused")
    }))

  it.live("that is cut off is Unreachable", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({ rest: (request) => request.socket.destroy() })
      assert.strictEqual(
        yield* reasonOf(cluster.createPod({ apiVersion: "v1", kind: "Pod", ...pod, spec: { containers: [] } })),
        "Unreachable"
      )
    }))

  const answers: ReadonlyArray<readonly [string, (response: ServerResponse) => void, string]> = [
    ["that is no JSON", (response) => response.end("<html>"), "ProtocolViolation"],
    ["that is no pod", (response) => answer(response, 200, { kind: "Status" }), "ProtocolViolation"],
    ["404 with a Status", (response) => answer(response, 404, { reason: "NotFound", message: "m" }), "NotFound"],
    ["409 for another identity", (response) => answer(response, 409, { reason: "Conflict", message: "m" }), "Conflict"],
    ["302", (response) => response.writeHead(302, { location: "/elsewhere" }).end(), "Rejected"]
  ]
  for (const [name, respond, reason] of answers) {
    it.live(`with an answer ${name} fails with ${reason}`, () =>
      Effect.gen(function*() {
        const { cluster, server } = yield* scripted({ rest: (_, response) => respond(response) })
        assert.strictEqual(yield* reasonOf(cluster.readPod(ref)), reason)
        assert.strictEqual(server.requests.length, 1)
      }))
  }

  it.live("takes Retry-After from the header", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({
        rest: (_, response) => response.writeHead(429, { "retry-after": "4" }).end()
      })
      const error = yield* Effect.flip(cluster.readPod(ref))
      assert.deepInclude(error.reason, { _tag: "TooManyRequests", retryAfterSeconds: 4 })
    }))

  it.live("to delete says which identity is meant, and how long the pod may take", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({ rest: (_, response) => answer(response, 200, pod) })
      yield* cluster.deletePod(ref, { uid: "u", gracePeriodSeconds: 0 })
      yield* cluster.deletePod(ref)
      const [first, second] = server.requests.map((request): unknown => JSON.parse(request.body ?? ""))
      assert.deepInclude(first, { preconditions: { uid: "u" }, gracePeriodSeconds: 0 })
      assert.notProperty(second, "preconditions")
      assert.notProperty(second, "gracePeriodSeconds")
    }))

  for (const name of ["", ".", "..", "p/log", "p%2Flog"]) {
    it.live(`about a pod named "${name}" is not sent: its path would be another one`, () =>
      Effect.gen(function*() {
        const { cluster, server } = yield* scripted({ rest: (_, response) => answer(response, 200, pod) })
        assert.strictEqual(yield* reasonOf(cluster.deletePod({ namespace: "n", name })), "Rejected")
        assert.strictEqual(yield* reasonOf(cluster.readPod({ namespace: name, name: "p" })), "Rejected")
        assert.strictEqual(server.requests.length, 0)
      }))
  }

  it.live("encodes what is in a name", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({ rest: (_, response) => answer(response, 200, pod) })
      yield* cluster.readPod({ namespace: "a&b", name: "c?d#e " })
      assert.strictEqual(server.requests[0]?.url, "/api/v1/namespaces/a%26b/pods/c%3Fd%23e%20")
    }))
})

describe("a stream of bytes", () => {
  it.live("whose reader goes just as the answer arrives ends nobody's process", () =>
    Effect.gen(function*() {
      // As undici's own body does it: destroyed before anybody had a chance to listen, it tells so a turn later.
      const body = new Readable({ read: () => undefined, destroy: (error, done) => setImmediate(done, error) })
      let arrive: (() => void) | undefined
      const dispatcher = Object.assign(new Dispatcher(), {
        request: ({ signal }: { readonly signal: AbortSignal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => body.destroy(new Error("aborted")))
            arrive = () => resolve({ statusCode: 200, headers: {}, body })
          })
      })
      const api = ApiCall.make({
        server: "http://127.0.0.1",
        forRequest: () => Effect.succeed({ headers: {}, dispatcher }),
        forSocket: () => Effect.succeed({ headers: {}, tls: {} }),
        refused: Effect.void
      }, { timeout: Duration.infinity, turn: () => Effect.void })
      const reader = yield* Stream.runDrain(api.bytes("read", { method: "GET", path: "/api" })).pipe(
        Effect.forkChild({ startImmediately: true })
      )
      yield* until(() => arrive !== undefined)
      arrive?.()
      yield* Fiber.interrupt(reader)
      yield* until(() => body.closed)
    }))
})

describe("a connection by settings", () => {
  const served = make({ rest: (_, response) => answer(response, 200, pod) })

  it.live("uses the prefix before /api, and basic authentication", () =>
    Effect.gen(function*() {
      const server = yield* served
      const cluster = yield* connected(connection(`http://127.0.0.1:${server.port}`, {
        path: "/proxy/api",
        username: "me",
        password: Redacted.make("pw")
      }))
      yield* cluster.readPod(ref)
      assert.strictEqual(server.requests[0]?.url, "/proxy/api/v1/namespaces/n/pods/p")
      assert.strictEqual(server.requests[0]?.headers.authorization, `Basic ${btoa("me:pw")}`)
    }))

  it.live("reads a token's file again when it was rotated", () =>
    Effect.gen(function*() {
      const server = yield* served
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const file = join(folder, "token")
      writeFileSync(file, "old\n")
      const cluster = yield* connected(connection(`http://127.0.0.1:${server.port}`, { bearerTokenFile: file }))
      yield* cluster.readPod(ref)
      writeFileSync(file, "new\n")
      yield* cluster.readPod(ref)
      rmSync(file)
      const error = yield* Effect.flip(cluster.readPod(ref))
      assert.deepStrictEqual(server.requests.map((each) => each.headers.authorization), ["Bearer old", "Bearer new"])
      assert.strictEqual(error.reason._tag, "Misconfigured")
      assert.include(error.message, file)
      assert.isAtMost(server.accepted(), 2)
    }))

  it.effect("makes no more calls than qps and burst allow", () =>
    Effect.gen(function*() {
      const server = yield* served
      const cluster = yield* connected(connection(`http://127.0.0.1:${server.port}`, { qps: 1, burst: 2 }))
      const calls = yield* Effect.forEach([1, 2, 3, 4], () => cluster.readPod(ref), { concurrency: "unbounded" }).pipe(
        Effect.forkChild({ startImmediately: true })
      )
      yield* until(() => server.requests.length === 2)
      yield* TestClock.adjust("1 second")
      yield* until(() => server.requests.length === 3)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(calls)
      assert.strictEqual(server.requests.length, 4)
    }))

  it.live("that contradicts itself is told when the layer is built", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(connected(connection("a b")))
      assert.strictEqual(error.reason._tag, "Misconfigured")
    }))
})
