import { assert, describe, it } from "@effect/vitest"
import { FakeSsh, Time } from "@kuberun/testkit"
import { Duration, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { idleTimeout } from "../src/policy/IdleTimeout.ts"
import type { ConnectionHandler } from "../src/policy/Policy.ts"
import { stdout } from "../src/ports/Output.ts"
import { behind, exec, failure, shell, statuses, terminal } from "./PolicyDriver.ts"

const byte = new Uint8Array([120])

const advance = (time: Duration.Input) => TestClock.adjust(time).pipe(Effect.andThen(Time.settle))

const countOf = (text: string, part: string) => text.split(part).length - 1

describe("an idle connection", () => {
  it.effect("is ended at its time and not before, its terminals are warned, and everybody is told", () =>
    Effect.gen(function*() {
      const { client, isOver } = yield* behind([idleTimeout({ after: "10 minutes", warning: "1 minute" })])
      const [screen, plain] = [yield* client(), yield* client()]
      yield* screen.request(terminal)
      yield* screen.request(shell)
      yield* plain.request(exec("cat"))
      yield* advance(Duration.millis(9 * 60_000 - 1))
      assert.strictEqual((yield* screen.texts).stderr, "")
      yield* advance("1 milli")
      const warning =
        "\r\nkuberun: Nothing has happened here for a while: this session ends in 1m unless something does.\r\n"
      assert.strictEqual((yield* screen.texts).stderr, warning)
      assert.strictEqual((yield* plain.texts).stderr, "", "a program's output was mixed with a warning")
      yield* advance(Duration.millis(59_999))
      assert.isFalse(yield* isOver)
      assert.deepStrictEqual(yield* statuses(screen), [])
      yield* advance("1 milli")
      assert.isTrue(yield* isOver)
      const sentence = "kuberun: Nothing has happened here for 10m, so this session ends."
      assert.strictEqual((yield* screen.texts).stderr, `${warning}\r\n${sentence}\r\n`)
      assert.strictEqual((yield* plain.texts).stderr, `${sentence}\n`)
      assert.deepStrictEqual(yield* statuses(screen), [failure])
      assert.deepStrictEqual(yield* statuses(plain), [failure])
    }))

  it.effect("is ended also when nobody opened a channel", () =>
    Effect.gen(function*() {
      const { isOver } = yield* behind([idleTimeout({ after: "1 minute" })])
      yield* advance("59999 millis")
      assert.isFalse(yield* isOver)
      yield* advance("1 milli")
      assert.isTrue(yield* isOver)
    }))

  it.effect("is ended in time though its client does not read what it is told", () =>
    Effect.gen(function*() {
      const { client, isOver } = yield* behind([idleTimeout({ after: "1 minute", warning: "2 seconds" })])
      const one = yield* client(Effect.never)
      yield* one.request(terminal)
      yield* one.request(shell)
      yield* advance("59999 millis")
      assert.deepStrictEqual(yield* statuses(one), [])
      yield* advance("1 milli")
      yield* advance("5 seconds")
      assert.isTrue(yield* isOver)
      assert.deepStrictEqual(yield* statuses(one), [failure])
    }))

  it.effect("is not warned where the warning would come at once", () =>
    Effect.gen(function*() {
      for (const warning of ["1 minute", "2 minutes"] as const) {
        const { client, isOver } = yield* behind([idleTimeout({ after: "1 minute", warning })])
        const one = yield* client()
        yield* one.request(terminal)
        yield* one.request(shell)
        yield* advance("59 seconds")
        assert.strictEqual((yield* one.texts).stderr, "")
        yield* advance("1 second")
        assert.isTrue(yield* isOver)
      }
    }))

  it.effect("is not one on which a program writes, nor one on which a client types", () =>
    Effect.gen(function*() {
      const writing: ConnectionHandler = ({ sessions }) =>
        Stream.runForEach(sessions, (channel) =>
          Stream.tick("50 seconds").pipe(
            Stream.map(() => stdout(byte)),
            Stream.run(channel.output),
            Effect.ignore
          ))
      const reading: ConnectionHandler = ({ sessions }) =>
        Stream.runForEach(sessions, (channel) => Stream.runDrain(channel.stdin))
      for (const handler of [writing, reading]) {
        const { connection, open } = yield* FakeSsh.makeConnection()
        const client = yield* FakeSsh.makeClient()
        yield* open(client.channel)
        const serving = yield* Effect.forkChild(idleTimeout({ after: "1 minute" })(handler)(connection))
        for (const _ of Array.from({ length: 10 })) {
          yield* advance("50 seconds")
          if (handler === reading) yield* client.send(byte)
        }
        assert.isUndefined(serving.pollUnsafe())
        yield* Fiber.interrupt(serving)
      }
    }))

  it.effect("takes chunks as they come: no more are pulled than the client reads, none is cut or joined", () =>
    Effect.gen(function*() {
      let pulled = 0
      const chunks = Stream.fromIterable([[1, 2, 3], [4], [5, 6]]).pipe(
        Stream.map((numbers) => stdout(Uint8Array.from(numbers))),
        Stream.tap(() => Effect.sync(() => pulled += 1)),
        Stream.rechunk(1)
      )
      const handler: ConnectionHandler = ({ sessions }) =>
        Stream.runForEach(sessions, (channel) => Effect.ignore(Stream.run(chunks, channel.output)))
      const { connection, open } = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient(Effect.sleep("10 seconds"))
      yield* open(client.channel)
      yield* Effect.forkChild(idleTimeout({ after: "1 minute" })(handler)(connection))
      for (const read of [1, 2, 3]) {
        yield* Time.settle
        assert.strictEqual(pulled, read)
        yield* advance("10 seconds")
      }
      assert.deepStrictEqual(
        (yield* client.received).map(({ bytes }) => [...bytes]),
        [[1, 2, 3], [4], [5, 6]]
      )
    }))

  const upTo = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most }))

  it.effect.prop(
    "begins anew with every byte, request and channel; each silence is warned of once and ended at its time",
    {
      after: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })),
      warning: upTo(120),
      steps: Schema.Array(Schema.Struct({
        millis: upTo(70),
        what: Schema.Literals(["type on the terminal", "type elsewhere", "resize", "open", "nothing"])
      })).check(Schema.isMaxLength(15))
    },
    ({ after, steps, warning }) =>
      Effect.gen(function*() {
        const { client, isOver } = yield* behind([idleTimeout({ after, warning })])
        const [screen, plain] = [yield* client(), yield* client()]
        yield* screen.request(terminal)
        yield* screen.request(shell)
        yield* plain.request(exec("cat"))
        yield* Time.settle
        const warns = warning > 0 && warning < after
        let last = 0
        let now = 0
        let warnings = 0
        let warned = false
        const pass = Effect.fnUntraced(function*(millis: number) {
          yield* advance(millis)
          now += millis
          if (warns && !warned && now - last >= after - warning) {
            warned = true
            warnings += 1
          }
          const { stderr } = yield* screen.texts
          assert.strictEqual(countOf(stderr, "for a while"), warnings, `at ${now}`)
          assert.strictEqual(yield* isOver, now - last >= after, `at ${now}, ${now - last} idle`)
        })
        for (const { millis, what } of steps) {
          yield* pass(millis)
          if (yield* isOver) return
          if (what === "nothing") continue
          if (what === "open") yield* client()
          else if (what === "resize") yield* screen.request({ _tag: "WindowChange", size: { columns: 1, rows: 1 } })
          else yield* (what === "type elsewhere" ? plain : screen).send(byte)
          yield* Time.settle
          last = now
          warned = false
        }
        if (last + after - now > 1) yield* pass(last + after - now - 1)
        yield* pass(last + after - now)
        assert.isTrue(yield* isOver)
      }),
    { arbitrary: { runs: 300 } }
  )
})
