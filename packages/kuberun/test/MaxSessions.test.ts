import { assert, describe, it } from "@effect/vitest"
import { FakeHandler, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Schema, Stream } from "effect"
import { maxSessions } from "../src/policy/MaxSessions.ts"
import { behind, exec, failure, statuses } from "./PolicyDriver.ts"

describe("a limit on sessions", () => {
  it.effect("says so to whoever opens one more, and makes room when one is closed", () =>
    Effect.gen(function*() {
      const { client } = yield* behind([maxSessions(1)])
      const first = yield* client()
      assert.isTrue(yield* first.request(exec("one")))
      const second = yield* client()
      assert.isTrue(yield* second.request(exec("two")))
      yield* Time.settle
      assert.deepStrictEqual(yield* second.texts, {
        stdout: "",
        stderr: "kuberun: No more than one session at once: close one, or connect again.\n"
      })
      assert.deepStrictEqual(yield* statuses(second), [failure])
      yield* first.close
      const third = yield* client()
      assert.isTrue(yield* third.request(exec("three")))
      assert.deepStrictEqual(yield* third.texts, { stdout: "", stderr: "" })
    }))

  it.effect("counts those that are open, not those that were: ten after one another are fine", () =>
    Effect.gen(function*() {
      const { client, handler } = yield* behind([maxSessions(1)])
      for (const _ of Array.from({ length: 10 })) {
        const one = yield* client()
        assert.isTrue(yield* one.request(exec("true")))
        yield* one.eof
        yield* one.channel.closed
        assert.deepStrictEqual(yield* statuses(one), [{ _tag: "Exited", code: 0 }])
      }
      assert.lengthOf(yield* handler.sessions, 10)
    }))

  it.effect("has room for the one that is opened in the moment in which another is closed", () =>
    Effect.gen(function*() {
      const handler = yield* FakeHandler.make
      const { connection } = yield* FakeSsh.makeConnection()
      const [first, second] = [yield* FakeSsh.makeClient(), yield* FakeSsh.makeClient()]
      const sessions = Stream.concat(
        Stream.make(first.channel),
        Stream.fromEffect(Effect.as(first.close, second.channel))
      )
      yield* Effect.forkChild(maxSessions(1)(handler.handle)({ ...connection, sessions }))
      assert.isTrue(yield* second.request(exec("two")))
      yield* Time.settle
      assert.deepStrictEqual(yield* second.texts, { stdout: "", stderr: "" })
    }))

  it.effect("counts each connection by itself", () =>
    Effect.gen(function*() {
      const policy = maxSessions(1)
      for (const { client } of [yield* behind([policy]), yield* behind([policy])]) {
        assert.isTrue(yield* (yield* client()).request(exec("one")))
      }
    }))

  it.effect.prop(
    "is never exceeded, and refuses nobody for whom there is room, in any order of opens, closes and ends",
    {
      most: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
      steps: Schema.Array(Schema.Struct({
        what: Schema.Literals(["open", "close", "end"]),
        which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
        settled: Schema.Boolean
      })).check(Schema.isMaxLength(30))
    },
    ({ most, steps }) =>
      Effect.gen(function*() {
        const { client, handler } = yield* behind([maxSessions(most)])
        const open: Array<FakeSsh.FakeClient> = []
        for (const { settled, what, which } of steps) {
          if (what === "open") {
            const one = yield* client()
            // Answered by the handler or, where it was turned away, in the handler's place.
            assert.isTrue(yield* one.request(exec("x")))
            yield* Time.settle
            const refused = (yield* statuses(one)).length > 0
            assert.strictEqual(refused, open.length >= most, `${open.length} open, ${most} allowed`)
            if (!refused) open.push(one)
          } else if (open.length > 0) {
            const [one] = open.splice(which % open.length, 1)
            if (one === undefined) continue
            // A program's end closes its channel from our side.
            yield* what === "close" ? one.close : Effect.andThen(one.eof, one.channel.closed)
          }
          if (settled) yield* Time.settle
          assert.isAtMost(yield* handler.open, most)
        }
      }),
    { arbitrary: { runs: 300 } }
  )
})
