import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { type Cause, Effect, Fiber, Queue, Ref, Schema, Sink, Stream } from "effect"
import { decodeConfig, type ExecProcess, Kuberun, type Output, type Pod } from "kuberun"
import { afterMarker } from "../src/modes/WaitingShell.ts"

const marker = "\u001b]kuberun;go;1;4711\u0007"
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const upTo = (max: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max }))

/** A container's first process that says that it has been let go when it gets its line, and ends with its stdin. */
const attached = Effect.gen(function*() {
  const written = yield* Queue.bounded<Output, Cause.Done>(8)
  const process: ExecProcess = {
    stdin: Sink.forEach((bytes: Uint8Array) =>
      Queue.offer(written, {
        _tag: "Stdout",
        bytes: encoder.encode(decoder.decode(bytes) === "\n" ? marker : decoder.decode(bytes))
      })
    ).pipe(Sink.ensuring(Queue.end(written))),
    output: Stream.fromQueue(written),
    resize: () => Effect.void,
    exit: Effect.succeed({ _tag: "Exited", code: 0 })
  }
  return process
})

const connect = Effect.fn(function*(plan: Partial<FakeCluster.FakeClusterPlan> = {}) {
  const config = yield* Effect.orDie(decodeConfig({
    pod: {
      mode: "session",
      podSpec: { containers: [{ name: "proxy", image: "envoy" }, { name: "shell", image: "debian" }] },
      consoleContainerNumber: 1
    }
  }))
  const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, attach: () => attached, ...plan })
  const connection = yield* FakeSsh.makeConnection()
  const fiber = yield* Kuberun.use((kuberun) => kuberun.handle(connection.connection)).pipe(
    Effect.provide(Kuberun.layer(config)),
    Effect.provide(layer),
    Effect.forkChild({ startImmediately: true })
  )
  return { connection, fiber, world }
})

const openChannel = Effect.fn(function*(connection: FakeSsh.FakeConnection, id = 0) {
  const client = yield* FakeSsh.makeClient(Effect.void, id)
  yield* connection.open(client.channel)
  return client
})

/** The pod with its console container ended. The statuses' order is not the spec's. */
const ended = (terminated: Readonly<Record<string, unknown>> & { readonly exitCode: number }) => (pod: Pod): Pod => ({
  ...pod,
  status: {
    phase: "Failed",
    containerStatuses: [
      { name: "shell", state: { terminated } },
      { name: "proxy", state: { terminated: { exitCode: 99 } } }
    ]
  }
})

describe("mode session", () => {
  it.effect.prop(
    "passes on what follows the marker, and nothing before it, wherever the pieces are cut",
    { before: upTo(20), after: Schema.Uint8Array, cuts: Schema.Array(upTo(60)).check(Schema.isMaxLength(6)) },
    ({ after, before, cuts }) =>
      Effect.gen(function*() {
        const bytes = Buffer.concat([
          Buffer.from("\r\n\u001b]kub".repeat(4).slice(0, before)),
          Buffer.from(marker),
          after
        ])
        const places = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].toSorted((a, b) =>
          a - b
        )
        const pieces = places.slice(1).map((place, index): Output => ({
          _tag: "Stdout",
          bytes: bytes.subarray(places[index], place)
        }))
        const leaders: Array<unknown> = []
        const found = (leader: unknown) => Effect.sync(() => void leaders.push(leader))
        const passed = yield* Stream.runCollect(afterMarker(Stream.fromIterable(pieces), found))
        assert.deepStrictEqual(leaders, [{ pid: 1, started: "4711" }])
        assert.deepStrictEqual(Buffer.concat(passed.map((piece) => piece.bytes)), Buffer.from(after))
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect("makes no pod before a program is asked for, and one for each channel", () =>
    Effect.gen(function*() {
      const { connection, fiber, world } = yield* connect()
      const clients = [yield* openChannel(connection, 1), yield* openChannel(connection, 2)]
      yield* Time.pass("1 second")
      assert.deepStrictEqual(yield* world.manifests, [])
      yield* Effect.forEach(clients, (client) => client.request({ _tag: "Exec", command: "cat" }))
      yield* Time.pass("1 second")
      assert.lengthOf(yield* world.livePods, 2)
      assert.strictEqual(yield* world.openStreams, 4, "of each pod its process and one watch")
      yield* clients[0]?.close ?? Effect.void
      yield* Time.pass("30 seconds")
      assert.lengthOf(yield* world.livePods, 1)
      yield* connection.end
      yield* Time.pass("30 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* world.livePods, [])
    }))

  it.effect("asks a program whose channel is closed to go before its pod is deleted, also one that is stopped", () =>
    Effect.gen(function*() {
      const { connection, fiber, world } = yield* connect()
      const client = yield* openChannel(connection)
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* Time.pass("1 second")
      yield* client.close
      yield* Time.pass("30 seconds")
      const asked = [...yield* world.execs, ...yield* world.helpers].map(({ command }) => command.at(-1))
      assert.deepStrictEqual(asked, ["HUP", "TERM", "CONT"])
      yield* connection.end
      yield* Time.pass("30 seconds")
      yield* Fiber.join(fiber)
    }))

  it.effect("does not wait for ever for a container in which no shell answers", () =>
    Effect.gen(function*() {
      const silent: ExecProcess = {
        stdin: Sink.drain,
        output: Stream.never,
        resize: () => Effect.void,
        exit: Effect.never
      }
      const { connection, fiber, world } = yield* connect({ attach: () => Effect.succeed(silent) })
      const client = yield* openChannel(connection)
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* Time.pass("59 seconds")
      assert.deepStrictEqual(yield* client.exits, [])
      yield* Time.pass("5 seconds")
      assert.match((yield* client.texts).stderr, /^kuberun: Your program could not be run: the shell .* within 1m\.\n$/)
      assert.deepStrictEqual((yield* client.exits).map(({ status }) => status), [{ _tag: "Exited", code: 255 }])
      yield* Time.pass("30 seconds")
      assert.deepStrictEqual(yield* world.livePods, [])
      yield* connection.end
      yield* Time.pass("30 seconds")
      yield* Fiber.join(fiber)
    }))

  it.effect("ends with the exit code of the console container, which is found by its name", () =>
    Effect.gen(function*() {
      const { connection, fiber, world } = yield* connect()
      const client = yield* openChannel(connection)
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* Time.pass("1 second")
      yield* client.send(encoder.encode("typed"))
      yield* client.eof
      yield* Time.pass("1 second")
      assert.deepStrictEqual(yield* client.exits, [], "the stream's end is not the program's status")
      const [manifest] = yield* world.manifests
      yield* world.changePod(manifest?.metadata.name ?? "", ended({ exitCode: 7 }))
      yield* Time.pass("1 second")
      assert.deepStrictEqual(yield* client.texts, { stdout: "typed", stderr: "" })
      assert.deepStrictEqual((yield* client.exits).map(({ status }) => status), [{ _tag: "Exited", code: 7 }])
      yield* connection.end
      yield* Time.pass("30 seconds")
      yield* Fiber.join(fiber)
    }))

  it.effect("takes a signal for delivered whose answer its container's end has cut off, and never tells a wrong one", () =>
    Effect.gen(function*() {
      for (
        const [code, status] of [
          [143, { _tag: "Signaled", signal: "TERM", message: "ended by signal TERM" }],
          [5, { _tag: "Exited", code: 5 }]
        ] as const
      ) {
        const cut: ExecProcess = {
          stdin: Sink.drain,
          output: Stream.empty,
          resize: () => Effect.void,
          exit: Effect.succeed({ _tag: "Exited", code: 137 })
        }
        const { connection, fiber, world } = yield* connect({ exec: () => Effect.succeed(cut) })
        const client = yield* openChannel(connection)
        yield* client.request({ _tag: "Exec", command: "cat" })
        yield* Time.pass("1 second")
        const answer = yield* Effect.forkChild(client.request({ _tag: "Signal", name: "TERM" }))
        yield* Time.settle
        const [manifest] = yield* world.manifests
        yield* world.changePod(manifest?.metadata.name ?? "", ended({ exitCode: code }))
        yield* Time.settle
        yield* client.eof
        yield* Time.pass("10 seconds")
        assert.isTrue(yield* Fiber.join(answer))
        assert.deepStrictEqual((yield* client.exits).map((exit) => exit.status), [status])
        yield* connection.end
        yield* Time.pass("30 seconds")
        yield* Fiber.join(fiber)
      }
    }))

  it.effect("tells why the pod is the reason: out of memory, evicted, deleted", () =>
    Effect.gen(function*() {
      const cases = [
        [ended({ exitCode: 137, reason: "OOMKilled" }), /OOMKilled/],
        [
          (pod: Pod): Pod => ({ ...pod, status: { phase: "Failed", reason: "Evicted", message: "low on memory" } }),
          /low on memory.*Evicted/
        ],
        [(pod: Pod): Pod => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: "now" } }), /was deleted/]
      ] as const
      for (const [change, told] of cases) {
        const { connection, fiber, world } = yield* connect()
        const client = yield* openChannel(connection)
        yield* client.request({ _tag: "Exec", command: "cat" })
        yield* Time.pass("1 second")
        const [manifest] = yield* world.manifests
        yield* world.changePod(manifest?.metadata.name ?? "", change)
        yield* Time.pass("10 seconds")
        assert.match((yield* client.texts).stderr, told)
        yield* connection.end
        yield* Time.pass("60 seconds")
        yield* Fiber.join(fiber)
      }
    }))

  it.effect.prop(
    "lets no pod outlive its channel, whatever fails and however it ends",
    {
      creates: Schema.Array(Schema.Literals(["ok", "answerLost", "late", "requestLost", "fault", "forbidden"])).check(
        Schema.isMaxLength(3)
      ),
      deletes: Schema.Array(Schema.Literals(["ok", "answerLost", "requestLost", "fault"])).check(Schema.isMaxLength(3)),
      start: Schema.Literals(["ready", "imagePull", "never"]),
      startMillis: upTo(20_000),
      endMillis: upTo(40_000),
      by: Schema.Literals(["channel", "connection", "program", "interrupt"])
    },
    ({ by, endMillis, ...plan }) =>
      Effect.gen(function*() {
        const running = yield* Ref.make(false)
        const { connection, fiber, world } = yield* connect({
          ...plan,
          attach: () => Effect.andThen(Ref.set(running, true), attached)
        })
        const client = yield* openChannel(connection)
        yield* client.request({ _tag: "Shell" })
        yield* Time.pass(endMillis)
        switch (by) {
          case "channel":
            yield* client.close
            break
          case "connection":
            yield* connection.end
            break
          case "program":
            // One that has not begun ends with its channel.
            if (!(yield* Ref.get(running))) yield* client.close
            for (const manifest of yield* world.manifests) {
              yield* world.changePod(manifest.metadata.name, ended({ exitCode: 0 }))
            }
            yield* client.eof
            break
          case "interrupt":
            yield* Effect.forkChild(Fiber.interrupt(fiber))
        }
        yield* Time.pass("5 minutes")
        assert.deepStrictEqual(yield* world.livePods, [])
        assert.strictEqual(yield* world.openStreams, 0)
        assert.isAtMost((yield* client.exits).length, 1)
        yield* Fiber.interrupt(fiber)
      }),
    { arbitrary: { runs: 300 } }
  )
})
