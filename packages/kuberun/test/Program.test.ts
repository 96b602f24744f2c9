import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { defaultConfig, fromBytes, type PodConfig } from "kuberun"
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { reader } from "../src/session/Announcement.ts"
import { isEnvironmentName, program, type ProgramContext, type ProgramRequest } from "../src/session/Program.ts"
import { withPrologue } from "../src/session/ProgramPrologue.ts"

const directory = mkdtempSync(join(tmpdir(), "kuberun-program-"))
afterAll(() => rmSync(directory, { recursive: true }))

const printsEnvironment = join(directory, "prints-environment")
writeFileSync(printsEnvironment, "#!/bin/sh\nexec env -0\n")
chmodSync(printsEnvironment, 0o755)

const pod: PodConfig = {
  ...defaultConfig.pod,
  shellCommand: ["/bin/sh", "-c", "exec env -0"],
  subsystems: { sftp: printsEnvironment }
}

const context = (environment: Iterable<readonly [string, string]> = []): ProgramContext => ({
  environment: new Map(environment),
  terminal: undefined
})

const commandFor = (request: ProgramRequest, channel: ProgramContext, config: PodConfig = pod, word?: string) => {
  const asked = program(request, channel, config)
  assert.strictEqual(asked._tag, "Run", JSON.stringify(asked))
  return asked._tag === "Run" ? withPrologue(asked.launch, word) : ([""] as const)
}

/** Runs the argument vector on this machine, as the container runtime would; `sh` in the place of its /bin/sh. */
const runs = (
  [first, ...rest]: readonly [string, ...Array<string>],
  sh = "/bin/sh",
  encoding: "utf8" | "latin1" = "utf8"
) => {
  const local = (argument: string) => argument === "/bin/sh" ? sh : argument
  return spawnSync(local(first), rest.map(local), {
    encoding,
    stdio: ["ignore", "pipe", "pipe"],
    // A locale of many bytes: shells look at their texts as characters in it.
    env: { PATH: process.env["PATH"], LC_CTYPE: "C.UTF-8" }
  })
}

const environmentOf = (output: string): ReadonlyMap<string, string> =>
  new Map(
    output.split("\0").flatMap((entry) => {
      const end = entry.indexOf("=")
      return end < 0 ? [] : [[entry.slice(0, end), entry.slice(end + 1)] as const]
    })
  )

const requests: ReadonlyArray<ProgramRequest> = [
  { _tag: "Exec", command: "exec env -0" },
  { _tag: "Shell" },
  { _tag: "Subsystem", name: "sftp" }
]

/** Texts that a shell might read otherwise than they stand. */
const value = Schema.Array(Schema.Union([
  Schema.String,
  Schema.Literals([
    "'",
    "\"",
    "\\",
    "\n",
    "\r",
    "\t",
    " ",
    "$",
    "$HOME",
    "$(id)",
    "`id`",
    "-",
    "--",
    "-n",
    "*",
    "?",
    "[a]",
    "~",
    "#",
    "!",
    ";",
    "&",
    "|",
    "<",
    ">",
    "=",
    "(",
    ")",
    "{",
    "}",
    "%s",
    "\u0001",
    "\u007f",
    "é",
    "日本",
    "😀",
    "\u2028"
  ])
])).check(Schema.isMaxLength(6))

/** As a client's bytes arrive: without NUL, which is refused before, and decoded from UTF-8. */
const asSent = (pieces: ReadonlyArray<string>): string => pieces.join("").toWellFormed().replaceAll("\0", "")

/** The shells of this machine that images have as their /bin/sh. What makes them behave so is their file's name. */
const shells = ["dash", "bash", "busybox"].filter((name) => existsSync(`/bin/${name}`)).map((name) => {
  mkdirSync(join(directory, name))
  const sh = join(directory, name, "sh")
  symlinkSync(`/bin/${name}`, sh)
  return { name, sh }
})

/** Names that shells hold read-only, give a meaning of their own, or set themselves. */
const delicate = [
  "UID",
  "EUID",
  "PPID",
  "PWD",
  "OLDPWD",
  "IFS",
  "ENV",
  "BASH_ENV",
  "SHELLOPTS",
  "BASHOPTS",
  "BASH_VERSINFO",
  "OPTIND",
  "OPTARG",
  "LINENO",
  "RANDOM",
  "SECONDS",
  "PS1",
  "PS4",
  "_",
  "HOME",
  "LC_ALL",
  "LANG",
  "POSIXLY_CORRECT",
  "CDPATH",
  "MAILPATH",
  "HISTSIZE",
  "FUNCNAME",
  "GROUPS",
  "DIRSTACK",
  "TERM",
  "COLUMNS",
  "BASH_COMPAT",
  "HOSTFILE",
  "HISTCMD",
  "SRANDOM",
  "EPOCHSECONDS",
  "BASHPID",
  "BASH_ARGV0",
  "TMOUT",
  "GLOBIGNORE"
]

describe("a program's argument vector", () => {
  it.effect.prop(
    "brings every variable into its environment unharmed, whatever kind of program it is",
    { values: Schema.Array(value).check(Schema.isMaxLength(20)) },
    ({ values }) =>
      Effect.sync(() => {
        const sent = values.map((pieces, place) => [`KUBERUN_${place}`, asSent(pieces)] as const)
        for (const request of requests) {
          const { status, stderr, stdout } = runs(commandFor(request, context(sent)))
          assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
          const arrived = environmentOf(stdout)
          for (const [name, text] of sent) assert.strictEqual(arrived.get(name), text, request._tag)
        }
      }),
    { arbitrary: { runs: 300 } }
  )

  for (const { name: shell, sh } of shells) {
    it.effect.prop(
      `brings any bytes into its environment, and announces itself before all it writes, under ${shell}`,
      {
        name: Schema.String.check(Schema.isPattern(/^[a-z_][A-Za-z0-9_]{0,12}$/)),
        bytes: Schema.Uint8Array,
        argument: Schema.Uint8Array
      },
      ({ argument, bytes, name }) =>
        Effect.sync(() => {
          const sent = (given: Uint8Array) => given.filter((byte) => byte !== 0)
          const command = Buffer.concat([Buffer.from("printf out >&2; exec env -0\n"), sent(argument)])
          const argv = commandFor(
            { _tag: "Exec", command: fromBytes(command) },
            context([[`x${name}`, fromBytes(sent(bytes))]]),
            pod,
            "word"
          )
          for (const word of argv) assert.isTrue(word.isWellFormed(), "an exec takes nothing but UTF-8")
          const { pid, status, stderr, stdout } = runs(argv, sh, "latin1")
          assert.strictEqual(environmentOf(stdout).get(`x${name}`), Buffer.from(sent(bytes)).toString("latin1"))
          const reading = reader("word")(Buffer.from(stderr))
          assert.strictEqual(reading._tag, "Found")
          if (reading._tag !== "Found" || reading.announcement._tag !== "Running") return
          assert.strictEqual(reading.announcement.leader.pid, pid)
          assert.match(reading.announcement.leader.started ?? "", /^[0-9]+$/)
          assert.strictEqual(Buffer.from(reading.rest).toString(), "out")
          assert.strictEqual(status, 0)
        }),
      { arbitrary: { runs: 300 } }
    )

    it(`announces a program that the image does not have, under ${shell}`, () => {
      for (const file of ["/nowhere/at-all", "no-such-program"]) {
        const config = { ...pod, subsystems: { sftp: file } }
        const { status, stderr, stdout } = runs(
          commandFor({ _tag: "Subsystem", name: "sftp" }, context(), config, "w"),
          sh
        )
        assert.deepStrictEqual({ status, stdout }, { status: 127, stdout: "" })
        assert.deepStrictEqual(reader("w")(Buffer.from(stderr)), {
          _tag: "Found",
          announcement: { _tag: "Missing" },
          rest: new Uint8Array()
        })
      }
    })
  }

  for (const { name: shell, sh } of shells) {
    it(`starts its program whatever variable a client names, under ${shell}`, () => {
      const evaluated = join(directory, `evaluated-by-${shell}`)
      for (const name of delicate.filter(isEnvironmentName)) {
        for (const text of ["", "/nowhere", "0", "not a number", `a[$(touch ${evaluated})]`]) {
          const command = commandFor(
            { _tag: "Exec", command: "printf '%s' \"$AFTER\"; exit 3" },
            context([
              [name, text],
              ["AFTER", "arrived"]
            ])
          )
          const { status, stdout } = runs(command, sh)
          assert.deepStrictEqual({ status, stdout }, { status: 3, stdout: "arrived" }, `${name}=${text}`)
          assert.isFalse(existsSync(evaluated), `${name} was evaluated`)
        }
      }
    })

    it(`leaves no process between, passes the command's text unchanged, and its exit status, under ${shell}`, () => {
      const text = "printf '%s' \"$$ $PPID a  b\"; : '\\''\n# \"; exit 42"
      const command = "printf '%s' \"$$ $PPID $1\"\nexit 42"
      for (const environment of [[], [["A", "b"]] as const]) {
        assert.strictEqual(commandFor({ _tag: "Exec", command: text }, context(environment)).at(-1), text)
        const { pid, status, stdout } = runs(commandFor({ _tag: "Exec", command }, context(environment)), sh)
        assert.deepStrictEqual({ status, stdout }, { status: 42, stdout: `${pid} ${process.pid} ` })
      }
    })
  }

  it("brings any bytes of a command to the shell", () => {
    const command = fromBytes(
      Buffer.concat([Buffer.from("printf '%s' '"), Buffer.from([0xe9, 0x5c, 0xff, 0x0a, 0xc3]), Buffer.from("'")])
    )
    for (const { sh } of shells) {
      const { stdout } = runs(commandFor({ _tag: "Exec", command }, context()), sh, "latin1")
      assert.strictEqual(stdout, "\xe9\\\xff\n\xc3")
    }
  })

  it("lets PATH be the client's, and still finds what it was given with a path", () => {
    const { stdout } = runs(commandFor({ _tag: "Exec", command: "echo $PATH" }, context([["PATH", "/nowhere"]])))
    assert.strictEqual(stdout, "/nowhere\n")
  })

  it("tells the program its terminal's type, in place of a variable of that name", () => {
    const terminal = { term: "xterm-256color", modes: new Map([[53, 0], [1, 42]]) }
    const channel: ProgramContext = { environment: new Map([["TERM", "dumb"]]), terminal }
    for (const request of requests) {
      assert.strictEqual(environmentOf(runs(commandFor(request, channel)).stdout).get("TERM"), "xterm-256color")
    }
    const untyped = { ...channel, terminal: { ...terminal, term: "" } }
    assert.strictEqual(
      environmentOf(runs(commandFor({ _tag: "Shell" }, untyped)).stdout).get("TERM"),
      "dumb"
    )
  })

  it("is a login shell where the configured shell is a known one and nothing but that, and SHELL is that", () => {
    const of = (shellCommand: ReadonlyArray<string>) => {
      const asked = program({ _tag: "Shell" }, context(), { ...pod, shellCommand })
      return asked._tag === "Run" ? { command: asked.launch.command, shell: asked.launch.shell } : asked
    }
    assert.deepStrictEqual(of(["/bin/bash"]), { command: ["/bin/bash", "-l"], shell: "/bin/bash" })
    assert.deepStrictEqual(of(["/bin/bash", "--norc"]), { command: ["/bin/bash", "--norc"], shell: undefined })
    assert.deepStrictEqual(of(["/opt/menu"]), { command: ["/opt/menu"], shell: undefined })
    const shellOf = (shell: string) =>
      environmentOf(
        runs(commandFor({ _tag: "Exec", command: "exec env -0" }, context(), { ...pod, shellCommand: [shell] }, "w"))
          .stdout
      ).get("SHELL")
    assert.strictEqual(shellOf("/bin/sh"), "/bin/sh")
    assert.isUndefined(shellOf("/nowhere/bash"))
  })

  it("has a form without a shell where the command is nothing but words", () => {
    const plain = (command: string) => {
      const asked = program({ _tag: "Exec", command }, context(), pod)
      return asked._tag === "Run" && !("refusal" in asked.launch.withoutShell) ? asked.launch.withoutShell : undefined
    }
    assert.deepStrictEqual(plain("  /bin/ls  -l\t/tmp/a,b@c:d%e+f=g "), ["/bin/ls", "-l", "/tmp/a,b@c:d%e+f=g"])
    for (const character of "'\"\\$`|&;<>()*?[]{}~#!\n\r\u0001^") {
      assert.isUndefined(plain(`/bin/ls a${character}b`), JSON.stringify(character))
    }
    assert.isUndefined(plain(""))
    assert.isUndefined(plain("A=b /bin/ls"))
  })

  it("is the program's alone where there is nothing to set", () => {
    assert.deepStrictEqual(commandFor({ _tag: "Exec", command: "" }, context()), ["/bin/sh", "-c", ""])
    assert.deepStrictEqual(commandFor({ _tag: "Shell" }, context()), ["/bin/sh", "-c", "exec env -0"])
    assert.deepStrictEqual(commandFor({ _tag: "Subsystem", name: "sftp" }, context()), [printsEnvironment])
  })
})
