import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Redacted, References } from "effect"
import { TestConsole } from "effect/testing"
import { layer, type LogFormat } from "../src/Logging.ts"

/** What the effect logs in this format, and what it prints besides. */
const logged = (format: LogFormat, effect: Effect.Effect<void>) =>
  Effect.gen(function*() {
    yield* Effect.provide(effect, layer(format))
    const lines = (logs: ReadonlyArray<unknown>) => logs.map(String)
    return { stderr: lines(yield* TestConsole.errorLines), stdout: lines(yield* TestConsole.logLines) }
  }).pipe(Effect.provide(Layer.fresh(TestConsole.layer)))

const withFields = Effect.annotateLogs({ connectionId: "c0ffee", user: "demo", pod: "kuberun-1", namespace: "default" })

describe("the log", () => {
  it.effect("is one line an entry on stderr, with its fields, and nothing on stdout", () =>
    Effect.gen(function*() {
      const { stderr, stdout } = yield* logged("pretty", Effect.logInfo("pod ready").pipe(withFields))
      assert.deepStrictEqual(stdout, [])
      assert.lengthOf(stderr, 1)
      assert.match(
        stderr[0] ?? "",
        /^\d\d:\d\d:\d\d\.\d{3} INFO {2}pod ready connectionId=c0ffee user=demo pod=kuberun-1 namespace=default$/
      )
    }))

  it.effect("has the same fields at the top level as JSON", () =>
    Effect.gen(function*() {
      const { stderr } = yield* logged("json", Effect.logWarning("pod slow").pipe(withFields))
      const { time, ...rest } = JSON.parse(stderr[0] ?? "")
      assert.match(time, /^\d{4}-\d\d-\d\dT/)
      assert.deepStrictEqual(rest, {
        connectionId: "c0ffee",
        user: "demo",
        pod: "kuberun-1",
        namespace: "default",
        level: "warn",
        message: "pod slow"
      })
    }))

  it.effect("shows an error as its sentence, without a stack trace", () =>
    Effect.gen(function*() {
      const entries = Effect.gen(function*() {
        yield* Effect.logError("cannot start", Cause.die(new TypeError("x is undefined")))
        yield* Effect.logError("cannot start", new Error("no route"))
      })
      for (const format of ["pretty", "json"] as const) {
        const { stderr } = yield* logged(format, entries)
        assert.lengthOf(stderr, 2)
        assert.include(stderr[0], "x is undefined")
        assert.include(stderr[1], "no route")
        for (const line of stderr) assert.notMatch(line, /\bat .*\.ts|Logging\.test/)
      }
    }))

  it.effect("has the stack trace at level trace, for whoever mends the fault", () =>
    Effect.gen(function*() {
      const { stderr } = yield* logged(
        "json",
        Effect.logError("cannot start", Cause.die(new TypeError("x is undefined"))).pipe(
          Effect.provideService(References.MinimumLogLevel, "Trace")
        )
      )
      assert.include(JSON.parse(stderr[0] ?? "").trace, "Logging.test")
    }))

  it.effect("cannot be forged by a user's name, nor command a terminal", () =>
    Effect.gen(function*() {
      const { stderr } = yield* logged(
        "pretty",
        Effect.logInfo("login\nof").pipe(
          Effect.annotateLogs({ user: "x\n12:00:00.000 ERROR all is lost\u001b[2J\u009b" })
        )
      )
      assert.lengthOf(stderr, 1)
      assert.notMatch(stderr[0] ?? "", /[\u0000-\u001f\u007f-\u009f]/)
    }))

  it.effect("shows no redacted value", () =>
    Effect.gen(function*() {
      for (const format of ["pretty", "json"] as const) {
        const { stderr } = yield* logged(
          format,
          Effect.logInfo("login with", Redacted.make("hunter2")).pipe(
            Effect.annotateLogs({ password: Redacted.make("hunter2") })
          )
        )
        assert.notInclude(stderr.join(), "hunter2")
      }
    }))
})
