import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeNamespaces } from "../src/api/Controllers.ts"
import { makeEvents } from "../src/api/Events.ts"
import { makeStore } from "../src/api/Store.ts"
import { podOf } from "./support/TestNode.ts"

it.effect("the same event again raises its count, others follow in the order of their names, and none outlives its namespace", () =>
  Effect.gen(function*() {
    const store = yield* makeStore()
    yield* makeNamespaces(store, "")
    const events = makeEvents(store)
    const pod = podOf("pod", {})
    yield* events.record(pod, "kubelet", "Normal", "Second", "told first")
    yield* events.record(pod, "kubelet", "Normal", "First", "told second")
    yield* events.record(pod, "kubelet", "Normal", "Second", "told first")
    yield* events.record(podOf("late", {}, "ended"), "kubelet", "Normal", "Killing", "nobody is there to read it")
    const { items } = yield* store.list("events", undefined)
    const inOrder = items.toSorted((a, b) => a.metadata.name < b.metadata.name ? -1 : 1)
    assert.deepStrictEqual(inOrder.map(({ count, reason }) => [reason, count]), [["Second", 2], ["First", 1]])
  }))

it.effect("an event that somebody has deleted is told anew when it happens again", () =>
  Effect.gen(function*() {
    const store = yield* makeStore()
    yield* makeNamespaces(store, "")
    const events = makeEvents(store)
    const record = events.record(podOf("pod", {}), "kubelet", "Warning", "BackOff", "again and again")
    yield* Effect.andThen(record, record)
    const { items: [first] } = yield* store.list("events", undefined)
    yield* store.remove("events", "default", first?.metadata.name ?? "")
    yield* Effect.andThen(record, record)
    const { items } = yield* store.list("events", undefined)
    assert.deepStrictEqual(items.map(({ count, reason }) => [reason, count]), [["BackOff", 2]])
  }))
