import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Service, start } from "./support/Service.ts"
import { connect, run } from "./support/SshClient.ts"

class Running extends Context.Service<Running, Service>()("test/Running") {
  static readonly layer = Layer.effect(Running, start())
}

/** The embedded cluster's image of programs without a shell. */
class Bare extends Context.Service<Bare, Service>()("test/Bare") {
  static readonly layer = Layer.effect(Bare, start({ image: "kuberun.test/noshell" }))
}

/** What a guest agent does, as far as it is used: its log tells what it was asked for. */
const agent = `#!/bin/sh
echo "$@" >> "\${0%/*}/agent.log"
case $1 in
console)
shift
while [ "$1" = --env ]; do export "$2"; shift 2; done
[ "$1" = --pid ] && [ "$2" = -- ] || exit 64
shift 2
o() { printf %03o $(($$ >> $1 & 255)); }
printf "\\\\$(o 0)\\\\$(o 8)\\\\$(o 16)\\\\$(o 24)"
exec "$@" ;;
signal) kill -s "$5" "$3" ;;
esac
`

describe("a program", () => {
  it.layer(Running.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("is told of its connection as by sshd", () =>
      Effect.gen(function*() {
        const service = yield* Running
        const [, port = ""] = yield* service.process.stdoutMatch(/^ready: ssh .*-p (\d+) /m)
        const { out } = yield* service.run(`
          $SSH 'echo "$SSH_CLIENT"; echo "$SSH_CONNECTION"; echo "[$SSH_TTY]"'
          $SSH -tt 'echo "$SSH_CLIENT"; echo "$SSH_CONNECTION"; echo "[$SSH_TTY]"; echo "[$(tty)]"' | tr -d '\\r'
        `)
        const both = (tail: string) =>
          `127\\.0\\.0\\.1 \\d+ ${port}\\n127\\.0\\.0\\.1 \\d+ 127\\.0\\.0\\.1 ${port}\\n${tail}`
        assert.match(out, new RegExp(`^${both("\\[\\]\\n")}${both("\\[(/dev/pts/\\d+)\\]\\n\\[\\1\\]\\n")}$`))
      }))

    it.effect("is not told otherwise by its client", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          ssh -o SetEnv='SSH_CLIENT=1.1.1.1 SSH_TTY=/dev/null LANG=C.UTF-8 LC_TIME="x y"' $SSH_OPTIONS demo@127.0.0.1 \
            'echo "\${SSH_CLIENT%% *} [$SSH_TTY] $LANG $LC_TIME"'
        `)
        assert.strictEqual(out, "127.0.0.1 [] C.UTF-8 x y\n")
      }))

    it.effect("is a login shell where a shell is asked for, and SHELL is that shell", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          echo 'shopt -q login_shell && echo "login $SHELL"' | $SSH -T
          $SSH 'echo "$SHELL"'
        `)
        assert.strictEqual(out, "login /bin/bash\n/bin/bash\n")
      }))

    it.effect("writes nothing that was not its own, with a terminal and without", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { err, out } = yield* run(`
          $SSH 'printf out; printf err >&2'
          $SSH -tt 'printf out; printf err >&2' < /dev/null
          $SSH true
        `)
        assert.deepStrictEqual({ out, err }, { out: "outouterr", err: "err" })
      }))

    it.effect("whose file the image does not have is told by its name", () =>
      Effect.scoped(Effect.gen(function*() {
        const { run } = yield* start({ pod: { shellCommand: ["/nowhere/sh"] } })
        const { code, err } = yield* run("$SSH -T < /dev/null")
        assert.deepStrictEqual({ code, err }, {
          code: 255,
          err: "kuberun: The image of your pod has no /nowhere/sh, which this session needs.\n"
        })
      })))
  })

  it.layer(Bare.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("runs by its path and words where the image has no shell", () =>
      Effect.gen(function*() {
        const { run } = yield* Bare
        assert.deepStrictEqual(yield* run("$SSH /bin/echo a b; echo x | $SSH cat"), {
          code: 0,
          out: "a b\nx\n",
          err: ""
        })
        assert.strictEqual((yield* run("$SSH /bin/false")).code, 1)
      }))

    for (
      const [what, command, sentence] of [
        [
          "a pipe",
          "$SSH '/bin/echo a | cat'",
          "Your program could not be run: the image of your pod has no shell; name a program by its path, with plain words: no quotes, variables or pipes."
        ],
        [
          "a shell",
          "$SSH -T < /dev/null",
          "Your program could not be run: the image of your pod has no shell, and no /bin/bash either."
        ],
        [
          "a program that is not there",
          "$SSH /bin/nowhere",
          "Your program could not be run: the image of your pod has no shell, and no /bin/nowhere either."
        ]
      ] as const
    ) {
      it.effect(`tells in one sentence what does not work without a shell: ${what}`, () =>
        Effect.gen(function*() {
          const { run } = yield* Bare
          assert.deepStrictEqual(yield* run(command), { code: 255, out: "", err: `kuberun: ${sentence}\n` })
        }))
    }
  })

  it.live("is started and signalled by ContainerSSH's agent where the configuration says so", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* start()
      const agentPath = join(place.folder, "agent")
      writeFileSync(agentPath, agent)
      chmodSync(agentPath, 0o755)
      // The embedded cluster's pods see the machine's files, so that this one is in their image.
      const service = yield* start({ pod: { disableAgent: false, agentPath }, image: "kuberun.test/slow-1ms" })
      const client = yield* connect(service)
      const program = yield* run(client, "echo \"ready $PROBE $0\"; exec sleep 1000", { env: { PROBE: "a b" } })
      yield* program.says(/^ready a b \/bin\/sh\n$/)
      assert.isTrue(yield* program.request("signal", "TERM"))
      const { code, signal } = yield* program.ended
      assert.deepStrictEqual({ code, signal }, { code: null, signal: "TERM" })
      const { out } = yield* place.run("cat agent.log")
      assert.match(out, /^console --env PROBE=a b .*--pid -- \/bin\/sh -c echo .*\nsignal --pid \d+ --signal TERM\n$/s)
    })))

  it.live("is started by sh where the agent that the configuration names is missing", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ pod: { disableAgent: false }, flags: ["--log-level", "debug"] })
      const client = yield* connect(service)
      const program = yield* run(client, "echo \"ready $PROBE\"; sleep 1000", { env: { PROBE: "x" } })
      yield* program.says(/^ready x\n$/)
      assert.isTrue(yield* program.request("signal", "INT"))
      assert.strictEqual((yield* program.ended).signal, "INT")
      yield* service.process.stderrMatch(/the image has no \/usr\/bin\/containerssh-agent/)
    })))
})
