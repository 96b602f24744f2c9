import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeObject } from "../src/api/Controllers.ts"
import { makeStore, type Store } from "../src/api/Store.ts"
import { watch } from "../src/api/Watch.ts"
import { makeFaults } from "../src/faults/Faults.ts"
import { makeWith } from "../src/Minicluster.ts"
import { at, call, eventually, follow, podBody, pods, runningPod, textAt } from "./support/Client.ts"
import { create, pathOf } from "./support/Samples.ts"

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
    // As it was when it was last selected, under the version of the change that took it away.
    const [added, left] = watch.events().map((event) => at(event, "object", "metadata"))
    assert.strictEqual(textAt(left, "labels", "in"), "yes")
    assert.isAbove(Number(textAt(left, "resourceVersion")), Number(textAt(added, "resourceVersion")))
  }))

it.live("a watch is of one namespace, of all, or of one object", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    const { body } = yield* call(cluster, "GET", "/api/v1/configmaps")
    const from = `watch=true&resourceVersion=${textAt(body, "metadata", "resourceVersion")}`
    const all = yield* follow(cluster, `/api/v1/configmaps?${from}`)
    const within = yield* follow(cluster, `${pathOf("configmaps")}?${from}`)
    const selected = yield* follow(cluster, `${pathOf("configmaps")}?${from}&fieldSelector=metadata.name%3Db`)
    yield* create(cluster, "configmaps", { name: "a" }, "kube-system")
    yield* create(cluster, "configmaps", { name: "b" })
    yield* create(cluster, "configmaps", { name: "end" })
    const ended = (events: ReadonlyArray<unknown>) => seen(events).includes("ADDED end")
    yield* all.until(ended)
    yield* within.until(ended)
    yield* selected.until((events) => events.length > 0)
    assert.deepStrictEqual(seen(all.events()), ["ADDED a", "ADDED b", "ADDED end"])
    assert.deepStrictEqual(seen(within.events()), ["ADDED b", "ADDED end"])
    assert.deepStrictEqual(seen(selected.events()), ["ADDED b"])
  }))

const streamed = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"

it.live("sendInitialEvents tells what is there, marks the end of that with a bookmark, and goes on", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    for (const name of ["a", "b"]) yield* create(cluster, "configmaps", { name, labels: { in: "yes" } })
    const path = `${pathOf("configmaps")}?labelSelector=in%3Dyes&${streamed}`
    const list = yield* call(cluster, "GET", pathOf("configmaps"))
    const watch = yield* follow(cluster, `${path}&allowWatchBookmarks=true`)
    yield* watch.until((events) => events.length === 3)
    assert.deepStrictEqual(watch.events()[2], {
      type: "BOOKMARK",
      object: {
        kind: "ConfigMap",
        apiVersion: "v1",
        metadata: {
          resourceVersion: textAt(list.body, "metadata", "resourceVersion"),
          creationTimestamp: null,
          annotations: { "k8s.io/initial-events-end": "true" }
        }
      }
    })
    yield* create(cluster, "configmaps", { name: "c", labels: { in: "yes" } })
    yield* watch.until((events) => events.length === 4)
    assert.deepStrictEqual(seen(watch.events()), ["ADDED a", "ADDED b", "BOOKMARK ", "ADDED c"])
    // Who takes no bookmarks gets none, and who says false gets the changes only.
    const without = yield* follow(cluster, path)
    const changes = yield* follow(
      cluster,
      `${path.replace("=true&resource", "=false&resource")}&allowWatchBookmarks=true`
    )
    yield* create(cluster, "configmaps", { name: "d", labels: { in: "yes" } })
    yield* without.until((events) => events.length >= 4)
    yield* changes.until((events) => events.length >= 1)
    assert.deepStrictEqual(seen(without.events()), ["ADDED a", "ADDED b", "ADDED c", "ADDED d"])
    assert.deepStrictEqual(seen(changes.events()), ["ADDED d"])
  }))

it.live("sendInitialEvents and resourceVersionMatch are refused one without the other", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, {})
    const refusal = (query: string) =>
      Effect.map(
        call(cluster, "GET", `${pods}?watch=true&${query}`),
        ({ body, code }) => [code, textAt(body, "message")]
      )
    const lead = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
    assert.deepStrictEqual(yield* refusal("sendInitialEvents=true"), [
      422,
      `${lead}sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`
    ])
    assert.deepStrictEqual(yield* refusal("resourceVersionMatch=NotOlderThan"), [
      422,
      `${lead}resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided`
    ])
  }))

it.live("a version that the history no longer holds is 410 Expired, at the start and in a stream that lags", () =>
  Effect.gen(function*() {
    const cluster = yield* makeWith({}, { history: 4 })
    const answer = yield* call(cluster, "GET", `${pods}?watch=true&resourceVersion=1`)
    assert.deepStrictEqual([answer.code, textAt(answer.body, "reason")], [410, "Expired"])
    assert.match(textAt(answer.body, "message"), /^too old resource version: 1 \(\d+\)$/)
    const nonsense = yield* call(cluster, "GET", `${pods}?watch=true&resourceVersion=x`)
    assert.strictEqual(nonsense.code, 400)
    const path = pathOf("configmaps")
    const { body } = yield* call(cluster, "GET", path)
    // Each event of this watch waits, so that it cannot keep up.
    yield* cluster.faults.set({
      rules: [{ resources: ["configmaps"], watch: { _tag: "Stale", after: 0, millis: 500 } }]
    })
    const lagging = yield* follow(
      cluster,
      `${path}?watch=true&resourceVersion=${textAt(body, "metadata", "resourceVersion")}`
    )
    yield* create(cluster, "configmaps", { name: "first" })
    for (let count = 0; count < 12; count++) yield* create(cluster, "configmaps", { generateName: "more-" })
    yield* eventually(() => lagging.ended())
    const last = lagging.events().at(-1)
    assert.deepStrictEqual([textAt(last, "type"), at(last, "object", "code"), textAt(last, "object", "reason")], [
      "ERROR",
      410,
      "Expired"
    ])
    assert.isBelow(lagging.events().length, 13)
  }))

/** The lines of a watch without a server, where time is the test's. */
const linesOf = Effect.fnUntraced(function*(store: Store, query: string) {
  const lines: Array<string> = []
  let ended = false
  const answer = yield* watch(store, yield* makeFaults({}), "configmaps", undefined, {
    method: "GET",
    path: [],
    user: { name: "somebody", groups: [] },
    query: new URLSearchParams(query),
    accept: "application/json",
    contentType: "",
    json: Effect.void
  })
  if (answer._tag !== "Stream") return assert.fail("a watch is a stream")
  const read = Stream.runForEach(answer.body, (bytes) =>
    Effect.sync(() => {
      lines.push(...new TextDecoder().decode(bytes).trim().split("\n"))
    }))
  yield* Effect.forkScoped(Effect.andThen(
    Effect.orDie(read),
    Effect.sync(() => {
      ended = true
    })
  ))
  return { lines, ended: () => ended }
})

it.effect("bookmarks come once a minute, to those who take them, with the newest version", () =>
  Effect.gen(function*() {
    const store = yield* makeStore()
    const taking = yield* linesOf(store, "allowWatchBookmarks=true&resourceVersion=1")
    const other = yield* linesOf(store, "resourceVersion=1")
    yield* TestClock.adjust("59 seconds")
    assert.deepStrictEqual(taking.lines, [])
    // A change of another resource moves the version on, although this watch does not see it.
    yield* makeObject(store, "secrets", "secret", "default", {})
    yield* TestClock.adjust("1 second")
    const metadata = { resourceVersion: String(yield* store.version), creationTimestamp: null }
    const bookmark = { type: "BOOKMARK", object: { kind: "ConfigMap", apiVersion: "v1", metadata } }
    assert.deepStrictEqual(taking.lines.map((line): unknown => JSON.parse(line)), [bookmark])
    yield* TestClock.adjust("2 minutes")
    assert.deepStrictEqual([taking.lines.length, other.lines.length], [3, 0])
  }))

it.effect("a watch without timeoutSeconds ends after 30 to 60 minutes", () =>
  Effect.gen(function*() {
    const store = yield* makeStore()
    const watch = yield* linesOf(store, "resourceVersion=1")
    yield* TestClock.adjust("1799 seconds")
    assert.isFalse(watch.ended())
    yield* TestClock.adjust("1801 seconds")
    assert.isTrue(watch.ended())
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
