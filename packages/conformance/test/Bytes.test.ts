import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { eventually, type Service, start } from "./support/Service.ts"

class Running extends Context.Service<Running, Service>()("test/Running") {
  static readonly layer = Layer.effect(Running, start())
}

/** 64 MiB that both sides can make for themselves, and that tell a lost, doubled or moved piece. */
const large = "seq 9000000 | head -c 67108864"

/** Prints an input's checksum and length. */
const sum = "cksum"

/** About 30 MB in pieces of 60 kB; after each, its number is written to `progress`. */
const counted = (progress: string) =>
  `i=100; while [ $i -lt 600 ]; do seq $((i * 10000)) $((i * 10000 + 9999)); i=$((i + 1)); echo $i > ${progress}; done`

/** The most pieces that may be under way: what is held on both sides, in pipes and in windows, far below the whole. */
const mostUnderWay = 100 + 250

/** How many looks in a row see the same before something counts as standing still. */
const still = 8

/** Waits until the answer is a number that stays the same. */
const standsStill = (ask: Effect.Effect<string>) => {
  let last = ""
  let same = 0
  return Effect.map(
    eventually(ask, (answer) => {
      same = answer !== "" && answer === last ? same + 1 : 0
      last = answer
      return same >= still
    }),
    (answer) => {
      assert.isAtLeast(same, still, "it never stood still")
      return Number(answer)
    }
  )
}

const grows = (ask: Effect.Effect<string>) =>
  Effect.gen(function*() {
    const before = Number(yield* ask)
    assert.isAbove(Number(yield* eventually(ask, (answer) => Number(answer) > before)), before)
  })

describe("bytes, seen by the OpenSSH client", () => {
  it.layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("are unchanged in both directions, whatever their value", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(
          `head -c 3000001 /dev/urandom > random; $SSH cat < random | cmp - random && echo same`
        )
        assert.strictEqual(out, "same\n")
      }))

    it.effect("all arrive from a program that writes 64 MiB and exits at once, before its status", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`${large} | ${sum}; $SSH '${large}; exit 4' | ${sum}; echo \${PIPESTATUS[0]}`)
        const [made, arrived, code] = out.split("\n")
        assert.match(made ?? "", / 67108864$/)
        assert.strictEqual(arrived, made)
        assert.strictEqual(code, "4")
      }))

    it.effect("all reach a program that is sent 64 MiB", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`${large} | ${sum}; ${large} | $SSH ${sum}`)
        const [made, arrived] = out.split("\n")
        assert.strictEqual(arrived, made)
      }))

    it.effect("go both ways at once", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`${large} | ${sum}; ${large} | $SSH cat | ${sum}`)
        const [made, arrived] = out.split("\n")
        assert.strictEqual(arrived, made)
      }))

    it.effect("of stdout and stderr are each in order while both flow", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          $SSH 'seq 1000000 & seq 2000000 3000000 >&2; wait' > out 2> err
          seq 1000000 | cmp - out && seq 2000000 3000000 | cmp - err && echo same
        `)
        assert.strictEqual(out, "same\n")
      }))

    it.effect("all arrive from a program that never reads the stdin that it is sent", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          ${large} | ${sum}
          ${large} | $SSH '${large}; exit 6' | ${sum}; echo \${PIPESTATUS[2]}
        `)
        const [made, arrived, code] = out.split("\n")
        assert.strictEqual(arrived, made)
        assert.strictEqual(code, "6")
      }))

    it.effect("of the answer arrive after stdin has ended", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          printf '%s\\n' 3 1 2 | $SSH sort
          seq 10 | $SSH 'cat > /dev/null; seq 1000000' | ${sum}
          seq 1000000 | ${sum}
        `)
        const [one, two, three, arrived, made] = out.split("\n")
        assert.deepStrictEqual([one, two, three], ["1", "2", "3"])
        assert.strictEqual(arrived, made)
      }))

    it.effect("survive new keys in the middle, in both directions", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          seq 2000000 | ${sum}
          seq 2000000 | $SSH -v -o RekeyLimit=1M cat 2> log | ${sum}
          grep -c 'SSH2_MSG_NEWKEYS received' log
        `)
        const [made, arrived, keys] = out.split("\n")
        assert.strictEqual(arrived, made)
        assert.isAbove(Number(keys), 3)
      }))

    for (
      const cipher of [
        "aes128-ctr",
        "aes256-ctr",
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com"
      ]
    ) {
      it.effect(`are the same under ${cipher}`, () =>
        Effect.gen(function*() {
          const { run } = yield* Running
          const { err, out } = yield* run(
            `seq 300000 | $SSH -o Ciphers=${cipher} cat | ${sum}; seq 300000 | ${sum}`
          )
          const [arrived, made] = out.split("\n")
          assert.strictEqual(arrived, made, err)
        }))
    }
  })
})

describe("backpressure, seen by the OpenSSH client", () => {
  it.layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    /** A connection with its pod, for several sessions: `$SSH -S control`. Ends with the scope. */
    const connected = Effect.gen(function*() {
      const { folder, run, script } = yield* Running
      const control = `${folder}/control`
      const leave = run(`touch gate; $SSH -S ${control} -O exit`)
      yield* Effect.addFinalizer(() => leave)
      yield* run(`rm -f gate; $SSH -M -S ${control} -fN`)
      return {
        ssh: `$SSH -S ${control}`,
        inPod: (command: string) => Effect.map(run(`$SSH -S ${control} '${command}'`), ({ out }) => out.trim()),
        local: (command: string) => Effect.map(run(command), ({ out }) => out.trim()),
        // A shell's end alone is not the end of what it started: the connection's is, and the gate's opening.
        script: (text: string, stdin?: "open") =>
          Effect.tap(script(text, stdin), () => Effect.addFinalizer(() => leave))
      }
    })

    it.effect("stalls a program whose client does not read, and loses nothing when it reads again", () =>
      Effect.scoped(Effect.gen(function*() {
        const { inPod, local, script, ssh } = yield* connected
        const client = yield* script(
          `${ssh} '${counted("progress")}' | { until test -e gate; do sleep 0.1; done; ${sum}; }`
        )
        const stalledAt = yield* standsStill(inPod("cat progress 2>/dev/null"))
        assert.isBelow(stalledAt, mostUnderWay)
        yield* local("touch gate")
        assert.strictEqual(yield* client.exit, 0)
        assert.strictEqual(
          yield* client.stdout,
          yield* Effect.map(local(`{ ${counted("made")}; } | ${sum}`), (s) => `${s}\n`)
        )
      })))

    it.effect("stalls a client whose program does not read, and loses nothing when it reads again", () =>
      Effect.scoped(Effect.gen(function*() {
        const { inPod, local, script, ssh } = yield* connected
        const client = yield* script(
          `{ ${counted("sent")}; } | ${ssh} 'until test -e go; do sleep 0.1; done; ${sum}'`
        )
        const stalledAt = yield* standsStill(local("cat sent 2>/dev/null"))
        assert.isBelow(stalledAt, mostUnderWay)
        yield* inPod("touch go")
        assert.strictEqual(yield* client.exit, 0)
        assert.strictEqual(
          yield* client.stdout,
          yield* Effect.map(local(`{ ${counted("made")}; } | ${sum}`), (s) => `${s}\n`)
        )
      })))

    it.effect("in one direction lets the other flow: input reaches a program whose output nobody reads", () =>
      Effect.scoped(Effect.gen(function*() {
        const { inPod, local, script, ssh } = yield* connected
        const client = yield* script(
          `${ssh} '{ ${
            counted("flood")
          }; } & read -r line; echo "$line" > heard; wait' | { until test -e gate; do sleep 0.1; done; cat > /dev/null; }`,
          "open"
        )
        assert.isBelow(yield* standsStill(inPod("cat flood 2>/dev/null")), mostUnderWay)
        yield* client.write("let me through\n")
        assert.strictEqual(
          yield* eventually(inPod("cat heard 2>/dev/null"), (heard) => heard !== ""),
          "let me through"
        )
        yield* local("touch gate")
        assert.strictEqual(yield* client.exit, 0)
      })))

    for (
      const [name, source, bulk] of [
        ["a download", "", `'i=0; while seq 10000; do i=$((i + 1)); echo $i > bulk; done' > /dev/null`],
        ["an upload", "yes | ", `'i=0; while head -c 60000 > /dev/null; do i=$((i + 1)); echo $i > bulk; done'`]
      ] as const
    ) {
      it.effect(`lets each keystroke be echoed while ${name} runs beside it`, () =>
        Effect.scoped(Effect.gen(function*() {
          const { inPod, script, ssh } = yield* connected
          yield* script(`${source}${ssh} ${bulk}`)
          const moving = inPod("cat bulk 2>/dev/null || echo 0")
          yield* grows(moving)
          const typist = yield* script(`exec script -qec "${ssh} -tt 'echo listening; cat'" /dev/null`, "open")
          // Before that, the client's own terminal would still echo.
          yield* typist.stdoutMatch(/listening/)
          for (let key = 0; key < 20; key++) {
            yield* typist.write(`key${key}\n`)
            // Once by the terminal, once by the program.
            yield* typist.stdoutMatch(new RegExp(`key${key}\r\nkey${key}\r\n`)).pipe(
              Effect.timeoutOrElse({
                duration: "10 seconds",
                orElse: () =>
                  Effect.flatMap(typist.stdout, (text) => Effect.die(new Error(`no echo of key${key}: ${text}`)))
              })
            )
          }
          yield* grows(moving)
        })))
    }
  })
})
