import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { eventually, type Service, start } from "./support/Service.ts"

class Running extends Context.Service<Running, Service>()("test/Running") {
  static readonly layer = Layer.effect(Running, start())
}

/** A client in a terminal of 90 columns and 30 rows; `$TTY` in the file `tty` is the terminal to resize. */
const inTerminal = (command: string) =>
  `exec script -qec 'stty cols 90 rows 30; tty > tty; TERM=dumb exec $SSH -tt ${command}' /dev/null`

describe("a session, seen by the OpenSSH client", () => {
  it.layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("exits with the program's own status", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`for code in 0 1 7 126 255; do $SSH "exit $code"; echo $?; done`)
        assert.strictEqual(out, "0\n1\n7\n126\n255\n")
      }))

    it.effect("reads its command as sshd does: lists, pipes, redirections, quotes, variables, nothing", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { code, out } = yield* run(`
          $SSH 'echo one; echo two | tr a-z A-Z > f; cat f; X="a  b"; echo "$X" \\$X; false || echo three'
          $SSH ''
        `)
        assert.strictEqual(out, "one\nTWO\na  b $X\nthree\n")
        assert.strictEqual(code, 0)
      }))

    it.effect("keeps stdout and stderr apart", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        assert.deepStrictEqual(yield* run(`$SSH 'echo out; echo err >&2'`), { code: 0, out: "out\n", err: "err\n" })
      }))

    it.effect("brings the client's variables into the program's environment, unharmed, for exec and shell", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          set -f
          export ODD="it's \\$HOME \\"quoted\\" \\\\ and *"
          $SSH -o SendEnv=ODD 'printenv ODD'
          echo 'printenv ODD' | $SSH -o SendEnv=ODD -T
        `)
        const odd = `it's $HOME "quoted" \\ and *\n`
        assert.strictEqual(out, odd + odd)
      }))

    it.effect("brings bytes that are no UTF-8 into variables and commands", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { err, out } = yield* run(`
          ODD=$(printf 'a\\351\\\\b\\377') $SSH -o SendEnv=ODD 'printf %s "$ODD" | od -An -tx1'
          $SSH "printf %s '$(printf '\\351\\303\\251')' | od -An -tx1"
        `)
        assert.strictEqual(out, " 61 e9 5c 62 ff\n e9 c3 a9\n", err)
      }))

    it.effect("has a terminal with TERM, size and modes where it asks for one, and none where not", () =>
      Effect.gen(function*() {
        const { run, script } = yield* Running
        const client = yield* script(
          `script -qec 'stty cols 90 rows 30 erase ^H; TERM=vt220 exec $SSH -tt "echo \\$TERM; stty size; stty -a | grep -o \\"; erase = ..\\""' /dev/null`,
          "open"
        )
        assert.strictEqual(yield* client.exit, 0)
        // A pod that took its time was spoken of before, in a line that is wiped.
        assert.match((yield* client.stdout).replaceAll("\r", ""), /(?:^|\u001b\[K)vt220\n30 90\n; erase = \^H\n$/)
        const without = yield* run(`$SSH 'tty; test -t 1 || echo no terminal'`)
        assert.strictEqual(without.out, "not a tty\nno terminal\n")
      }))

    it.effect("gives a shell that prompts, follows the window, takes Ctrl-C and ends with Ctrl-D", () =>
      Effect.gen(function*() {
        const { script } = yield* Running
        const shell = yield* script(inTerminal(""), "open")
        yield* shell.stdoutMatch(/[$#] $/)
        yield* shell.write("PS1='ready> '; stty size\n")
        yield* shell.stdoutMatch(/30 90\r\nready> $/)
        const resize = yield* script(`stty -F "$(cat tty)" cols 100 rows 40`)
        yield* resize.exit
        yield* shell.write("until test \"$(stty size)\" = '40 100'; do :; done; echo grown\n")
        yield* shell.stdoutMatch(/\ngrown\r\nready> $/)
        // One program says so and sleeps: it is the terminal's foreground job when Ctrl-C comes.
        yield* shell.write("sh -c 'echo sleeping; exec sleep 1000'\n")
        yield* shell.stdoutMatch(/\nsleeping\r\n$/)
        yield* shell.write("\u0003")
        yield* shell.stdoutMatch(/\^C\r?\n*.*ready> $/)
        yield* shell.write("\u0004")
        assert.strictEqual(yield* shell.exit, 130)
      }))

    it.effect("tells the program of a window that changes while it runs", () =>
      Effect.gen(function*() {
        const { script } = yield* Running
        const client = yield* script(
          inTerminal(`"trap 'stty size; exit 5' WINCH; echo waiting; while :; do sleep 0.1; done"`).replaceAll(
            "'stty size; exit 5'",
            `\\"stty size; exit 5\\"`
          ),
          "open"
        )
        yield* client.stdoutMatch(/waiting/)
        yield* (yield* script(`stty -F "$(cat tty)" cols 111 rows 44`)).exit
        yield* client.stdoutMatch(/44 111/)
        assert.strictEqual(yield* client.exit, 5)
      }))

    it.effect("runs the subsystem that is configured, and refuses others", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { code, out } = yield* run(`
          head -c 3000000 /dev/urandom > 'a file'
          printf 'put "a file" "there"\\nget there back\\nrm there\\n' | $SFTP > /dev/null && cmp 'a file' back && echo same
          $SSH -s nosuch
        `)
        assert.strictEqual(out, "same\n")
        assert.notStrictEqual(code, 0)
      }))

    it.effect("copies files and folders both ways with scp", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { err, out } = yield* run(`
          set -e
          mkdir -p "tree/with space"; head -c 1000000 /dev/urandom > "tree/with space/b"; echo x > tree/c
          $SSH -M -S control -fN; trap '$SSH -S control -O exit 2>/dev/null' EXIT
          $SCP -o ControlPath=control -r tree $HOST:tree
          $SCP -o ControlPath=control -r $HOST:tree again
          diff -r tree again && echo same
        `)
        assert.strictEqual(out, "same\n", err)
      }))

    it.effect("shares one pod with the other sessions of its connection, which run beside it", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          $SSH -M -S shared -fN
          for n in 1 2 3 4 5; do $SSH -S shared "echo $n > said$n; until test -e said1 -a -e said2 -a -e said3 -a -e said4 -a -e said5; do sleep 0.05; done; hostname" & done | sort -u | wc -l
          wait
          $SSH -S shared -O exit 2> /dev/null
        `)
        assert.strictEqual(out.trim(), "1")
      }))

    it.effect("waits with its requests for a pod that still starts, and loses nothing of its input", () =>
      Effect.scoped(Effect.gen(function*() {
        const slow = yield* start({ image: "kuberun.test/slow-1500ms" })
        const { code, out } = yield* slow.run(`
          echo typed ahead | $SSH 'cat; exit 3'; echo $?
          $SSH 'cat; echo no input' < /dev/null
          $SSH -n 'echo closed'
        `)
        assert.strictEqual(out, "typed ahead\n3\nno input\nclosed\n")
        assert.strictEqual(code, 0)
      })))

    it.effect("leaves no pod", () =>
      Effect.gen(function*() {
        const { pods, podsGone } = yield* Running
        yield* podsGone
        assert.deepStrictEqual(yield* eventually(pods, (left) => left.length === 0), [])
      }))
  })
})
