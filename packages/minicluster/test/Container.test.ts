import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { Buffer } from "node:buffer"
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ContainerLog, makeContainerLog } from "../src/runtime/ContainerLog.ts"
import { makeFanOut } from "../src/runtime/FanOut.ts"
import { detectIsolation } from "../src/runtime/Isolation.ts"
import { shortcomings } from "../src/runtime/Program.ts"
import { outputIn, podOf, specOf, started, temporaryFolder, textOf, until } from "./support/Container.ts"

const isRoot = process.getuid?.() === 0
const namespaces = Effect.map(detectIsolation(true), ({ _tag }) => _tag === "Namespaces")

const volume = Effect.map(temporaryFolder, (folder) => {
  writeFileSync(join(folder, "file"), "text\n")
  chmodSync(folder, 0o777)
  return folder
})
const mount = (source: string, target: string, readOnly = false) => ({ source, target, readOnly })

describe("a container's mounts", () => {
  for (
    const target of [
      "/data/deep/er",
      "/var/run/secrets/kubernetes.io/serviceaccount",
      "/mnt",
      "/usr/share/no such folder",
      "/tmp",
      "/run"
    ]
  ) {
    it.live(`are seen at ${target} by the command and by what enters later, and by nobody else`, () =>
      Effect.gen(function*() {
        if (!(yield* namespaces)) return
        const source = yield* volume
        const log = yield* makeContainerLog
        const command = ["sh", "-c", `cat "${target}/file"; exec sleep 1000`]
        const container = yield* started({ command }, { mounts: [mount(source, target)], log })
        assert.strictEqual(
          yield* outputIn(container, `cat "${target}/file"; echo new > "${target}/new"; cd /; ls bin/sh`),
          "text\nbin/sh\n"
        )
        assert.strictEqual(readFileSync(join(source, "new"), "utf8"), "new\n")
        assert.strictEqual(yield* firstLogged(log), "text\n")
        yield* container.kill
        yield* container.exitCode
        assert.strictEqual(yield* logged(log), "text\n")
        assert.isFalse(existsSync(join(target, "file")))
      }))
  }

  it.live("cover the pod's own folder and still come from it, and leave its home where it is", () =>
    Effect.gen(function*() {
      if (!(yield* namespaces)) return
      const [covering, other] = [yield* volume, yield* volume]
      const container = yield* started({ image: "kuberun.test/busybox" }, {
        mounts: [mount(covering, tmpdir()), mount(other, "/usr/share")]
      })
      writeFileSync(join(other, "mark"), "there\n")
      assert.strictEqual(
        yield* outputIn(container, `cat /usr/share/mark ${tmpdir()}/file; [ "$PWD" = "$HOME" ] && touch ~/f && ls ~`),
        "there\ntext\nf\n"
      )
    }))

  it.live("are refused by the runtime where there can be none", () =>
    Effect.gen(function*() {
      if (!(yield* namespaces)) return
      const source = yield* volume
      for (
        const [target, why] of [
          ["/", "mountpoint is on the top of rootfs"],
          ["/proc/self", "cannot be mounted because it is inside /proc"],
          ["/etc/passwd", "not a directory: Are you trying to mount a directory onto a file"],
          ["/etc/passwd/x", "ENOTDIR"]
        ] as const
      ) {
        const { message } = yield* Effect.flip(started({}, { mounts: [mount(source, target)] }))
        assert.include(
          message,
          `unable to start container process: error mounting "${source}" to rootfs at "${target}"`
        )
        assert.include(message, why)
      }
    }))

  it.live("lie in one another, and may be files and read-only", () =>
    Effect.gen(function*() {
      if (!(yield* namespaces)) return
      const [outer, inner] = [yield* volume, yield* volume]
      const container = yield* started({ workingDir: "/data/work" }, {
        mounts: [
          mount(inner, "/data/a b/inner", true),
          mount(outer, "/data"),
          mount(join(inner, "file"), "/etc/hostname", true),
          mount(join(inner, "file"), "/etc/no/such", true)
        ]
      })
      assert.strictEqual(
        yield* outputIn(
          container,
          `pwd; ls /data "/data/a b/inner"; cat /etc/hostname /etc/no/such
           touch "/data/a b/inner/x" /etc/hostname 2>/dev/null || echo read-only; touch "/data/a b/y"; ls "/data/a b"`
        ),
        "/data/work\n/data:\na b\nfile\nwork\n\n/data/a b/inner:\nfile\ntext\ntext\nread-only\ninner\ny\n"
      )
      assert.isFalse(existsSync("/etc/no"))
    }))

  it.live("leave nothing behind: neither what was made for them nor what was written beside them", () =>
    Effect.gen(function*() {
      if (!(yield* namespaces)) return
      const [source, directory] = [yield* volume, yield* temporaryFolder]
      const before = readdirSync("/")
      const scope = yield* Scope.make()
      const container = yield* Scope.provide(started({}, { mounts: [mount(source, "/no/such")], directory }), scope)
      yield* outputIn(container, "touch /no/x /y")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(readdirSync("/"), before)
      assert.deepStrictEqual(readdirSync(join(directory, "roots")), [])
      assert.deepStrictEqual(readdirSync(source), ["file"])
    }))

  it.live("hold programs that can be run by their path and from the working folder", () =>
    Effect.gen(function*() {
      if (!(yield* namespaces)) return
      const source = yield* volume
      writeFileSync(join(source, "run.sh"), "#!/bin/sh\necho ran in $PWD\n", { mode: 0o755 })
      const log = yield* makeContainerLog
      const container = yield* started({ command: ["./run.sh"], workingDir: "/scripts" }, {
        mounts: [mount(source, "/scripts")],
        log
      })
      yield* container.exitCode
      assert.strictEqual(yield* logged(log), "ran in /scripts\n")
      const refused = yield* Effect.flip(
        started({ command: ["/scripts/file"] }, { mounts: [mount(source, "/scripts")] })
      )
      assert.include(refused.message, `exec: "/scripts/file": permission denied`)
    }))

  it.live("of a read-only root may be written, and nothing else", () =>
    Effect.gen(function*() {
      if (!(yield* namespaces)) return
      const source = yield* volume
      const spec = { securityContext: { readOnlyRootFilesystem: true } }
      for (const target of ["/mnt", "/no/such"]) {
        const container = yield* started(spec, { mounts: [mount(source, target)] })
        assert.strictEqual(
          yield* outputIn(container, `for f in ${target}/x /usr/x /tmp/x /x; do touch $f 2>/dev/null && echo $f; done`),
          `${target}/x\n`
        )
      }
    }))

  it.live("are told of where there are no namespaces, but for the token that every pod has", () =>
    Effect.gen(function*() {
      const isolation = yield* detectIsolation(false)
      const mounts = [mount("/a", "/data"), mount("/b", "/var/run/secrets/kubernetes.io/serviceaccount")]
      const spec = specOf({ securityContext: { runAsUser: 4321, readOnlyRootFilesystem: true } })
      const told = shortcomings({ isolation, pod: podOf(), spec, directory: "/", environment: {}, mounts })
      assert.deepStrictEqual(told.map(({ reason }) => reason), [
        "VolumeNotMounted",
        "SecurityContextIgnored",
        "SecurityContextIgnored"
      ])
      assert.include(told[0]?.message ?? "", "what container main wants at /data is at /a")
      assert.include(told[1]?.message ?? "", "cannot run a program as user 4321")
    }))
})

/** Waits for it. */
const firstLogged = (log: ContainerLog) =>
  Effect.map(
    Stream.runCollect(Stream.take(log.read({ follow: true }), 1)),
    (pieces) => Buffer.concat(pieces).toString()
  )
const logged = (log: ContainerLog) =>
  Effect.map(Stream.runCollect(log.read()), (pieces) => Buffer.concat(pieces).toString())

describe("a container's programs", () => {
  it.live("run as the user of the security context, who has a home and may open its own output", () =>
    Effect.gen(function*() {
      if (!isRoot || !(yield* namespaces)) return
      const securityContext = { fsGroup: 77, supplementalGroups: [88], runAsGroup: 55 }
      const log = yield* makeContainerLog
      const container = yield* started(
        { command: ["sh", "-c", "id -u; exec sleep 1000"], securityContext: { runAsUser: 1234 } },
        { pod: podOf({ securityContext }), log }
      )
      assert.strictEqual(
        yield* outputIn(
          container,
          "id -u; id -g; id -G; pwd; echo > ~/f; stat -c %u ~/f; echo open > /dev/stdout; touch /x || echo no"
        ),
        "1234\n55\n55 77 88\n/home/1234\n1234\nopen\ntouch: cannot touch '/x': Permission denied\nno\n"
      )
      assert.strictEqual(yield* firstLogged(log), "1234\n")
    }))

  it.live("have their arguments' references replaced, by the container's own variables alone", () =>
    Effect.gen(function*() {
      const log = yield* makeContainerLog
      const container = yield* started(
        { command: ["sh", "-c"], args: ["echo '$(WHO) $$(WHO) $(HOME)'"] },
        { environment: { WHO: "me" }, log }
      )
      assert.strictEqual(yield* container.exitCode, 0)
      assert.strictEqual(yield* logged(log), "me $(WHO) $(HOME)\n")
    }))

  it.live("have a shell where they have stdin and no command, as their images would", () =>
    Effect.gen(function*() {
      const log = yield* makeContainerLog
      const container = yield* started({ command: [], stdin: true, stdinOnce: true }, { log })
      const { stdin } = yield* container.attach({ stdin: true })
      yield* stdin?.write(Buffer.from("echo $0; exit 3\n")) ?? Effect.void
      assert.strictEqual(yield* container.exitCode, 3)
      assert.strictEqual(yield* logged(log), "sh\n")
    }))

  it.live("do not lose the last of their output, however fast they end", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 5; round++) {
        const log = yield* makeContainerLog
        const command = ["sh", "-c", "read go; seq 25000; echo end >&2"]
        const container = yield* started({ command, stdin: true }, { log })
        // Nobody reads what this one is given.
        const { stdin } = yield* container.attach({ stdin: true })
        yield* stdin?.write(Buffer.from("go\n")) ?? Effect.void
        yield* container.exitCode
        const text = yield* logged(log)
        assert.include(text, "\n25000\n")
        assert.include(text, "end\n")
      }
    }))

  for (const withNamespaces of [true, false]) {
    it.live(`are not entered once they have ended (namespaces: ${withNamespaces}), and nothing of the machine's tools shows`, () =>
      Effect.gen(function*() {
        const container = yield* started({ command: ["sh", "-c", "read line"], stdin: true }, {}, withNamespaces)
        const enter = container.exec({
          argv: ["sh", "-c", "echo in; sleep 1000"],
          stdin: false,
          stdout: true,
          stderr: true,
          terminal: undefined
        })
        // Some of these meet the container alive, some while it goes, some after it.
        const attempts = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 48 }),
            () =>
              Effect.scoped(Effect.gen(function*() {
                const program = yield* enter
                const [out, err] = yield* Effect.all([textOf(program.stdout), textOf(program.stderr)], {
                  concurrency: 2
                })
                return { out, err, code: yield* program.exitCode }
              })).pipe(Effect.catch(({ message }) => Effect.succeed({ refused: message }))),
            { concurrency: 24 }
          ),
          { startImmediately: true }
        )
        yield* container.kill
        yield* container.exitCode
        for (const attempt of yield* Fiber.join(attempts)) {
          if ("refused" in attempt) {
            assert.strictEqual(attempt.refused, "failed to exec in container: container is in CONTAINER_EXITED state")
          } else assert.deepStrictEqual([attempt.err, attempt.code], ["", 137])
        }
      }))
  }
})

describe("an attached client", () => {
  const talker = ["sh", "-c", `while read line; do echo "got $line"; echo "err $line" >&2; done; echo over`]

  it.live("shares both outputs with the log and with other clients, from then on, and the one stdin", () =>
    Effect.gen(function*() {
      const log = yield* makeContainerLog
      const container = yield* started({ command: talker, stdin: true }, { log })
      const first = yield* container.attach({ stdin: true })
      yield* first.stdin?.write(Buffer.from("one\n")) ?? Effect.void
      assert.strictEqual(yield* until(first.stdout, "got one\n"), "got one\n")
      assert.strictEqual(yield* until(first.stderr, "err one\n"), "err one\n")
      const second = yield* container.attach({ stdin: false })
      assert.isUndefined(second.stdin)
      yield* first.stdin?.write(Buffer.from("two\n")) ?? Effect.void
      assert.strictEqual(yield* until(second.stdout, "\n"), "got two\n")
      assert.strictEqual(yield* until(second.stderr, "err two\n"), "err two\n")
      // Its end of input is its own affair: the container goes on for others.
      yield* first.stdin?.end ?? Effect.void
      yield* first.stdin?.write(Buffer.from("three\n")) ?? Effect.void
      assert.strictEqual(yield* until(first.stdout, "got three\n"), "got two\ngot three\n")
      yield* container.kill
      assert.strictEqual(yield* second.exitCode, 137)
      assert.strictEqual(yield* textOf(second.stdout), "got three\n")
      assert.include((yield* logged(log)).replaceAll(/err.*\n/g, ""), "got one\ngot two\ngot three\n")
      assert.strictEqual(
        (yield* Effect.flip(container.attach({ stdin: false }))).message,
        "container is in CONTAINER_EXITED state"
      )
    }))

  it.live("that is the first to leave ends an input that is open once", () =>
    Effect.gen(function*() {
      const container = yield* started({ command: talker, stdin: true, stdinOnce: true })
      const watching = yield* container.attach({ stdin: false })
      yield* Effect.scoped(Effect.gen(function*() {
        const { stdin } = yield* container.attach({ stdin: true })
        yield* stdin?.write(Buffer.from("last\n")) ?? Effect.void
      }))
      assert.strictEqual(yield* textOf(watching.stdout), "got last\nover\n")
      assert.strictEqual(yield* watching.exitCode, 0)
    }))

  it.live("may leave as much unread as a pipe holds; then whoever writes waits for it to read or to leave", () =>
    Effect.gen(function*() {
      const fanOut = makeFanOut()
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(fanOut.attach, scope)
      const write = (length: number) =>
        Effect.forkChild(fanOut.write(new Uint8Array(length)), { startImmediately: true })
      yield* Fiber.join(yield* write(64 * 1024))
      const waits = yield* write(1)
      assert.isUndefined(waits.pollUnsafe())
      assert.strictEqual((yield* reader.read)?.length, 64 * 1024)
      yield* Fiber.join(waits)
      const left = yield* write(64 * 1024)
      assert.isUndefined(left.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(left)
      yield* fanOut.attach
      const hurried = yield* write(100 * 1024)
      assert.isUndefined(hurried.pollUnsafe())
      yield* fanOut.hurry
      yield* Fiber.join(hurried)
      yield* Fiber.join(yield* write(100 * 1024))
    }))

  it.live("that does not read stops the program as a full pipe does, and no longer when it leaves", () =>
    Effect.gen(function*() {
      const log = yield* makeContainerLog
      const command = ["sh", "-c", "read go; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end"]
      const container = yield* started({ command, stdin: true, stdinOnce: true }, { log })
      const scope = yield* Scope.make()
      const stalled = yield* Scope.provide(container.attach({ stdin: true }), scope)
      const fast = yield* container.attach({ stdin: false })
      yield* stalled.stdin?.write(Buffer.from("go\n")) ?? Effect.void
      const held = yield* until(fast.stdout, "xxxx")
      assert.isBelow(held.length, 1_000_000)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(held.length + (yield* textOf(fast.stdout)).length, 3_000_005)
      assert.strictEqual(yield* container.exitCode, 0)
      assert.isTrue((yield* logged(log)).endsWith("x\nend\n"))
    }))

  it.live("has the container's terminal and its size", () =>
    Effect.gen(function*() {
      const container = yield* started({ command: ["sh", "-c", "read x; stty size; read x"], stdin: true, tty: true })
      const { resize, stderr, stdin, stdout } = yield* container.attach({ stdin: true })
      assert.isUndefined(stderr)
      yield* resize({ width: 123, height: 45 })
      yield* stdin?.write(Buffer.from("\r")) ?? Effect.void
      assert.include(yield* until(stdout, "45 123"), "45 123")
    }))
})

describe("an ephemeral container", () => {
  for (const withNamespaces of [true, false]) {
    it.live(`sees its target's processes and does not end it (namespaces: ${withNamespaces})`, () =>
      Effect.gen(function*() {
        if (withNamespaces && !(yield* namespaces)) return
        const target = yield* started({ command: ["sleep", "4321"] }, {}, withNamespaces)
        const source = yield* volume
        const log = yield* makeContainerLog
        const scope = yield* Scope.make()
        const command = [
          "sh",
          "-c",
          "setsid sleep 8765 & cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; exec sleep 1000"
        ]
        const debug = yield* Scope.provide(
          started(
            { command },
            { target, log, mounts: withNamespaces ? [mount(source, "/debug")] : [] },
            withNamespaces
          ),
          scope
        )
        const seen = yield* outputIn(debug, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert.include(seen, "sleep 4321")
        assert.include(seen, "sleep 8765")
        if (withNamespaces) assert.strictEqual(yield* outputIn(debug, "cat /debug/file"), "text\n")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* debug.exitCode, 137)
        const left = yield* outputIn(target, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls /debug")
        assert.include(left, "sleep 4321")
        assert.notInclude(left, "sleep 8765")
        assert.include(left, "/debug': No such file")
        yield* target.kill
      }))
  }
})

describe("an image of few programs", () => {
  it.live("has those of busybox and no others", () =>
    Effect.gen(function*() {
      const container = yield* started({ image: "kuberun.test/busybox:1", command: ["sleep", "1000"] })
      const output = yield* outputIn(
        container,
        `for p in sh cat tar sed bash python3 perl scp git node; do command -v $p >/dev/null && echo $p; done`
      )
      assert.strictEqual(output, "sh\ncat\ntar\nsed\n")
      if (yield* namespaces) {
        assert.strictEqual(yield* outputIn(container, "sh -lc 'command -v bash || echo none'"), "none\n")
      }
      const refused = (program: string) =>
        Effect.map(
          Effect.flip(
            Effect.scoped(
              container.exec({ argv: [program], stdin: false, stdout: true, stderr: false, terminal: undefined })
            )
          ),
          ({ message }) => message
        )
      assert.include(yield* refused("bash"), `exec: "bash": executable file not found in $PATH`)
      assert.include(yield* refused("/bin/bash"), `exec: "/bin/bash": stat /bin/bash: no such file or directory`)
      assert.include(yield* refused("/usr/lib/openssh/sftp-server"), "no such file or directory")
    }))

  it.live("has no shell at all where its name says so", () =>
    Effect.gen(function*() {
      const container = yield* started({ image: "kuberun.test/noshell" })
      const run = (argv: ReadonlyArray<string>) =>
        Effect.scoped(Effect.gen(function*() {
          const program = yield* container.exec({
            argv,
            stdin: false,
            stdout: true,
            stderr: false,
            terminal: undefined
          })
          return [yield* textOf(program.stdout), yield* program.exitCode]
        }))
      assert.deepStrictEqual(yield* run(["echo", "works"]), ["works\n", 0])
      assert.deepStrictEqual(yield* run(["env", "sh", "-c", "echo no"]), ["", 127])
      assert.include((yield* Effect.flip(run(["sh"]))).message, `exec: "sh": executable file not found in $PATH`)
    }))
})
