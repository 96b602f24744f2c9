import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { makeNamespaces } from "../src/api/Controllers.ts"
import { makeStore } from "../src/api/Store.ts"
import { keepNodeLease } from "../src/node/NodeLease.ts"

it.effect("the node's lease is renewed, and made again when somebody has deleted it", () =>
  Effect.gen(function*() {
    const store = yield* makeStore()
    yield* makeNamespaces(store, "")
    yield* keepNodeLease(store, { isLost: () => false })
    const lease = store.get("leases", "kube-node-lease", "minicluster")
    const made = yield* lease
    yield* TestClock.adjust("10 seconds")
    const renewed = yield* lease
    assert.strictEqual(renewed.metadata.uid, made.metadata.uid)
    assert.notStrictEqual(renewed.metadata.resourceVersion, made.metadata.resourceVersion)
    yield* store.remove("leases", "kube-node-lease", "minicluster")
    yield* TestClock.adjust("10 seconds")
    assert.notStrictEqual((yield* lease).metadata.uid, made.metadata.uid)
  }))
