import { assert, describe, it } from "@effect/vitest"
import { Arbitraries, FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect } from "effect"
import { defaultConfig, Kuberun } from "kuberun"
import { forceCommand } from "../src/policy/ForceCommand.ts"
import { behind, environment, exec, failure, shell, statuses, terminal } from "./PolicyDriver.ts"

/** What reached the handler of one channel's requests. */
const reached = Effect.fn(function*(requests: ReadonlyArray<FakeSsh.ClientRequest>) {
  const { client, handler } = yield* behind([forceCommand("backup", { subsystems: { sftp: "/usr/lib/sftp-server" } })])
  const one = yield* client()
  const answers = yield* Effect.forEach(requests, one.request)
  const [session] = yield* handler.sessions
  return { answers, seen: session?.requests ?? [], stderr: (yield* one.texts).stderr }
})

describe("a forced command", () => {
  it.effect("stands in the place of a command, which it is told of", () =>
    Effect.gen(function*() {
      const { answers, seen } = yield* reached([terminal, exec("rm -rf /")])
      assert.deepStrictEqual(seen, [terminal, environment("SSH_ORIGINAL_COMMAND", "rm -rf /"), exec("backup")])
      assert.deepStrictEqual(answers, [true, true])
    }))

  it.effect("stands in the place of a subsystem, whose command line it is told as sshd does, or its name", () =>
    Effect.gen(function*() {
      for (const [name, told] of [["sftp", "/usr/lib/sftp-server"], ["constructor", "constructor"]] as const) {
        const { seen } = yield* reached([{ _tag: "Subsystem", name }])
        assert.deepStrictEqual(seen, [environment("SSH_ORIGINAL_COMMAND", told), exec("backup")])
      }
    }))

  it.effect("stands in the place of a shell, and is told of none, whatever its client says", () =>
    Effect.gen(function*() {
      const { answers, seen } = yield* reached([environment("SSH_ORIGINAL_COMMAND", "restore"), shell])
      assert.deepStrictEqual(seen, [exec("backup")])
      assert.deepStrictEqual(answers, [false, true])
    }))

  it.effect("is not told by its client what a script of its own would run", () =>
    Effect.gen(function*() {
      const { answers, seen } = yield* reached([
        environment("BASH_ENV", "$(id)"),
        environment("PATH", "/tmp"),
        environment("LC_ALL", "C"),
        environment("LANG", "C"),
        environment("LANGUAGE", "C"),
        shell
      ])
      assert.deepStrictEqual(seen, [environment("LC_ALL", "C"), environment("LANG", "C"), exec("backup")])
      assert.deepStrictEqual(answers, [false, false, true, true, false, true])
    }))

  it.effect("is not run where it could not be told what was asked for", () =>
    Effect.gen(function*() {
      const { layer, world } = yield* FakeCluster.make(FakeCluster.calmPlan)
      const { connection, open } = yield* FakeSsh.makeConnection()
      const client = yield* FakeSsh.makeClient()
      yield* Kuberun.use(({ handle }) => forceCommand("backup")(handle)(connection)).pipe(
        Effect.provide(Kuberun.layer(defaultConfig)),
        Effect.provide(layer),
        Effect.forkChild
      )
      yield* open(client.channel)
      for (let count = 0; count < 1000; count++) assert.isTrue(yield* client.request(environment(`LC_${count}`, "")))
      assert.isTrue(yield* client.request(exec("restore")))
      yield* Time.settle
      assert.strictEqual(
        (yield* client.texts).stderr,
        "kuberun: What you asked for cannot be told to the command that runs here.\n"
      )
      assert.deepStrictEqual(yield* world.execs, [])
      assert.deepStrictEqual(yield* statuses(client), [failure])
    }))

  it.effect.prop(
    "is all that runs, whatever a client asks for in whatever order",
    { steps: Arbitraries.clientSteps },
    ({ steps }) =>
      Effect.gen(function*() {
        const { answers, seen } = yield* reached(
          steps.flatMap((step) => step._tag === "Request" ? [step.request] : [])
        )
        assert.notInclude(answers, undefined)
        let original: string | undefined
        for (const request of seen) {
          assert.notInclude(["Shell", "Subsystem"], request._tag)
          if (request._tag === "Environment") {
            assert.match(request.name, /^(LANG|LC_.*|SSH_ORIGINAL_COMMAND)$/)
            if (request.name === "SSH_ORIGINAL_COMMAND") original = request.value
          }
          if (request._tag === "Exec") assert.strictEqual(request.command, "backup")
        }
        const first = steps.flatMap((step) => step._tag === "Request" ? [step.request] : [])
          .find(({ _tag }) => _tag === "Shell" || _tag === "Exec" || _tag === "Subsystem")
        if (first?._tag === "Exec") assert.isDefined(original)
      }),
    { arbitrary: { runs: 300 } }
  )
})
