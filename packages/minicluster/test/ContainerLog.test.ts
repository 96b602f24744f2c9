import { assert, describe, it, layer } from "@effect/vitest"
import { layer as clusterLayer, MiniclusterService } from "@kuberun/minicluster"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Buffer } from "node:buffer"
import { type ContainerLog, type LogOptions, makeContainerLog } from "../src/runtime/ContainerLog.ts"
import { logOptions } from "../src/streams/PodLog.ts"
import { at, call, podBody, pods, runningPod, textAt, until } from "./support/Client.ts"

const bytes = (text: string) => Buffer.from(text)
const read = (log: ContainerLog, options?: LogOptions) =>
  Effect.map(
    Stream.runCollect(log.read(options)),
    (pieces) => Buffer.concat(pieces).toString()
  )

describe("a container's log", () => {
  it.effect("has lines with the time at which they began, and the last one without its end only after the run", () =>
    Effect.gen(function*() {
      const log = yield* makeContainerLog
      yield* log.begin
      yield* log.append(bytes("one\ntw"))
      yield* TestClock.adjust("1500 millis")
      yield* log.append(bytes("o\nthree"))
      assert.strictEqual(yield* read(log), "one\ntwo\n")
      yield* log.end
      assert.strictEqual(
        yield* read(log, { timestamps: true }),
        "1970-01-01T00:00:00.000000000Z one\n1970-01-01T00:00:00.000000000Z two\n1970-01-01T00:00:01.500000000Z three"
      )
      assert.strictEqual(yield* read(log, { since: 1500 }), "three")
      assert.strictEqual(yield* read(log, { tailLines: 2 }), "two\nthree")
      assert.strictEqual(yield* read(log, { tailLines: 0 }), "")
      assert.strictEqual(yield* read(log, { limitBytes: 5 }), "one\nt")
      assert.strictEqual(yield* read(log, { tailLines: 2, limitBytes: 3 }), "two")
    }))

  it.effect.prop(
    "keeps both outputs' lines whole, in whatever pieces they come",
    {
      pieces: Schema.Array(
        Schema.Struct({ out: Schema.Boolean, text: Schema.Literals(["a", "b\n", "\n", "c\nd", ""]) })
      )
    },
    ({ pieces }) =>
      Effect.gen(function*() {
        const log = yield* makeContainerLog
        yield* log.begin
        for (const { out, text } of pieces) yield* log.append(bytes(text), out ? "stdout" : "stderr")
        yield* log.end
        const whole = (wanted: boolean) =>
          pieces.filter(({ out }) => out === wanted).map(({ text }) => text).join("").split(/(?<=\n)/)
        const expected = [...whole(true), ...whole(false)].filter((line) => line !== "").toSorted()
        const all = yield* read(log, { timestamps: true })
        const lines = all.split("1970-01-01T00:00:00.000000000Z ").slice(1)
        assert.deepStrictEqual(lines.toSorted(), expected)
      })
  )

  it.effect("is followed to its run's end, and keeps the run before", () =>
    Effect.gen(function*() {
      const log = yield* makeContainerLog
      yield* log.begin
      assert.isFalse(log.hasPrevious())
      const following = yield* Effect.forkChild(read(log, { follow: true, tailLines: 1 }), { startImmediately: true })
      yield* log.append(bytes("first\n"))
      yield* log.end
      assert.strictEqual(yield* Fiber.join(following), "first\n")
      yield* log.begin
      yield* log.append(bytes("second\n"))
      assert.isTrue(log.hasPrevious())
      assert.strictEqual(yield* read(log, { previous: true, follow: true }), "first\n")
      assert.strictEqual(yield* read(log), "second\n")
    }))

  it.effect("holds the newest of a flood, in whole lines, and a line without an end in pieces", () =>
    Effect.gen(function*() {
      const log = yield* makeContainerLog
      yield* log.begin
      const line = `${"x".repeat(1000)}\n`
      for (let round = 0; round < 5000; round++) yield* log.append(bytes(line))
      yield* log.append(bytes("last\n"))
      const kept = yield* read(log)
      assert.isBelow(kept.length, 3 * 1024 * 1024)
      assert.isAbove(kept.length, 900 * 1024)
      assert.isTrue(kept.endsWith(`${line}last\n`))
      assert.isTrue(kept.startsWith(line))
      yield* log.append(bytes("y".repeat(40_000)))
      assert.strictEqual(yield* read(log, { tailLines: 2 }), "y".repeat(32 * 1024))
    }))
})

describe("what is asked of a log", () => {
  const options = (query: string) => logOptions("pod", new URLSearchParams(query), 100_000)

  it.effect("is understood", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* options("follow=true&previous=1&timestamps=true&sinceSeconds=10&tailLines=5&limitBytes=7"),
        {
          follow: true,
          previous: true,
          timestamps: true,
          since: 90_000,
          tailLines: 5,
          limitBytes: 7
        }
      )
      assert.strictEqual((yield* options("sinceTime=1970-01-01T00:00:01.5Z")).since, 1500)
    }))

  for (
    const [query, code, message] of [
      ["tailLines=x", 400, `strconv.ParseInt: parsing "x": invalid syntax`],
      [
        "tailLines=-1",
        422,
        `PodLogOptions "pod" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0`
      ],
      ["limitBytes=0", 422, `PodLogOptions "pod" is invalid: limitBytes: Invalid value: 0: must be greater than 0`],
      [
        "sinceSeconds=1&sinceTime=1970-01-01T00:00:01Z",
        422,
        `PodLogOptions "pod" is invalid: : Forbidden: at most one of \`sinceTime\` or \`sinceSeconds\` may be specified`
      ],
      ["sinceTime=yesterday", 400, `parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday"`]
    ] as const
  ) {
    it.effect(`is refused as a server refuses it: ${query}`, () =>
      Effect.gen(function*() {
        const { status } = yield* Effect.flip(options(query))
        assert.deepStrictEqual([status.code, status.message], [code, message])
      }))
  }
})

layer(clusterLayer(), { excludeTestServices: true })("a pod's log over the API", (it) => {
  it.effect("is of the present run or of the one before, and as much of it as is asked for", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const script = "[ -e there ] && { echo second; echo 2nd; exec sleep 1000; }; touch there; echo first; exit 1"
      yield* runningPod(cluster, podBody("fresh"))
      yield* call(cluster, "POST", pods, { body: podBody("again", script) })
      yield* until(
        cluster,
        `${pods}/again`,
        ({ body }) =>
          textAt(body, "status", "containerStatuses", 0, "restartCount") === "1" &&
          at(body, "status", "containerStatuses", 0, "state", "running") !== undefined
      )
      const log = (query: string, pod = "again") =>
        Effect.map(
          call(cluster, "GET", `${pods}/${pod}/log?${query}`),
          ({ body, code, text }) => code === 200 ? text : [code, textAt(body, "message")]
        )
      yield* until(cluster, `${pods}/again/log`, ({ text }) => text === "second\n2nd\n")
      assert.strictEqual(yield* log("previous=true"), "first\n")
      assert.strictEqual(yield* log("tailLines=1&container=main"), "2nd\n")
      assert.match(String(yield* log("timestamps=true&limitBytes=31")), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z $/)
      assert.strictEqual(yield* log("sinceSeconds=1000"), "second\n2nd\n")
      assert.deepStrictEqual(yield* log("previous=true", "fresh"), [
        400,
        `previous terminated container "main" in pod "fresh" not found`
      ])
      assert.deepStrictEqual(yield* log("container=x"), [400, "container x is not valid for pod again"])
      assert.deepStrictEqual(yield* log("sinceSeconds=0"), [
        422,
        `PodLogOptions "again" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0`
      ])
    }))

  it.effect("is refused while the image cannot be had", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* call(cluster, "POST", pods, { body: podBody("missing", "", {}, "kuberun.test/missing") })
      const { text } = yield* until(cluster, `${pods}/missing/log`, ({ text }) => text.includes("to pull"))
      assert.include(text, "is waiting to start: trying and failing to pull image")
    }))
})
