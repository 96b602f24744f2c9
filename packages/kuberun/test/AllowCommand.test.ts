import { assert, describe, it } from "@effect/vitest"
import { Arbitraries, type FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { allowCommand, type AllowCommandOptions, allows } from "../src/policy/AllowCommand.ts"
import { behind, environment, exec, shell } from "./PolicyDriver.ts"

const patterns = ["uptime", "git-upload-pack '*'", "cat /data/*", "show * *", "tool --mode=*", "log --*"]

const allowed: ReadonlyArray<string> = [
  "uptime",
  "git-upload-pack 'team/repo.git'",
  "git-upload-pack ''",
  "cat /data/a.txt",
  "cat /data/",
  "cat /data/größe/日本.txt",
  "cat /data/..hidden",
  "show a b",
  "show --all=yes x@y:1,2%+",
  "tool --mode=a=b",
  "log --since=1.week"
]

const refused: ReadonlyArray<string> = [
  "",
  " uptime",
  "uptime ",
  "uptime\n",
  "uptime\nid",
  "uptime;id",
  "uptime; id",
  "uptime & id",
  "uptime|id",
  "uptime>x",
  "UPTIME",
  "/usr/bin/uptime",
  "uptime #",
  "cat /data/x;id",
  "cat /data/x\nid",
  "cat /data/x\rid",
  "cat /data/x&&id",
  "cat /data/$(id)",
  "cat /data/`id`",
  "cat /data/${HOME}",
  "cat /data/$HOME",
  "cat /data/<(id)",
  "cat /data/*",
  "cat /data/?",
  "cat /data/[a]",
  "cat /data/{a,b}",
  "cat /data/~",
  "cat /data/!1",
  "cat /data/a^b",
  "cat /data/\\x",
  "cat /data/\"x\"",
  "cat /data/'x'",
  "cat /data/x /etc/passwd",
  "cat /data/x\t/etc/passwd",
  "cat /data/x\u00a0y",
  "cat /data/x\u2028id",
  "cat /data/x\u0000",
  "cat /data/../etc/passwd",
  "cat /data/a/..",
  "cat /data/x/../../etc/passwd",
  "git-upload-pack 'a' 'b'",
  "git-upload-pack 'a'; id; echo ''",
  "git-upload-pack 'a'\nid '",
  "git-upload-pack '../b'",
  "git-upload-pack a",
  "show a",
  "show a b c",
  "log --a --b"
]

describe("a command", () => {
  for (const command of allowed) {
    it(`is allowed that a pattern means: ${command}`, () => assert.isTrue(allows(patterns)(command)))
  }

  for (const command of refused) {
    it(`is refused that no pattern means: ${JSON.stringify(command)}`, () => assert.isFalse(allows(patterns)(command)))
  }

  it("has no variables set in front of it, and none in a pattern of several commands", () => {
    assert.isTrue(allows(["* -v"])("ls -v"))
    assert.isFalse(allows(["* -v"])("LD_PRELOAD=/tmp/x.so -v"))
    assert.isFalse(allows(["* ls"])("LD_PRELOAD=/tmp/x.so ls"))
    assert.isFalse(allows(["A=1 * ls"])("A=1 B=2 ls"))
    assert.isTrue(allows(["cd /srv; * list"])("cd /srv; task list"))
    assert.isFalse(allows(["cd /srv; * list"])("cd /srv; LD_PRELOAD=/tmp/x.so list"))
  })

  it("may go up in a path where its pattern does, and no further, also in quotes", () => {
    assert.isTrue(allows(["cat ../*"])("cat ../x"))
    assert.isFalse(allows(["cat ../*"])("cat ../../x"))
    assert.isFalse(allows(["cat /data/.'*'/x"])("cat /data/.'.'/x"))
  })

  it("is compared with a pattern's own signs to the letter", () => {
    assert.isTrue(allows(["a.b (c) [d] {2} + ? ^ $ | \\ /-x"])("a.b (c) [d] {2} + ? ^ $ | \\ /-x"))
    assert.isFalse(allows(["a.b"])("axb"))
    assert.isFalse(allows([])("uptime"))
  })

  it.effect.prop(
    "is one word per star to a real shell, and that word as it was sent, whatever is put there",
    {
      pieces: Schema.Array(
        Schema.Union([Arbitraries.username, Schema.Literals("$`'\";&|<>(){}[]*?~#!^\\ \n\t=%-./:".split(""))])
      )
    },
    ({ pieces }) =>
      Effect.sync(() => {
        const word = pieces.slice(0, 6).join("")
        const command = `printf %s\\\\n x${word}`
        if (!allows(["printf %s\\\\n x*"])(command)) return
        for (const shell of ["/bin/sh", "/bin/bash"].filter((path) => existsSync(path))) {
          const { status, stdout } = spawnSync(shell, ["-c", command], { encoding: "utf8" })
          assert.deepStrictEqual({ status, stdout }, { status: 0, stdout: `x${word}\n` })
        }
      }),
    { arbitrary: { runs: 1000 } }
  )
})

describe("a policy of allowed commands", () => {
  const asked = Effect.fn(function*(
    options: AllowCommandOptions,
    requests: ReadonlyArray<FakeSsh.ClientRequest>
  ) {
    const { client, handler } = yield* behind([allowCommand(patterns, options)])
    const one = yield* client()
    const answers = yield* Effect.forEach(requests, one.request)
    yield* Time.settle
    return { answers, seen: (yield* handler.sessions)[0]?.requests, stderr: (yield* one.texts).stderr }
  })

  it.effect("tells what it denies in one sentence, and lets through what it allows", () =>
    Effect.gen(function*() {
      const denials = [
        [exec("id\u001b[2J"), "The command \"id [2J\" is not allowed here."],
        [shell, "There are no shells here: name a command to run."],
        [{ _tag: "Subsystem", name: "sftp" } as const, "The subsystem \"sftp\" is not allowed here."]
      ] as const
      for (const [request, sentence] of denials) {
        const { seen, stderr } = yield* asked({}, [request])
        assert.strictEqual(stderr, `kuberun: ${sentence}\n`)
        assert.deepStrictEqual(seen, [])
      }
      const { answers, seen, stderr } = yield* asked({}, [exec("uptime")])
      assert.deepStrictEqual({ answers, seen, stderr }, { answers: [true], seen: [exec("uptime")], stderr: "" })
    }))

  it.effect("shows no more of a long command than fits into a line", () =>
    Effect.gen(function*() {
      const { stderr } = yield* asked({}, [exec("x".repeat(100_000))])
      assert.strictEqual(stderr, `kuberun: The command "${"x".repeat(60)}…" is not allowed here.\n`)
    }))

  it.effect("allows shells and subsystems where it is told to", () =>
    Effect.gen(function*() {
      const options = { shell: true, subsystems: ["sftp"] }
      const sftp = { _tag: "Subsystem", name: "sftp" } as const
      assert.deepStrictEqual((yield* asked(options, [shell])).seen, [shell])
      assert.deepStrictEqual((yield* asked(options, [sftp])).seen, [sftp])
      assert.deepStrictEqual((yield* asked(options, [{ _tag: "Subsystem", name: "other" }])).seen, [])
    }))

  it.effect("takes no variable that could make another command of an allowed one", () =>
    Effect.gen(function*() {
      const variables = [environment("PATH", "/tmp"), environment("LD_PRELOAD", "/tmp/x.so"), environment("LANG", "C")]
      const { answers, seen } = yield* asked({}, [...variables, exec("uptime")])
      assert.deepStrictEqual(answers, [false, false, true, true])
      assert.deepStrictEqual(seen, [environment("LANG", "C"), exec("uptime")])
      const other = yield* asked({ environment: ["GIT_PROTOCOL"] }, [
        environment("GIT_PROTOCOL", "version=2"),
        environment("GIT_PROTOCOL_X", ""),
        environment("LANG", "C")
      ])
      assert.deepStrictEqual(other.answers, [true, false, false])
    }))
})
