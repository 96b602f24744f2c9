import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Deferred, Effect, Exit, Fiber, Ref, Scope, Sink, Stream } from "effect"
import {
  Cluster,
  ClusterError,
  decodeConfig,
  type ExecExit,
  type ExecProcess,
  type ExecRequest,
  Unreachable
} from "kuberun"
import { PodDeleted, PodEnded } from "../src/pod/PodStartError.ts"
import type { RunningPod } from "../src/pod/RunningPod.ts"
import { stdout } from "../src/ports/Output.ts"
import { type ExecLaunchOptions, launch } from "../src/session/ExecLaunch.ts"
import type { ProgramLaunch } from "../src/session/Launch.ts"
import { size } from "./SessionDriver.ts"

const program: ProgramLaunch = {
  command: ["/bin/sh", "-c", "work"],
  withoutShell: ["work"],
  shell: undefined,
  environment: [["A", "b"]],
  terminal: undefined
}

const refusal = (name: string): ExecExit => ({
  _tag: "NotStarted",
  detail: `exec: "${name}": executable file not found`
})

/** The process id that every program of the fake cluster announces. */
const announcedPid = "4711"

/** A program that says this and ends so. */
const ending = (exit: Effect.Effect<ExecExit>): ExecProcess => ({
  stdin: Sink.drain,
  output: Stream.fromEffectDrain(exit),
  resize: () => Effect.void,
  exit
})
const running: ExecProcess = ending(Effect.never)

/** The lines that a helper was given, and when. */
const recording = Effect.gen(function*() {
  const lines = yield* Ref.make<ReadonlyArray<string>>([])
  const decoder = new TextDecoder()
  const helper = (until: Effect.Effect<void>) => () =>
    Effect.succeed<ExecProcess>({
      ...ending(Effect.as(until, { _tag: "Exited", code: 0 })),
      stdin: Sink.forEach((bytes: Uint8Array) =>
        Ref.update(lines, (before) => [...before, decoder.decode(bytes).trim()])
      )
    })
  return { helper, lines: Ref.get(lines) }
})

/** One pod over a fake cluster, and a scope for its program. */
const place = Effect.fn(function*(
  plan: Partial<FakeCluster.FakeClusterPlan>,
  settings: {
    readonly shared?: boolean
    readonly config?: unknown
    /** How an exec's process is seen from here. */
    readonly seen?: (process: ExecProcess) => ExecProcess
  } = {}
) {
  const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, ...plan })
  const gone = yield* Deferred.make<never, PodEnded>()
  const pod: RunningPod = {
    ref: { namespace: "default", name: "pod" },
    container: "shell",
    changes: Stream.never,
    created: undefined,
    ended: Deferred.await(gone),
    check: Effect.void,
    programCheck: Effect.succeed(() => Effect.void)
  }
  const podScope = yield* Scope.make()
  const scope = yield* Scope.make()
  const { seen = (process: ExecProcess) => process } = settings
  const seenSo = Effect.updateService(
    Cluster,
    (cluster) => ({ ...cluster, exec: (request: ExecRequest) => Effect.map(cluster.exec(request), seen) })
  )
  const options: ExecLaunchOptions = {
    config: yield* Effect.orDie(decodeConfig(settings.config ?? {})),
    shared: settings.shared ?? false,
    podScope
  }
  return {
    world,
    podScope,
    podGone: Deferred.fail(gone, new PodEnded({ pod: "pod", reason: new PodDeleted() })),
    /** In the surrounding scope. */
    launch: (asked: ProgramLaunch = program) =>
      launch(pod, asked, Effect.succeed(size(80, 24)), options).pipe(seenSo, Effect.provide(layer)),
    /** In a scope that `close` closes. */
    start: (asked: ProgramLaunch = program) =>
      launch(pod, asked, Effect.succeed(size(80, 24)), options).pipe(
        seenSo,
        Effect.provide(layer),
        Scope.provide(scope)
      ),
    close: Scope.close(scope, Exit.void)
  }
})

const names = (requests: ReadonlyArray<ExecRequest>) => requests.map(({ command }) => command[0])

describe("a program's launch", () => {
  it.effect("signals its process group by a second exec, and tells whether that was delivered", () =>
    Effect.gen(function*() {
      const code = yield* Ref.make(0)
      const { start, world } = yield* place({
        exec: () => Effect.succeed(running),
        helper: () => Effect.map(Ref.get(code), (now) => ending(Effect.succeed({ _tag: "Exited", code: now })))
      })
      const launched = yield* start()
      assert.isTrue(yield* launched.signal("USR1"))
      yield* Ref.set(code, 1)
      assert.isFalse(yield* launched.signal("USR2"))
      assert.isFalse(yield* launched.interrupt)
      const helpers = yield* world.helpers
      assert.deepStrictEqual(helpers.map(({ command }) => command.slice(3)), [
        ["/bin/sh", announcedPid, "1", "USR1"],
        ["/bin/sh", announcedPid, "1", "USR2"]
      ])
    }))

  it.effect("gives a signal, a resize and a start no longer than the configuration does", () =>
    Effect.gen(function*() {
      const { start } = yield* place({
        exec: () => Effect.succeed({ ...running, resize: () => Effect.never }),
        helper: () => Effect.never
      }, { config: { timeouts: { signal: "3s", window: "2s" } } })
      const launched = yield* start()
      const signal = yield* Effect.forkChild(launched.signal("TERM"))
      const resize = yield* Effect.forkChild(launched.process.resize(size(1, 1)))
      yield* Time.pass("1900 millis")
      assert.isUndefined(resize.pollUnsafe())
      yield* Time.pass("1 second")
      assert.isDefined(resize.pollUnsafe())
      assert.isUndefined(signal.pollUnsafe())
      yield* Time.pass("1 second")
      assert.isFalse(yield* Fiber.join(signal))

      const slow = yield* place({ exec: () => Effect.never }, { config: { timeouts: { commandStart: "3s" } } })
      const starting = yield* Effect.forkChild(Effect.flip(slow.start()))
      yield* Time.pass("2900 millis")
      assert.isUndefined(starting.pollUnsafe())
      yield* Time.pass("1 second")
      assert.strictEqual(
        (yield* Fiber.join(starting)).message,
        "cannot start the program: the program's streams were not accepted within 3s"
      )
    }))

  it.effect("ends all of a program that still runs when its channel closes, in steps, and no longer than needed", () =>
    Effect.gen(function*() {
      for (const shared of [true, false]) {
        const { helper, lines } = yield* recording
        const done = yield* Deferred.make<void>()
        const { close, start, world } = yield* place({
          exec: () => Effect.succeed(running),
          helper: helper(Deferred.await(done))
        }, { shared })
        yield* start()
        const closing = yield* Effect.forkChild(close)
        yield* Time.pass("900 millis")
        assert.deepStrictEqual((yield* lines).filter((line) => line !== "-"), ["HUP"])
        yield* Time.pass("2 seconds")
        assert.deepStrictEqual((yield* lines).filter((line) => line !== "-"), ["HUP", "TERM"])
        yield* Time.pass("1 second")
        assert.deepStrictEqual([...new Set(yield* lines)], ["HUP", "-", "TERM", "KILL"])
        yield* Deferred.succeed(done, undefined)
        yield* Time.settle
        assert.isDefined(closing.pollUnsafe())
        assert.strictEqual(yield* world.openStreams, 0)
        assert.lengthOf(yield* world.helpers, 1)
      }
    }))

  it.effect("ends what an interrupted session leaves in a pod that others use, also of a start that was under way", () =>
    Effect.gen(function*() {
      for (const underWay of [false, true]) {
        const accepted = yield* Deferred.make<void>()
        const { helper, lines } = yield* recording
        const { launch, world } = yield* place({
          exec: () => Effect.as(Deferred.await(accepted), running),
          helper: helper(Effect.sleep("500 millis"))
        }, { shared: true })
        const session = yield* Effect.forkChild(Effect.scoped(Effect.andThen(launch(), Effect.never)))
        if (!underWay) yield* Deferred.succeed(accepted, undefined)
        yield* Time.settle
        const leaving = yield* Effect.forkChild(Fiber.interrupt(session))
        yield* Time.pass("1 second")
        if (underWay) yield* Deferred.succeed(accepted, undefined)
        yield* Time.pass("1 second")
        assert.isDefined(leaving.pollUnsafe())
        assert.strictEqual((yield* lines)[0], "HUP")
        assert.lengthOf(yield* world.helpers, 1)
        assert.strictEqual(yield* world.openStreams, 0)
      }
    }))

  it.effect("ends also a program whose first output came before its announcement, and whose client took none", () =>
    Effect.gen(function*() {
      const early = Stream.make(stdout(new TextEncoder().encode("x")))
      const { close, start, world } = yield* place({ exec: () => Effect.succeed(running) }, {
        shared: true,
        seen: (process) => ({ ...process, output: Stream.concat(early, process.output) })
      })
      yield* start()
      const closing = yield* Effect.forkChild(close)
      yield* Time.pass("1 second")
      assert.isDefined(closing.pollUnsafe())
      assert.lengthOf(yield* world.helpers, 1)
      assert.strictEqual(yield* world.openStreams, 0)
    }))

  it.effect("waits no longer for a start that never ends than it takes a person to notice", () =>
    Effect.gen(function*() {
      const { launch, world } = yield* place({ exec: () => Effect.never }, { shared: true })
      const session = yield* Effect.forkChild(Effect.scoped(launch()))
      yield* Time.settle
      const leaving = yield* Effect.forkChild(Fiber.interrupt(session))
      yield* Time.pass("5 seconds")
      assert.isDefined(leaving.pollUnsafe())
      assert.deepStrictEqual(yield* world.helpers, [])
      assert.strictEqual(yield* world.openStreams, 0)
    }))

  it.effect("ends in a pod that others use what a program left behind that ended by itself, and nowhere else", () =>
    Effect.gen(function*() {
      for (const shared of [true, false]) {
        const { close, start, world } = yield* place({
          exec: () => Effect.succeed(ending(Effect.succeed({ _tag: "Exited", code: 0 })))
        }, { shared })
        const { process } = yield* start()
        yield* Stream.runDrain(process.output)
        yield* process.exit
        yield* close
        yield* Time.pass("10 seconds")
        assert.lengthOf(yield* world.helpers, shared ? 1 : 0)
      }
    }))

  it.effect("ends nothing in a pod that goes with its connection, or that is gone", () =>
    Effect.gen(function*() {
      const own = yield* place({ exec: () => Effect.succeed(running) })
      yield* own.start()
      yield* own.close
      yield* Scope.close(own.podScope, Exit.void)
      yield* Time.pass("10 seconds")
      assert.deepStrictEqual(yield* own.world.helpers, [])

      const taken = yield* place({ exec: () => Effect.succeed(running), helper: () => Effect.never }, { shared: true })
      yield* taken.start()
      const closing = yield* Effect.forkChild(taken.close)
      yield* Time.settle
      assert.isUndefined(closing.pollUnsafe())
      yield* taken.podGone
      yield* Time.settle
      assert.isDefined(closing.pollUnsafe())
    }))

  it.effect("gives up on an ending in time, and tries again where that may help", () =>
    Effect.gen(function*() {
      const stuck = yield* place({ exec: () => Effect.succeed(running), helper: () => Effect.never }, { shared: true })
      yield* stuck.start()
      const closing = yield* Effect.forkChild(stuck.close)
      yield* Time.pass("14 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* Time.pass("2 seconds")
      assert.isDefined(closing.pollUnsafe())

      const tries = yield* Ref.make(0)
      const lost = new ClusterError({ operation: "exec", reason: new Unreachable({ detail: "reset" }) })
      const shaky = yield* place({
        exec: () => Effect.succeed(running),
        helper: () =>
          Effect.flatMap(Ref.updateAndGet(tries, (count) => count + 1), (count) =>
            count < 3 ? Effect.fail(lost) : Effect.succeed(ending(Effect.succeed({ _tag: "Exited", code: 0 }))))
      }, { shared: true })
      yield* shaky.start()
      const again = yield* Effect.forkChild(shaky.close)
      yield* Time.pass("3 seconds")
      assert.isDefined(again.pollUnsafe())
      assert.strictEqual(yield* Ref.get(tries), 3)
    }))

  it.effect("takes the guest agent, else sh, else the program as it is, and remembers what the image does not have", () =>
    Effect.gen(function*() {
      const has = yield* Ref.make<ReadonlyArray<string>>(["work"])
      const { start, world } = yield* place({
        exec: ({ command: [name = ""] }) =>
          Effect.map(Ref.get(has), (all) => all.includes(name) ? running : ending(Effect.succeed(refusal(name))))
      }, { config: { pod: { disableAgent: false, agentPath: "/agent" } } })
      const launched = yield* start()
      assert.deepStrictEqual(names(yield* world.execs), ["/agent", "/bin/sh", "work"])
      assert.isFalse(yield* launched.signal("TERM"))
      yield* start()
      assert.deepStrictEqual(names(yield* world.execs).slice(3), ["work"])
      assert.deepStrictEqual(yield* world.helpers, [])
      const refused = yield* start({ ...program, withoutShell: { refusal: "no shell" } })
      assert.deepStrictEqual(yield* refused.process.exit, { _tag: "NotStarted", detail: "no shell" })
    }))

  it.effect("takes no other fault for an image without a shell", () =>
    Effect.gen(function*() {
      const detail = "OCI runtime exec failed: chdir to cwd (\"/work\") failed: no such file or directory"
      const { start, world } = yield* place({
        exec: () => Effect.succeed(ending(Effect.succeed({ _tag: "NotStarted", detail })))
      })
      const { process } = yield* start()
      assert.deepStrictEqual(yield* process.exit, { _tag: "NotStarted", detail })
      assert.lengthOf(yield* world.execs, 1)
    }))

  it.effect("is not held up by a program that neither announces itself nor writes", () =>
    Effect.gen(function*() {
      const { close, start, world } = yield* place({
        exec: () => Effect.succeed(running)
      }, { config: { pod: { disableAgent: false } } })
      const starting = yield* Effect.forkChild(start())
      yield* Time.pass("4900 millis")
      assert.isUndefined(starting.pollUnsafe())
      yield* Time.pass("1 second")
      const launched = yield* Fiber.join(starting)
      const signal = yield* Effect.forkChild(launched.signal("TERM"))
      yield* Time.pass("61 seconds")
      assert.isFalse(yield* Fiber.join(signal))
      yield* close
      assert.deepStrictEqual(yield* world.helpers, [])
    }))
})
