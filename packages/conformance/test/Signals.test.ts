import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { eventually, type Service, start } from "./support/Service.ts"
import { connect, run } from "./support/SshClient.ts"

const image = process.env["KUBERUN_TEST_IMAGE"] ?? "busybox"

/** On a root that nothing can be written to. */
class Running extends Context.Service<Running, Service>()("test/Running") {
  static readonly layer = Layer.effect(
    Running,
    start({
      pod: {
        podSpec: {
          containers: [{ name: "shell", image, securityContext: { readOnlyRootFilesystem: true } }],
          terminationGracePeriodSeconds: 1
        }
      }
    })
  )
}

const signals = ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"]

/** A number that this test's processes have on their command lines. */
const mark = () => `${100_000 + Math.floor(Math.random() * 900_000)}`

/** With one pod for all of the user's connections. */
class Shared extends Context.Service<Shared, Service>()("test/Shared") {
  static readonly layer = Layer.effect(Shared, start({ pod: { mode: "user" } }))
}

/** A shell's loop that ends when another has made the file. */
const waitsFor = (file: string) => `until [ -e /dev/shm/${file} ]; do sleep 0.1; done; rm /dev/shm/${file}`

/** How many processes of the pod have these words on their command line, as another channel sees it. */
const count = (client: Parameters<typeof run>[0], words: string) =>
  run(client, `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '${words}' | wc -l`).pipe(
    Effect.flatMap(({ ended }) => ended),
    Effect.map(({ out }) => Number(out)),
    Effect.scoped,
    Effect.orDie
  )

describe("signals", () => {
  it.layer(Running.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("end a program that does not handle them, which is told by their names", () =>
      Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const ends = yield* Effect.forEach(
          signals,
          Effect.fnUntraced(function*(name) {
            // Two processes in the group: both have to end before the channel does.
            const program = yield* run(client, "ulimit -c 0; echo ready; sleep 1000; :")
            yield* program.says(/ready/)
            const answer = yield* program.request("signal", name)
            const { code, signal } = yield* program.ended
            return { answer, code, signal }
          }),
          { concurrency: 4 }
        )
        assert.deepStrictEqual(ends, signals.map((signal) => ({ answer: true, code: null, signal })))
      }))

    it.effect("are a program's own affair where it handles them, and its exit code stays its own", () =>
      Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const program = yield* run(client, "trap 'echo got it; exit 7' USR1; echo ready; while :; do sleep 0.1; done")
        yield* program.says(/ready/)
        assert.isTrue(yield* program.request("signal", "USR1"))
        const { code, out, signal } = yield* program.ended
        assert.deepStrictEqual({ code, out, signal }, { code: 7, out: "ready\ngot it\n", signal: undefined })
        const other = yield* run(client, "exit 138")
        assert.strictEqual((yield* other.ended).code, 138)
      }))

    it.effect("reach the program of their own channel alone, with a terminal and without", () =>
      Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const programs = yield* Effect.forEach(
          [{}, { pty: true }, {}, { pty: true }],
          (options, place) => run(client, `trap 'echo got it' USR2; echo ready; ${waitsFor(`done-${place}`)}`, options)
        )
        yield* Effect.forEach(programs, ({ says }) => says(/ready/))
        const answers = yield* Effect.forEach(
          programs.slice(0, 2),
          ({ request, says }) => Effect.zip(request("signal", "USR2"), says(/got it/)),
          { concurrency: 2 }
        )
        assert.deepStrictEqual(answers.map(([answer]) => answer), [true, true])
        yield* run(client, "for n in 0 1 2 3; do echo > /dev/shm/done-$n; done")
        const outs = yield* Effect.forEach(
          programs,
          ({ ended }) => Effect.map(ended, ({ out }) => out.includes("got it"))
        )
        assert.deepStrictEqual(outs, [true, true, false, false])
      }))

    it.effect("that nobody knows are refused, and those before a program and after it", () =>
      Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const program = yield* run(client, "echo ready; read -r line; exit 3")
        yield* program.says(/ready/)
        assert.isFalse(yield* program.request("signal", "WINCH"))
        assert.isFalse(yield* program.request("signal", "9"))
        assert.isFalse(yield* program.request("signal", "TERM; touch /tmp/x"))
        program.channel.end("\n")
        assert.strictEqual((yield* program.ended).code, 3)
      }))

    it.effect("a break is Ctrl-C on a terminal, and refused without one", () =>
      Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const program = yield* run(
          client,
          "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done",
          {
            pty: true
          }
        )
        yield* program.says(/ready/)
        assert.isTrue(yield* program.request("break", 500))
        assert.strictEqual((yield* program.ended).code, 5)
        const plain = yield* run(client, "echo ready; read -r line")
        yield* plain.says(/ready/)
        assert.isFalse(yield* plain.request("break", 0))
      }))

    for (
      const [what, command, words] of [
        ["a sleep", "sleep N", "sleep N"],
        ["one that waits for a file", "exec tail -n N -f /dev/null", "tail -n N"],
        ["one in the background that ignores HUP", "nohup sleep N > /dev/null 2>&1 & echo; read -r line", "sleep N"],
        ["one that ignores TERM, too", "(trap '' HUP TERM; exec sleep N) & (trap '' HUP TERM; sleep N)", "sleep N"],
        ["a stopped one", "sleep N & kill -STOP $!; read -r line", "sleep N"],
        ["one on a session of its own whose parent is there", "trap '' HUP; setsid sleep N & wait", "sleep N"]
      ] as const
    ) {
      for (const pty of [false, true]) {
        it.effect(`an abandoned program is ended with all it started${pty ? ", on a terminal" : ""}: ${what}`, () =>
          Effect.gen(function*() {
            const client = yield* connect(yield* Running)
            const number = mark()
            const fill = (text: string) => text.replaceAll("N", number)
            const seen = fill(words).replace(/^s/, "[s]").replace(/^t/, "[t]")
            const program = yield* run(client, fill(command), { pty })
            assert.isAbove(yield* eventually(count(client, seen), (found) => found > 0), 0)
            yield* program.close
            assert.strictEqual(yield* eventually(count(client, seen), (found) => found === 0), 0)
          }))
      }
    }

    it.effect("what became a daemon, as tmux does, stays", () =>
      Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const number = mark()
        const program = yield* run(
          client,
          `(setsid sleep ${number} > /dev/null 2>&1 < /dev/null &); echo ready; read -r line`
        )
        yield* program.says(/ready/)
        const other = yield* run(client, "echo ready; sleep 1000")
        yield* other.says(/ready/)
        yield* program.close
        yield* other.close
        yield* eventually(count(client, "[s]leep 1000"), (found) => found === 0)
        assert.strictEqual(yield* count(client, `[s]leep ${number}`), 1)
      }))
  })

  it.layer(Shared.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("a pod that others use keeps nothing of a client that was killed", () =>
      Effect.gen(function*() {
        const service = yield* Shared
        const client = yield* connect(service)
        const number = mark()
        const killed = yield* service.script(`exec $SSH 'nohup sleep ${number} & echo ready; sleep ${number}'`)
        yield* killed.stdoutMatch(/ready/)
        assert.isAtLeast(yield* eventually(count(client, `[s]leep ${number}`), (found) => found >= 2), 2)
        yield* killed.signal("SIGKILL")
        assert.strictEqual(yield* eventually(count(client, `[s]leep ${number}`), (found) => found === 0), 0)
      }))

    it.effect("a pod that others use keeps nothing of a program that ended, but what became a daemon", () =>
      Effect.gen(function*() {
        const service = yield* Shared
        const client = yield* connect(service)
        const left = mark()
        const daemon = mark()
        const { code } = yield* service.run(
          `$SSH 'nohup sleep ${left} > /dev/null 2>&1 & setsid -f sleep ${daemon} > /dev/null 2>&1 < /dev/null; exit 4'`
        )
        assert.strictEqual(code, 4)
        assert.strictEqual(yield* eventually(count(client, `[s]leep ${left}`), (found) => found === 0), 0)
        assert.strictEqual(yield* count(client, `[s]leep ${daemon}`), 1)
      }))
  })

  it.live("are refused where the image has no shell", () =>
    Effect.scoped(Effect.gen(function*() {
      const client = yield* connect(yield* start({ image: "kuberun.test/noshell" }))
      const program = yield* run(client, "sleep 1")
      assert.isFalse(yield* program.request("signal", "TERM"))
      assert.strictEqual((yield* program.ended).code, 0)
    })))
})
