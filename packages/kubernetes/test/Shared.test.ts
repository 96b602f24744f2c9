import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Cluster, ClusterError, PodsEvent } from "kuberun"
import type { ServerResponse } from "node:http"
import { exitOf, frame, success } from "./ExecScript.ts"
import { answer, scripted, until } from "./ScriptedServer.ts"

const ref = { namespace: "n", name: "p" }
const pod = (name: string) => ({ metadata: { namespace: "n", name } })
const labels = { "kuberun.dev/instance": "a.b_c-1", empty: "" }
const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`

const reasonOf = (call: Effect.Effect<unknown, ClusterError>) =>
  Effect.map(Effect.flip(call), ({ reason }) => reason._tag)

/** A server that answers every call with this. */
const answering = (code: number, value: unknown) => scripted({ rest: (_, response) => answer(response, code, value) })

describe("a change of a pod", () => {
  it.live("is a merge patch of labels and annotations with the state it is meant for, and of nothing else", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* answering(200, pod("p"))
      const patch = { labels: { a: "1", b: null }, annotations: { c: null }, finalizers: ["x"] }
      yield* cluster.patchPod(ref, patch, { uid: "u", resourceVersion: "7" })
      yield* cluster.patchPod(ref, { labels: { a: "1" } })
      assert.deepStrictEqual(
        server.requests.map(({ headers, method, url }) => [method, url, headers["content-type"]]),
        Array.from({ length: 2 }, () => ["PATCH", "/api/v1/namespaces/n/pods/p", "application/merge-patch+json"])
      )
      const bodies = server.requests.map((request): unknown => JSON.parse(request.body ?? ""))
      assert.deepStrictEqual(bodies, [
        { metadata: { labels: { a: "1", b: null }, annotations: { c: null }, uid: "u", resourceVersion: "7" } },
        { metadata: { labels: { a: "1" } } }
      ])
    }))

  const invalid = (field: string) => ({
    kind: "Status",
    status: "Failure",
    reason: "Invalid",
    code: 422,
    message: `Pod "p" is invalid: ${field}: Invalid value: "x": field is immutable`
  })

  it.live("meant for another identity is a Conflict, though the API server calls the patch invalid", () =>
    Effect.gen(function*() {
      const { cluster } = yield* answering(422, invalid("metadata.uid"))
      assert.strictEqual(yield* reasonOf(cluster.patchPod(ref, {}, { uid: "u" })), "Conflict")
      assert.strictEqual(yield* reasonOf(cluster.patchPod(ref, {}, { resourceVersion: "1" })), "Rejected")
      const other = yield* answering(422, invalid("metadata.labels"))
      assert.strictEqual(yield* reasonOf(other.cluster.patchPod(ref, {}, { uid: "u" })), "Rejected")
    }))

  for (const [reason, tag] of [["Conflict", "Conflict"], ["AlreadyExists", "AlreadyExists"], [undefined, "Conflict"]]) {
    it.live(`refused with 409 and the reason ${reason} is ${tag}`, () =>
      Effect.gen(function*() {
        const { cluster } = yield* answering(409, { kind: "Status", status: "Failure", reason, message: "m" })
        assert.strictEqual(yield* reasonOf(cluster.patchPod(ref, {}, { resourceVersion: "1" })), tag)
      }))
  }
})

describe("a deletion", () => {
  it.live("is meant for an identity and a state", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* answering(200, pod("p"))
      yield* cluster.deletePod(ref, { uid: "u", resourceVersion: "7" })
      yield* cluster.deleteLease(ref, { uid: "u", resourceVersion: "7" })
      yield* cluster.deleteLease(ref)
      const bodies = server.requests.map((request) => JSON.parse(request.body ?? "").preconditions as unknown)
      assert.deepStrictEqual(bodies, [
        { uid: "u", resourceVersion: "7" },
        { uid: "u", resourceVersion: "7" },
        undefined
      ])
      assert.strictEqual(server.requests[1]?.url, "/apis/coordination.k8s.io/v1/namespaces/n/leases/p")
    }))
})

describe("labels in a selector", () => {
  it.live("are encoded, and without any all objects are meant", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* answering(200, { metadata: { resourceVersion: "1" }, items: [] })
      yield* cluster.listPods({ namespace: "n", labels })
      yield* cluster.listLeases({ namespace: "n", labels })
      yield* cluster.listPods({ namespace: "n", labels: {} })
      const selector = "labelSelector=kuberun.dev%2Finstance%3Da.b_c-1%2Cempty%3D"
      assert.deepStrictEqual(server.requests.map(({ url }) => url), [
        `/api/v1/namespaces/n/pods?${selector}`,
        `/apis/coordination.k8s.io/v1/namespaces/n/leases?${selector}`,
        "/api/v1/namespaces/n/pods?labelSelector="
      ])
    }))

  const bad: ReadonlyArray<readonly [key: string, value: string]> = [
    ["user", "a,other=b"],
    ["user", "a b"],
    ["user", "!a"],
    ["user", "x".repeat(64)],
    ["user", "a\n"],
    ["user", "\uD800"],
    ["user,other", "a"],
    ["!user", "a"],
    ["", "a"]
  ]
  for (const [key, value] of bad) {
    it.live(`that no object can carry are not sent: ${JSON.stringify([key, value])}`, () =>
      Effect.gen(function*() {
        const { cluster, server } = yield* answering(200, { metadata: { resourceVersion: "1" }, items: [] })
        const asked = { namespace: "n", labels: { fine: "yes", [key]: value } }
        assert.deepStrictEqual([
          yield* reasonOf(cluster.listPods(asked)),
          yield* reasonOf(cluster.listLeases(asked)),
          yield* reasonOf(Stream.runDrain(cluster.watchPods(asked)))
        ], ["Rejected", "Rejected", "Rejected"])
        assert.strictEqual(server.requests.length, 0)
      }))
  }

  it.live("and names in a field selector cannot say more than they are", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* answering(410, {})
      yield* Effect.ignore(Stream.runDrain(cluster.watchPod({ namespace: "n", name: "p,status.phase=\\\uD800" })))
      assert.strictEqual(
        server.requests[0]?.url,
        "/api/v1/namespaces/n/pods?fieldSelector=metadata.name%3Dp%5C%2Cstatus.phase%5C%3D%5C%5C%EF%BF%BD"
      )
    }))
})

/** Lists one pod; what the watch answers, the test says. */
const watched = (watch: (response: ServerResponse) => void) =>
  scripted({
    rest: (request, response) =>
      request.url?.includes("watch=true")
        ? watch(response)
        : answer(response, 200, { metadata: { resourceVersion: "5" }, items: [pod("one")] })
  })

const follow = (cluster: Cluster["Service"]) =>
  Effect.gen(function*() {
    const events: Array<PodsEvent> = []
    const end = yield* Stream.runForEach(
      cluster.watchPods({ namespace: "n", labels }),
      (event) => Effect.sync(() => events.push(event))
    ).pipe(
      Effect.match({ onSuccess: () => "end", onFailure: (error) => error.reason._tag }),
      Effect.forkChild({ startImmediately: true })
    )
    const told = () =>
      events.map((event) =>
        event._tag === "Listed"
          ? event.pods.map(({ metadata }) => metadata.name).join()
          : `${event._tag} ${event.pod.metadata.name}`
      )
    return { told, end }
  })

describe("a watch of pods", () => {
  it.live("lists, then tells each that came, changed or went, and ends when the server ends it", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* watched((response) => {
        response.write(line("ADDED", pod("two")) + line("BOOKMARK", { metadata: { resourceVersion: "6" } }))
        response.end(line("MODIFIED", pod("one")) + line("DELETED", pod("two")))
      })
      const { end, told } = yield* follow(cluster)
      assert.strictEqual(yield* Fiber.join(end), "end")
      assert.deepStrictEqual(told(), ["one", "Put two", "Put one", "Removed two"])
      assert.match(server.requests[1]?.url ?? "", /labelSelector=kuberun.dev%2Finstance%3D.*&resourceVersion=5&/u)
    }))

  const faults: ReadonlyArray<readonly [string, (response: ServerResponse) => void, string]> = [
    ["Expired on HTTP 410", (response) => answer(response, 410, { reason: "Expired", message: "too old" }), "Expired"],
    ["Expired on an ERROR of 410", (response) => response.end(line("ERROR", { code: 410 })), "Expired"],
    ["StreamLost when it is cut", (response) => response.write("{", () => response.destroy()), "StreamLost"],
    ["ProtocolViolation on what is no pod", (response) => response.end(line("ADDED", {})), "ProtocolViolation"]
  ]
  for (const [name, watch, reason] of faults) {
    it.live(`fails with ${name}`, () =>
      Effect.gen(function*() {
        const { cluster } = yield* watched(watch)
        const { end, told } = yield* follow(cluster)
        assert.strictEqual(yield* Fiber.join(end), reason)
        assert.deepStrictEqual(told(), ["one"])
      }))
  }

  it.effect("fails with StreamLost when nothing is heard for 150 s", () =>
    Effect.gen(function*() {
      const { cluster } = yield* watched((response) => response.write(line("ADDED", pod("two"))))
      const { end, told } = yield* follow(cluster)
      yield* until(() => told().length === 2)
      yield* TestClock.adjust("149 seconds")
      assert.isUndefined(end.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(end), "StreamLost")
    }))
})

describe("an attach", () => {
  it.live("asks for the container's streams: stderr only where there is no terminal", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({
        exec: (socket) => {
          socket.send(frame(1, "out"))
          socket.send(success)
          socket.close(1000)
        }
      })
      const plain = yield* cluster.attach({ pod: ref, container: "c" })
      const terminal = yield* cluster.attach({ pod: ref, container: "c", terminal: { columns: 80, rows: 24 } })
      assert.deepStrictEqual([yield* exitOf(plain), yield* exitOf(terminal)], ["0", "0"])
      const path = "/api/v1/namespaces/n/pods/p/attach?container=c&stdin=true&stdout=true"
      assert.deepStrictEqual(server.requests.map(({ url }) => url), [`${path}&stderr=true`, `${path}&tty=true`])
    }).pipe(Effect.scoped))

  it.live("that breaks off without a status fails, and one that is refused says why", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({ exec: (socket) => socket.terminate() })
      assert.strictEqual(yield* exitOf(yield* cluster.attach({ pod: ref, container: "c" })), "StreamLost")
      const refused = yield* scripted({
        upgrade: (_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
      })
      assert.strictEqual(
        yield* reasonOf(Effect.scoped(refused.cluster.attach({ pod: ref, container: "c" }))),
        "Forbidden"
      )
    }).pipe(Effect.scoped))
})
