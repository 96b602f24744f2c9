import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Cluster, PodEvent } from "kuberun"
import type { ServerResponse } from "node:http"
import * as JsonLines from "../src/JsonLines.ts"
import { answer, scripted, until } from "./ScriptedServer.ts"

const ref = { namespace: "n", name: "p" }
const pod = (version: string) => ({ metadata: { ...ref, uid: "u", resourceVersion: version } })
const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`

/** Lists these items at version 5; what the watch answers, the test says. */
const watched = (items: ReadonlyArray<unknown>, watch: (response: ServerResponse) => void) =>
  scripted({
    rest: (request, response) =>
      request.url?.includes("watch=true")
        ? watch(response)
        : answer(response, 200, { metadata: { resourceVersion: "5" }, items })
  })

/** What came, and how it ended: the reason's name, or "end". */
const follow = (cluster: Cluster["Service"]) =>
  Effect.gen(function*() {
    const events: Array<PodEvent> = []
    const end = yield* Stream.runForEach(cluster.watchPod(ref), (event) =>
      Effect.sync(() => {
        events.push(event)
      })).pipe(
        Effect.match({ onSuccess: () => "end", onFailure: (error) => error.reason._tag }),
        Effect.forkChild({ startImmediately: true })
      )
    return { events, end: Fiber.join(end), fiber: end }
  })

const tags = (events: ReadonlyArray<PodEvent>) =>
  events.map((event) => event._tag === "Present" ? event.pod.metadata.resourceVersion : "absent")

describe("a pod's watch", () => {
  it.live("begins with what is there, tells each change, skips bookmarks, and ends when the server ends it", () =>
    Effect.gen(function*() {
      const { cluster } = yield* watched([pod("4")], (response) => {
        response.write(line("BOOKMARK", { kind: "Pod", metadata: { resourceVersion: "6" } }))
        response.write(line("MODIFIED", pod("7")))
        response.end(line("DELETED", pod("8")))
      })
      const { end, events } = yield* follow(cluster)
      assert.strictEqual(yield* end, "end")
      assert.deepStrictEqual(tags(events), ["4", "7", "absent"])
    }))

  it.live("begins with Absent where there is no pod, also where Go writes null", () =>
    Effect.gen(function*() {
      const { cluster } = yield* watched([], (response) => response.end(line("ADDED", pod("6"))))
      const { end, events } = yield* follow(cluster)
      yield* end
      assert.deepStrictEqual(tags(events), ["absent", "6"])
      const other = yield* scripted({
        rest: (request, response) =>
          request.url?.includes("watch=true")
            ? response.writeHead(200).end()
            : answer(response, 200, { metadata: { resourceVersion: "5" }, items: null })
      })
      assert.deepStrictEqual(yield* Stream.runCollect(other.cluster.watchPod(ref)), [{ _tag: "Absent" }])
    }))

  it.live("tells the present state before the server has begun the watch", () =>
    Effect.gen(function*() {
      const { cluster } = yield* watched([pod("4")], () => undefined)
      const [first] = yield* Stream.runCollect(Stream.take(cluster.watchPod(ref), 1))
      assert.deepInclude(first, { _tag: "Present" })
    }))

  const faults: ReadonlyArray<readonly [string, (response: ServerResponse) => void, string]> = [
    [
      "fails with Expired on HTTP 410",
      (response) => answer(response, 410, { kind: "Status", reason: "Expired", code: 410, message: "too old" }),
      "Expired"
    ],
    [
      "fails with Expired on an ERROR of 410",
      (response) => response.end(line("ERROR", { kind: "Status", reason: "Expired", code: 410, message: "too old" })),
      "Expired"
    ],
    [
      "fails with Expired on an ERROR of 410 without a reason",
      (response) => response.end(line("ERROR", { kind: "Status", code: 410 })),
      "Expired"
    ],
    [
      "fails with ServerFault on another ERROR",
      (response) => response.end(line("ERROR", { kind: "Status", message: "etcd" })),
      "ServerFault"
    ],
    ["fails with Forbidden on HTTP 403", (response) => answer(response, 403, { reason: "Forbidden" }), "Forbidden"],
    [
      "fails with StreamLost when the end comes in the middle of a line",
      (response) => response.end(line("MODIFIED", pod("6")).slice(0, 20)),
      "StreamLost"
    ],
    [
      "fails with StreamLost when the connection is cut",
      (response) => response.write(line("MODIFIED", pod("6")), () => response.destroy()),
      "StreamLost"
    ],
    [
      "fails with ProtocolViolation on a line that is no JSON",
      (response) => response.end("oops\n"),
      "ProtocolViolation"
    ],
    [
      "fails with ProtocolViolation on an unknown kind of event",
      (response) => response.end(line("RENAMED", pod("6"))),
      "ProtocolViolation"
    ],
    [
      "fails with ProtocolViolation on an event without an object",
      (response) => response.end("{}\n"),
      "ProtocolViolation"
    ],
    [
      "fails with ProtocolViolation on an object that is no pod",
      (response) => response.end(line("ADDED", {})),
      "ProtocolViolation"
    ],
    [
      "fails with ProtocolViolation on a line without an end",
      (response) => response.end("x".repeat(5 * 1024 * 1024)),
      "ProtocolViolation"
    ]
  ]
  for (const [name, watch, reason] of faults) {
    it.live(name, () =>
      Effect.gen(function*() {
        const { cluster } = yield* watched([pod("4")], watch)
        const { end, events } = yield* follow(cluster)
        assert.strictEqual(yield* end, reason)
        assert.strictEqual(tags(events)[0], "4")
      }))
  }

  it.effect("fails with StreamLost after 150 s of silence, which a bookmark breaks", () =>
    Effect.gen(function*() {
      let response: ServerResponse | undefined
      const { cluster } = yield* watched([], (begun) => {
        begun.write(line("MODIFIED", pod("6")))
        response = begun
      })
      const { end, events, fiber } = yield* follow(cluster)
      yield* until(() => events.length === 2)
      yield* TestClock.adjust("149 seconds")
      response?.write(line("BOOKMARK", {}) + line("MODIFIED", pod("7")))
      yield* until(() => events.length === 3)
      yield* TestClock.adjust("149 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* end, "StreamLost")
    }))

  it.live("hangs up when its reader goes", () =>
    Effect.gen(function*() {
      let hungUp = false
      const { cluster } = yield* watched([], (response) => {
        response.write(line("MODIFIED", pod("6")))
        response.on("close", () => {
          hungUp = true
        })
      })
      const { events, fiber } = yield* follow(cluster)
      yield* until(() => events.length === 2)
      yield* Fiber.interrupt(fiber)
      yield* until(() => hungUp)
    }))

  it.live("hangs up also when its reader goes before the server has answered", () =>
    Effect.gen(function*() {
      let begun = false
      let hungUp = false
      const { cluster } = yield* watched([], (response) => {
        begun = true
        response.on("close", () => {
          hungUp = true
        })
      })
      const { fiber } = yield* follow(cluster)
      yield* until(() => begun)
      yield* Fiber.interrupt(fiber)
      yield* until(() => hungUp)
    }))

  it.live("does not read ahead of a reader that stands still", () =>
    Effect.gen(function*() {
      let sent = 0
      let stalled = false
      const big = line("MODIFIED", { ...pod("6"), filling: "x".repeat(64 * 1024) })
      const { cluster } = yield* watched([], (response) => {
        const more = () => {
          while (response.writableLength < 1024 * 1024 && sent < 256 * big.length) {
            response.write(big)
            sent += big.length
          }
          stalled = true
          if (sent < 256 * big.length) response.once("drain", more)
        }
        more()
      })
      const reader = yield* Stream.runForEach(cluster.watchPod(ref), (event) =>
        event._tag === "Absent" ? Effect.void : Effect.never).pipe(Effect.forkChild({ startImmediately: true }))
      yield* until(() =>
        stalled
      )
      // Once more through everything that is on its way: had the reader read on, all would have been sent by then.
      yield* Effect.repeat(until(() => true), { times: 2000 })
      assert.isBelow(sent, 256 * big.length)
      yield* Fiber.interrupt(reader)
    }))
})

describe("a pod's notices", () => {
  const event = (reason: string, time: string) => ({
    metadata: { creationTimestamp: time },
    type: "Normal",
    reason,
    message: `about ${reason}`
  })

  it.live("come in the order of time, first those that are there, for this identity only", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* watched(
        [
          event("Pulling", "2026-01-01T00:00:02Z"),
          event("Scheduled", "2026-01-01T00:00:01.5Z")
        ],
        (response) =>
          response.end(line("ADDED", event("Pulled", "2026-01-01T00:00:03Z")) + line("DELETED", event("x", "")))
      )
      const notices = yield* Stream.runCollect(cluster.podNotices({ ...ref, uid: "u" }))
      assert.deepStrictEqual(notices.map((notice) => notice.reason), ["Scheduled", "Pulling", "Pulled"])
      assert.deepInclude(notices[0], { type: "Normal", message: "about Scheduled" })
      assert.strictEqual(
        server.requests[0]?.url,
        "/api/v1/namespaces/n/events?fieldSelector=involvedObject.uid%3Du"
      )
    }))
})

describe("JsonLines", () => {
  it.effect.prop("splits the same lines wherever the network cuts them, also inside a character", {
    lines: Schema.Array(Schema.String.check(Schema.isPattern(/^[aé€😀 ]{0,8}$/u))).check(Schema.isMaxLength(8)),
    cuts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })))
  }, ({ cuts, lines }) =>
    Effect.sync(() => {
      const bytes = Buffer.from(lines.map((each) => `${each}\n`).join(""))
      const splitter = JsonLines.make()
      const split: Array<string> = []
      let from = 0
      for (const cut of [...cuts, bytes.length]) {
        split.push(...splitter.push(bytes.subarray(from, from + cut)))
        from += cut
      }
      assert.deepStrictEqual(split, lines.map((each) => each.trim()).filter((each) => each !== ""))
      assert.strictEqual(splitter.pending(), 0)
    }))
})
