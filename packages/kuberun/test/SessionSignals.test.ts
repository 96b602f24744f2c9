import { assert, describe, it } from "@effect/vitest"
import { Time } from "@kuberun/testkit"
import { Deferred, Effect, Fiber, Ref, Schema, Sink, Stream } from "effect"
import type { ExecProcess, ExecRequest } from "kuberun"
import { constants } from "node:os"
import { exitStatus, isSignal } from "../src/session/Signals.ts"
import { connect, settled, statuses, stdout, terminal } from "./SessionDriver.ts"

/** A program that ends with this code as soon as it may. */
const endingWith = (code: number, until: Effect.Effect<void>): ExecProcess => ({
  stdin: Sink.drain,
  output: Stream.concat(Stream.make(stdout("out")), Stream.fromEffectDrain(until)),
  resize: () => Effect.void,
  exit: Effect.as(until, { _tag: "Exited", code })
})

/** A helper that takes so long and ends so. */
const helping = (millis: number, code: number): ExecProcess => ({
  ...endingWith(code, Effect.void),
  output: Stream.fromEffectDrain(Effect.sleep(millis))
})

/** The signal that a helper is to deliver. */
const signalOf = ({ command }: ExecRequest) => command.at(-1)

const names = ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"]

describe("a signal on a session channel", () => {
  it.effect("is refused before a program is asked for, and waits for one that is still to start", () =>
    Effect.gen(function*() {
      const { client, world } = yield* connect({
        startMillis: 5000,
        exec: () => Effect.succeed(endingWith(0, Effect.never)),
        helper: () => Effect.succeed(helping(10, 0))
      })
      assert.isFalse(yield* client.request({ _tag: "Signal", name: "TERM" }))
      assert.isFalse(yield* client.request({ _tag: "Break", milliseconds: 0 }))
      yield* client.request({ _tag: "Exec", command: "work" })
      const answer = yield* Effect.forkChild(client.request({ _tag: "Signal", name: "TERM" }))
      yield* Time.pass("4 seconds")
      assert.isUndefined(answer.pollUnsafe())
      yield* Time.pass("2 seconds")
      assert.isTrue(yield* Fiber.join(answer))
      assert.deepStrictEqual((yield* world.helpers).map(signalOf), ["TERM"])
    }))

  it.effect("is answered when it is known what became of it, and holds up no other request", () =>
    Effect.gen(function*() {
      const { client } = yield* connect({
        exec: () => Effect.succeed(endingWith(0, Effect.never)),
        helper: (request) => Effect.succeed(helping(1000, signalOf(request) === "USR1" ? 1 : 0))
      })
      yield* client.request(terminal)
      yield* client.request({ _tag: "Shell" })
      const answers = yield* Effect.forkChild(
        Effect.all([
          client.request({ _tag: "Signal", name: "TERM" }),
          client.request({ _tag: "Signal", name: "USR1" }),
          client.request({ _tag: "Signal", name: "WINCH" }),
          client.request({ _tag: "Break", milliseconds: 500 })
        ])
      )
      yield* settled
      assert.isTrue(yield* client.request({ _tag: "WindowChange", size: { columns: 1, rows: 1 } }))
      yield* Time.pass("4 seconds")
      assert.deepStrictEqual(yield* Fiber.join(answers), [true, false, false, true])
    }))

  it.effect("is one at a time, and refused where too many wait", () =>
    Effect.gen(function*() {
      const now = yield* Ref.make(0)
      const most = yield* Ref.make(0)
      const { client, world } = yield* connect({
        exec: () => Effect.succeed(endingWith(0, Effect.never)),
        helper: () =>
          Effect.acquireRelease(
            Effect.flatMap(
              Ref.updateAndGet(now, (count) => count + 1),
              (count) => Ref.update(most, (before) => Math.max(before, count))
            ),
            () => Ref.update(now, (count) => count - 1)
          ).pipe(Effect.as(helping(100, 0)))
      })
      yield* client.request({ _tag: "Exec", command: "work" })
      yield* settled
      const answers = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 40 }, () => client.request({ _tag: "Signal", name: "USR1" })), {
          concurrency: "unbounded"
        })
      )
      yield* Time.pass("5 seconds")
      const taken = (yield* Fiber.join(answers)).filter((answer) => answer)
      assert.strictEqual(yield* Ref.get(most), 1)
      assert.isAtLeast(taken.length, 16)
      assert.isAtMost(taken.length, 20)
      assert.lengthOf(yield* world.helpers, taken.length)
    }))

  it.effect.prop(
    "explains a program's end only where it was delivered, and the answer comes before the one exit",
    {
      name: Schema.Literals(["HUP", "INT", "KILL", "TERM", "USR1"]),
      delivered: Schema.Boolean,
      code: Schema.Union([
        Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
        Schema.Literals([129, 130, 137, 138, 143])
      ]),
      helperMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1500 })),
      endMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1500 })),
      readMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))
    },
    ({ code, delivered, endMillis, helperMillis, name, readMillis }) =>
      Effect.gen(function*() {
        const end = yield* Deferred.make<void>()
        const { client } = yield* connect({
          exec: () => Effect.succeed(endingWith(code, Deferred.await(end))),
          helper: () => Effect.succeed(helping(helperMillis, delivered ? 0 : 1))
        }, { read: Effect.sleep(readMillis) })
        yield* client.request({ _tag: "Exec", command: "work" })
        yield* settled
        const answer = yield* Effect.forkChild(
          Effect.zip(client.request({ _tag: "Signal", name }), client.exits)
        )
        yield* Time.settle
        yield* Effect.forkChild(Effect.andThen(Effect.sleep(endMillis), Deferred.succeed(end, undefined)))
        yield* Time.pass("10 seconds")
        const [answered, exitsBefore] = yield* Fiber.join(answer)
        assert.deepStrictEqual({ answered, exitsBefore }, { answered: delivered, exitsBefore: [] })
        const exits = yield* client.exits
        assert.lengthOf(exits, 1)
        assert.strictEqual(exits[0]?.bytesBefore, 3)
        assert.deepStrictEqual(exits[0]?.status, exitStatus(code, new Set(delivered ? [name] : [])))
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect("after the program's end is refused, and what nobody answers does not hold up the end for long", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      const { client } = yield* connect({
        exec: () => Effect.succeed(endingWith(143, Deferred.await(end))),
        helper: () => Effect.never
      })
      yield* client.request({ _tag: "Exec", command: "work" })
      yield* settled
      const answers = yield* Effect.forkChild(
        Effect.all(
          [client.request({ _tag: "Signal", name: "TERM" }), client.request({ _tag: "Signal", name: "INT" })],
          {
            concurrency: 2
          }
        )
      )
      yield* settled
      yield* Deferred.succeed(end, undefined)
      yield* Time.pass("1900 millis")
      assert.deepStrictEqual(yield* statuses(client), [])
      yield* Time.pass("1 second")
      assert.deepStrictEqual(yield* Fiber.join(answers), [false, false])
      // What ended it is not known: the cluster has its time to say so.
      yield* Time.pass("2 seconds")
      assert.deepStrictEqual(yield* statuses(client), [{ _tag: "Exited", code: 143 }])
    }))

  it.effect.prop(
    "never explains a code that is not its own",
    {
      code: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
      delivered: Schema.Array(Schema.Literals(["HUP", "INT", "KILL", "TERM", "USR1", "SEGV"]))
    },
    ({ code, delivered }) =>
      Effect.sync(() => {
        const status = exitStatus(code, new Set(delivered))
        if (status._tag === "Exited") return assert.strictEqual(status.code, code)
        assert.include(delivered, status.signal)
        assert.isAbove(code, 128)
      }),
    { arbitrary: { runs: 300 } }
  )

  it("that was delivered explains the code of those whom it ended", () => {
    for (const name of names) {
      const number = new Map<string, number>(Object.entries(constants.signals)).get(`SIG${name}`) ?? 0
      assert.deepStrictEqual(exitStatus(128 + number, new Set(["USR1", "TERM", name])), {
        _tag: "Signaled",
        signal: name,
        message: `ended by signal ${name}`
      })
      assert.deepStrictEqual(exitStatus(128 + number, new Set()), { _tag: "Exited", code: 128 + number })
    }
  })

  it("has one of the names of RFC 4254", () => {
    assert.isTrue(names.every(isSignal))
    for (const name of ["", "TERM ", "term", "SIGTERM", "9", "WINCH", "STOP", "CONT", "constructor"]) {
      assert.isFalse(isSignal(name), name)
    }
  })
})
