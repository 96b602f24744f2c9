import { assert, describe, it } from "@effect/vitest"
import { FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Fiber, Ref, Schema, Sink, Stream } from "effect"
import type { Output, TerminalSize } from "kuberun"
import { connect, encoder, settled, size, statuses, stdout, terminal, writing } from "./SessionDriver.ts"

describe("a session channel", () => {
  it.effect("passes bytes both ways, and the program's output after the client's EOF", () =>
    Effect.gen(function*() {
      const { client } = yield* connect()
      assert.isTrue(yield* client.request({ _tag: "Exec", command: "cat" }))
      yield* client.send(encoder.encode("hello "))
      yield* client.send(encoder.encode("pod"))
      yield* client.eof
      yield* settled
      assert.deepStrictEqual(yield* client.texts, { stdout: "hello pod", stderr: "" })
      assert.deepStrictEqual(yield* statuses(client), [{ _tag: "Exited", code: 0 }])
    }))

  it.effect("puts the client's variables into the environment of the program, whatever kind of program it is", () =>
    Effect.gen(function*() {
      for (
        const [request, program] of [
          [{ _tag: "Shell" }, ["/bin/bash", "-l"]],
          [{ _tag: "Exec", command: "a; b | c > d" }, ["/bin/sh", "-c", "a; b | c > d"]],
          [{ _tag: "Subsystem", name: "sftp" }, ["/usr/lib/openssh/sftp-server"]]
        ] as const
      ) {
        const { client, world } = yield* connect()
        assert.isTrue(yield* client.request({ _tag: "Environment", name: "LANG", value: "C.UTF-8" }))
        assert.isTrue(yield* client.request(request))
        yield* settled
        const command = (yield* world.execs)[0]?.command ?? []
        assert.deepStrictEqual(command.slice(-program.length), [...program])
        assert.include(command, "LANG=C.UTF-8")
      }
    }))

  it.effect("tells the program of its connection as sshd does, and what its user's authenticator said", () =>
    Effect.gen(function*() {
      const { client, world } = yield* connect({}, {
        config: { pod: { exposeAuthMetadataAsEnv: { team: "TEAM", gone: "GONE" } } },
        identity: { metadata: { team: "a b", more: "y" }, remoteAddress: "2001:db8::1", remotePort: 7 }
      })
      assert.isTrue(yield* client.request({ _tag: "Environment", name: "TEAM", value: "mine" }))
      for (const name of ["SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SSH_AUTH_SOCK", "KUBERUN_X"]) {
        assert.isFalse(yield* client.request({ _tag: "Environment", name, value: "1.2.3.4 5 6" }), name)
      }
      assert.isTrue(yield* client.request({ _tag: "Environment", name: "SSH_ORIGINAL_COMMAND", value: "ls" }))
      yield* client.request({ _tag: "Exec", command: "" })
      yield* settled
      const [exec] = yield* world.execs
      const command = exec?.command ?? []
      assert.deepStrictEqual(command.slice(-3), ["/bin/sh", "-c", ""])
      assert.isUndefined(exec?.terminal)
      assert.deepStrictEqual(command.slice(12, -4), [
        "TEAM=a b",
        "SSH_ORIGINAL_COMMAND=ls",
        "SSH_CLIENT=2001:db8::1 7 2222",
        "SSH_CONNECTION=2001:db8::1 7 127.0.0.1 2222"
      ])
    }))

  it.effect("refuses variables that no shell can hold, and variables after the start", () =>
    Effect.gen(function*() {
      const { client } = yield* connect()
      assert.isFalse(yield* client.request({ _tag: "Environment", name: "A.B", value: "x" }))
      assert.isFalse(yield* client.request({ _tag: "Environment", name: "", value: "x" }))
      assert.isFalse(yield* client.request({ _tag: "Environment", name: "A", value: "x\0y" }))
      yield* client.request({ _tag: "Exec", command: "cat" })
      assert.isFalse(yield* client.request({ _tag: "Environment", name: "A", value: "x" }))
    }))

  it.effect("bounds the environment that a client can make it hold", () =>
    Effect.gen(function*() {
      const { client } = yield* connect()
      const big = "x".repeat(30_000)
      const answers = yield* Effect.forEach(
        [1, 2, 3, 4, 5, 6],
        (place) => client.request({ _tag: "Environment", name: `V${place}`, value: big })
      )
      assert.deepStrictEqual(answers, [true, true, true, true, false, false])
    }))

  it.effect("runs one program and refuses a second, and refuses what it does not know", () =>
    Effect.gen(function*() {
      const { client, world } = yield* connect()
      assert.isTrue(yield* client.request({ _tag: "Exec", command: "cat" }))
      assert.isFalse(yield* client.request({ _tag: "Shell" }))
      assert.isFalse(yield* client.request({ _tag: "Exec", command: "cat" }))
      assert.isFalse(yield* client.request({ _tag: "Unknown", type: "x11-req" }))
      yield* settled
      assert.lengthOf(yield* world.execs, 1)
    }))

  it.effect("lets another program follow a subsystem that was refused", () =>
    Effect.gen(function*() {
      const { client } = yield* connect()
      assert.isFalse(yield* client.request({ _tag: "Subsystem", name: "toString" }))
      assert.match((yield* client.texts).stderr, /no subsystem "toString"/)
      assert.isTrue(yield* client.request({ _tag: "Exec", command: "true" }))
    }))

  it.effect("ends with the sentence and 255 where shells are switched off", () =>
    Effect.gen(function*() {
      const { client, world } = yield* connect({}, { config: { pod: { shellCommand: [] } } })
      assert.isTrue(yield* client.request({ _tag: "Shell" }))
      yield* settled
      assert.match((yield* client.texts).stderr, /^kuberun: Shells are switched off here: name a program to run\.\n$/)
      assert.deepStrictEqual(yield* statuses(client), [{ _tag: "Exited", code: 255 }])
      assert.lengthOf(yield* world.execs, 0)
    }))

  it.effect("starts with the newest size of a window that changed while the pod started, and follows it after", () =>
    Effect.gen(function*() {
      const seen = yield* Ref.make<ReadonlyArray<TerminalSize>>([])
      const { client, world } = yield* connect({
        startMillis: 5000,
        exec: () =>
          Effect.succeed({
            stdin: Sink.drain,
            output: Stream.never,
            resize: (newest) => Ref.update(seen, (before) => [...before, newest]),
            exit: Effect.never
          })
      })
      assert.isFalse(yield* client.request({ _tag: "WindowChange", size: size(1, 1) }))
      yield* client.request(terminal)
      yield* client.request({ _tag: "WindowChange", size: size(90, 30) })
      yield* client.request({ _tag: "Shell" })
      yield* client.request({ _tag: "WindowChange", size: size(100, 40) })
      yield* Time.pass("6 seconds")
      assert.deepStrictEqual((yield* world.execs)[0]?.terminal, size(100, 40))
      yield* client.request({ _tag: "WindowChange", size: size(120, 50) })
      yield* settled
      assert.deepStrictEqual(yield* Ref.get(seen), [size(120, 50)])
    }))

  it.effect.prop(
    "delivers every byte of a program that ends at once, in order, before its one exit, to however slow a client",
    {
      chunks: Schema.Array(Schema.Struct({ tag: Schema.Literals(["Stdout", "Stderr"]), bytes: Schema.Uint8Array }))
        .check(Schema.isMaxLength(20)),
      readMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3000 })),
      code: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 127 }))
    },
    ({ chunks, code, readMillis }) =>
      Effect.gen(function*() {
        const outputs = chunks.map(({ bytes, tag }): Output => ({ _tag: tag, bytes }))
        const { client } = yield* connect(
          { exec: () => writing(outputs, code) },
          { read: Effect.sleep(readMillis) }
        )
        yield* client.request({ _tag: "Exec", command: "flood" })
        yield* Time.pass("90 seconds")
        const total = outputs.reduce((sum, { bytes }) => sum + bytes.length, 0)
        assert.deepStrictEqual(yield* client.exits, [{ status: { _tag: "Exited", code }, bytesBefore: total }])
        assert.deepStrictEqual(yield* client.received, outputs)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect("does not pull a program's output while the client does not read", () =>
    Effect.gen(function*() {
      const pulled = yield* Ref.make(0)
      const endless = Stream.fromEffectRepeat(Effect.as(Ref.update(pulled, (count) => count + 1), stdout("x")))
      const { client, world } = yield* connect(
        {
          exec: () =>
            Effect.succeed({
              stdin: Sink.drain,
              output: endless,
              resize: () => Effect.void,
              exit: Effect.never
            })
        },
        { read: Effect.never }
      )
      yield* client.request({ _tag: "Exec", command: "yes" })
      yield* Time.pass("1 minute")
      assert.isAtMost(yield* Ref.get(pulled), 4)
      yield* client.close
      yield* settled
      assert.strictEqual(yield* world.openStreams, 1, "only the pod's watch remains")
    }))

  it.effect("does not take more of the client's input than the program reads", () =>
    Effect.gen(function*() {
      const { client } = yield* connect({
        exec: () => writing([], 0).pipe(Effect.map((process) => ({ ...process, output: Stream.never })))
      })
      yield* client.request({ _tag: "Exec", command: "sleep" })
      const sending = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 100 }), () => client.send(encoder.encode("x")), { discard: true })
      )
      yield* Time.pass("1 minute")
      assert.isUndefined(sending.pollUnsafe(), "the client's hundred pieces were all taken")
    }))

  it.effect("ends its exec when the client closes the channel", () =>
    Effect.gen(function*() {
      const { client, world } = yield* connect()
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* settled
      assert.strictEqual(yield* world.openStreams, 2)
      yield* client.close
      yield* settled
      assert.strictEqual(yield* world.openStreams, 1)
    }))

  it.effect("takes its connection and its pod with it when it crashes", () =>
    Effect.gen(function*() {
      const { client, fiber, world } = yield* connect({ exec: () => Effect.die(new Error("a fault of ours")) })
      yield* client.request({ _tag: "Exec", command: "true" })
      yield* settled
      const exit = yield* Fiber.await(fiber)
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("runs beside others of its connection, in one pod", () =>
    Effect.gen(function*() {
      const { client, connection, world } = yield* connect()
      const others = yield* Effect.forEach([1, 2, 3], (id) => FakeSsh.makeClient(Effect.void, id))
      yield* Effect.forEach(others, (other) => connection.open(other.channel))
      yield* Effect.forEach([client, ...others], (each) => each.request({ _tag: "Exec", command: "cat" }))
      yield* settled
      const execs = yield* world.execs
      assert.lengthOf(execs, 4)
      assert.lengthOf([...new Set(execs.map((exec) => exec.pod.name))], 1)
      assert.lengthOf(yield* world.manifests, 1)
    }))
})
