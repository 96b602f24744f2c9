import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeWith } from "../src/Minicluster.ts"
import { at, call, eventually, follow, podBody, pods, runningPod, textAt } from "./support/Client.ts"

const seen = (events: ReadonlyArray<unknown>) =>
  events.map((event) => `${textAt(event, "type")} ${textAt(event, "object", "metadata", "name")}`)
const deleted = (name: string) => (events: ReadonlyArray<unknown>) => seen(events).includes(`DELETED ${name}`)

it.live("a watch without a version tells what is there as ADDED, and then each change in order, once", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    yield* runningPod(cluster, podBody("there"))
    for (const from of ["", "&resourceVersion=0"]) {
      const watch = yield* follow(cluster, `${pods}?watch=true${from}`)
      yield* watch.until((events) => events.length > 0)
      assert.deepStrictEqual(seen(watch.events()), ["ADDED there"])
      yield* call(cluster, "POST", pods, { body: podBody("later") })
      yield* call(cluster, "DELETE", `${pods}/later?gracePeriodSeconds=0`)
      yield* watch.until(deleted("later"))
      const versions = watch.events().map((event) => Number(textAt(event, "object", "metadata", "resourceVersion")))
      assert.deepStrictEqual(versions, versions.toSorted((a, b) => a - b))
      assert.strictEqual(new Set(versions).size, versions.length)
    }
  }))

it.live("a watch from a list's version misses nothing and repeats nothing", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    yield* runningPod(cluster, podBody("before"))
    const list = yield* call(cluster, "GET", pods)
    yield* call(cluster, "DELETE", `${pods}/before`)
    const watch = yield* follow(
      cluster,
      `${pods}?watch=1&resourceVersion=${textAt(list.body, "metadata", "resourceVersion")}`
    )
    yield* watch.until(deleted("before"))
    const types = seen(watch.events())
    assert.notInclude(types, "ADDED before")
    assert.strictEqual(types[0], "MODIFIED before")
    assert.strictEqual(types.filter((type) => type === "DELETED before").length, 1)
  }))

it.live("an object that enters or leaves the selection is ADDED or DELETED for the watcher", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    yield* runningPod(cluster, podBody("moving"))
    const watch = yield* follow(cluster, `${pods}?watch=true&labelSelector=in%3Dyes`)
    const label = (value: string) =>
      call(cluster, "PATCH", `${pods}/moving`, {
        body: { metadata: { labels: { in: value } } },
        contentType: "application/merge-patch+json"
      })
    yield* label("yes")
    yield* label("no")
    yield* watch.until((events) => events.length === 2)
    assert.deepStrictEqual(seen(watch.events()), ["ADDED moving", "DELETED moving"])
  }))

it.live("a version that the history no longer holds is 410 Expired, at the start and in a stream that lags", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, { history: 4 })
    yield* runningPod(cluster, podBody("busy"))
    const answer = yield* call(cluster, "GET", `${pods}?watch=true&resourceVersion=1`)
    assert.deepStrictEqual([answer.code, textAt(answer.body, "reason")], [410, "Expired"])
    assert.match(textAt(answer.body, "message"), /^too old resource version: 1 \(\d+\)$/)
    const nonsense = yield* call(cluster, "GET", `${pods}?watch=true&resourceVersion=x`)
    assert.strictEqual(nonsense.code, 400)
    const initial = yield* call(
      cluster,
      "GET",
      `${pods}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan`
    )
    assert.strictEqual(initial.code, 422)
  }))

it.live("timeoutSeconds ends a watch cleanly", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    const watch = yield* follow(cluster, `${pods}?watch=true&timeoutSeconds=1`)
    yield* eventually(() => watch.ended())
    assert.deepStrictEqual([watch.code, watch.text()], [200, ""])
  }))

it.live("a watch for tables has columns in its first row only", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    yield* runningPod(cluster, podBody("row"))
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    const watch = yield* follow(cluster, `${pods}?watch=true`, { accept })
    yield* call(cluster, "DELETE", `${pods}/row?gracePeriodSeconds=0`)
    yield* watch.until((events) => events.length >= 2)
    const columns = watch.events().map((event) => at(event, "object", "columnDefinitions", 0) !== undefined)
    assert.deepStrictEqual([columns[0], columns[1]], [true, false])
    assert.strictEqual(textAt(watch.events()[0], "object", "rows", 0, "cells", 2), "Running")
  }))
