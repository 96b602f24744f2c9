import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { makeStore } from "../src/api/Store.ts"
import { type ConfigMap } from "../src/shapes/Objects.ts"

const configMap = (length: number): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "some", namespace: "default", uid: "1", resourceVersion: "", creationTimestamp: "" },
  data: { key: "x".repeat(length) }
})

/** Whether a watch could still begin before `count` changes of an object of this size. */
const reaches = Effect.fnUntraced(function*(length: number, count: number) {
  const store = yield* makeStore()
  yield* store.create("configmaps", configMap(length))
  const before = yield* store.version
  for (let change = 0; change < count; change++) {
    yield* store.update("configmaps", "default", "some", () => configMap(length))
  }
  const found = yield* Effect.exit(Effect.scoped(Effect.flatMap(store.follow(before), ({ next }) => next)))
  return Exit.isSuccess(found) ? found.value.length : 0
})

describe("the history of changes", () => {
  it.effect("reaches over thousands of small ones", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reaches(100, 4000), 4000)
    }))

  it.effect("is bounded in bytes as well as in changes, and always has the last", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* reaches(1_000_000, 20), 20)
      assert.strictEqual(yield* reaches(1_000_000, 200), 0)
      assert.strictEqual(yield* reaches(70_000_000, 1), 1)
    }))
})
