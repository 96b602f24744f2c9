import { assert, describe, it } from "@effect/vitest"
import { Arbitraries, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Fiber, Ref } from "effect"
import { TestClock } from "effect/testing"
import * as Metrics from "../src/Metrics.ts"
import { idleTimeout } from "../src/policy/IdleTimeout.ts"
import { maxLifetime } from "../src/policy/MaxLifetime.ts"
import { maxSessions } from "../src/policy/MaxSessions.ts"
import { apply, compose, type ConnectionHandler, mapChannels, mapRequests, type Policy } from "../src/policy/Policy.ts"
import { behind, exec, failure, shell, statuses, terminal } from "./PolicyDriver.ts"

const noCopying: Policy = mapRequests((request, { refuse }) =>
  request._tag === "Subsystem" && request.name === "sftp"
    ? refuse("Files cannot be copied here.")
    : Effect.succeed([request])
)

/** Policies that have nothing to object. */
const generous: ReadonlyArray<Policy> = [
  Metrics.observe,
  mapChannels((channel) => Effect.succeed(channel)),
  maxSessions(100),
  idleTimeout({ after: "100 days", warning: "1 day" }),
  maxLifetime({ after: "100 days", warning: "1 day" }),
  mapRequests((request) => Effect.succeed([request]))
]

describe("policies", () => {
  it.effect("are asked in order, the first outermost", () =>
    Effect.gen(function*() {
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const noting = (name: string): Policy => (next) => (connection) =>
        Ref.update(seen, (before) => [...before, `${name} in`]).pipe(
          Effect.andThen(next(connection)),
          Effect.andThen(Ref.update(seen, (before) => [...before, `${name} out`]))
        )
      const handler: ConnectionHandler = () => Ref.update(seen, (before) => [...before, "handler"])
      const { connection } = yield* FakeSsh.makeConnection()
      yield* apply(handler, noting("a"), compose(noting("b"), noting("c")))(connection)
      assert.deepStrictEqual(yield* Ref.get(seen), ["a in", "b in", "c in", "handler", "c out", "b out", "a out"])
    }))

  it.effect("may fail and need what the handler does not", () =>
    Effect.gen(function*() {
      const closed: Policy<"closed"> = () => () => Effect.fail("closed")
      const handler: ConnectionHandler = () => Effect.void
      const { connection } = yield* FakeSsh.makeConnection()
      const failed: "closed" = yield* Effect.flip(apply(handler, maxSessions(1), closed)(connection))
      assert.strictEqual(failed, "closed")
    }))

  it.effect.prop(
    "that have nothing to object change nothing",
    { steps: Arbitraries.clientSteps },
    ({ steps }) =>
      Effect.gen(function*() {
        const outcome = Effect.fnUntraced(function*(policies: ReadonlyArray<Policy>) {
          const { client, end, handler, serving } = yield* behind(policies)
          const one = yield* client()
          const driving = yield* Effect.forkChild(Arbitraries.drive(one, steps))
          yield* TestClock.adjust("1 hour")
          const accepted = yield* Fiber.join(driving)
          yield* one.close
          yield* end
          yield* Time.settle
          yield* Fiber.join(serving)
          const received = Buffer.concat((yield* one.received).map(({ bytes }) => bytes))
          return { accepted, sessions: yield* handler.sessions, received, exits: yield* statuses(one) }
        })
        assert.deepStrictEqual(yield* outcome(generous), yield* outcome([]))
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("a policy on requests", () => {
  it.effect("refuses a program as one that says the sentence and ends with 255, so that ssh shows it", () =>
    Effect.gen(function*() {
      const { client, handler } = yield* behind([noCopying])
      const one = yield* client()
      assert.isTrue(yield* one.request({ _tag: "Subsystem", name: "sftp" }))
      yield* Time.settle
      assert.deepStrictEqual(yield* one.texts, { stdout: "", stderr: "kuberun: Files cannot be copied here.\n" })
      assert.deepStrictEqual(yield* statuses(one), [failure])
      const other = yield* client()
      assert.isTrue(yield* other.request({ _tag: "Subsystem", name: "other" }))
      assert.deepStrictEqual((yield* handler.sessions).map(({ requests }) => requests), [
        [],
        [{ _tag: "Subsystem", name: "other" }]
      ])
    }))

  it.effect("refuses anything else with a sentence and an answer, and the channel goes on", () =>
    Effect.gen(function*() {
      const still: Policy = mapRequests((request, { refuse }) =>
        request._tag === "Signal" ? refuse("No signals.") : Effect.succeed([request])
      )
      const { client } = yield* behind([still])
      const one = yield* client()
      assert.isTrue(yield* one.request(shell))
      assert.isFalse(yield* one.request({ _tag: "Signal", name: "TERM" }))
      assert.deepStrictEqual(yield* one.texts, { stdout: "", stderr: "kuberun: No signals.\n" })
      yield* one.send(new Uint8Array([120]))
      yield* Time.settle
      assert.strictEqual((yield* one.texts).stdout, "x")
    }))

  it.effect("leaves the program alone that runs when a second one is refused", () =>
    Effect.gen(function*() {
      const { client } = yield* behind([noCopying])
      const one = yield* client()
      assert.isTrue(yield* one.request(shell))
      assert.isFalse(yield* one.request({ _tag: "Subsystem", name: "sftp" }))
      yield* one.send(new Uint8Array([120]))
      yield* Time.settle
      assert.deepStrictEqual(yield* one.texts, { stdout: "x", stderr: "" })
      assert.deepStrictEqual(yield* statuses(one), [])
    }))

  it.effect("ends its sentence as a terminal wants it, where the channel has one", () =>
    Effect.gen(function*() {
      const { client } = yield* behind([noCopying])
      const one = yield* client()
      assert.isTrue(yield* one.request(terminal))
      assert.isTrue(yield* one.request({ _tag: "Subsystem", name: "sftp" }))
      yield* Time.settle
      assert.strictEqual((yield* one.texts).stderr, "kuberun: Files cannot be copied here.\r\n")
    }))
})

describe("a policy on channels", () => {
  const even: Policy = mapChannels((channel, { refuse }) =>
    channel.id % 2 === 0 ? Effect.succeed(channel) : refuse("Even channels only.")
  )

  it.effect("turns one away with a sentence and 255, whatever was asked for, and leaves the others alone", () =>
    Effect.gen(function*() {
      const { client, handler } = yield* behind([even])
      const [first, second, third] = [yield* client(), yield* client(), yield* client()]
      assert.isTrue(yield* second.request(terminal))
      assert.isFalse(yield* second.request({ _tag: "Unknown", type: "x11-req" }))
      assert.isTrue(yield* second.request(shell))
      yield* Time.settle
      assert.deepStrictEqual(yield* second.texts, { stdout: "", stderr: "kuberun: Even channels only.\r\n" })
      assert.deepStrictEqual(yield* statuses(second), [failure])
      assert.isTrue(yield* first.request(exec("one")))
      assert.isTrue(yield* third.request(exec("three")))
      assert.deepStrictEqual((yield* handler.sessions).map(({ id }) => id), [0, 2])
    }))

  it.effect("does not wait for ever until the one that it turns away asks for something", () =>
    Effect.gen(function*() {
      const { client } = yield* behind([even])
      yield* client()
      const second = yield* client()
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* second.exits, [])
      yield* TestClock.adjust("1 second")
      yield* Time.settle
      assert.deepStrictEqual(yield* statuses(second), [failure])
    }))

  it.effect("does not wait for a client that does not read", () =>
    Effect.gen(function*() {
      const { client, handler } = yield* behind([even])
      yield* client()
      const second = yield* client(Effect.never)
      assert.isTrue(yield* second.request(shell))
      const third = yield* client()
      assert.isTrue(yield* third.request(exec("three")))
      assert.deepStrictEqual((yield* handler.sessions).map(({ id }) => id), [0, 2])
      yield* TestClock.adjust("5 seconds")
      yield* Time.settle
      assert.deepStrictEqual(yield* statuses(second), [failure])
    }))
})
