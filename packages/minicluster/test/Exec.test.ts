import { assert, layer } from "@effect/vitest"
import { layer as clusterLayer, MiniclusterService } from "@kuberun/minicluster"
import { Effect, Fiber } from "effect"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import {
  call,
  eventually,
  exec,
  execPath,
  listAt,
  outputOf,
  podBody,
  pods,
  refusedExec,
  runningPod,
  textAt
} from "./support/Client.ts"
import { spdy } from "./support/Streams.ts"

const success = { metadata: {}, status: "Success" }
const tty = "stdin=true&stdout=true&tty=true"
const exitCodeOf = (status: unknown) => textAt(status, "details", "causes", 0, "message")

layer(clusterLayer(), { excludeTestServices: true })("exec over a WebSocket", (it) => {
  it.effect("carries stdin, stdout and stderr apart, and ends stdin by v5's half-close", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("bytes"))
      const session = yield* exec(cluster, "bytes", ["sh", "-c", "cat; echo done >&2"])
      session.send(0, "one ")
      session.send(0, "two")
      session.send(255, Buffer.of(0))
      const end = yield* session.end
      assert.deepStrictEqual([session.output(1), session.output(2)], ["one two", "done\n"])
      assert.deepStrictEqual(end, { code: 1000, status: success })
      assert.deepStrictEqual([session.frames[0]?.id, session.frames[0]?.bytes.length], [1, 0])
    }))

  it.effect("sends its first empty frame on the lowest channel that it writes", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("first"))
      for (const [flags, id] of [["stdout=true", 1], ["stderr=true", 2], ["stdin=true", 3]] as const) {
        const session = yield* exec(cluster, "first", ["true"], flags)
        yield* session.end
        assert.deepStrictEqual([session.frames[0]?.id, session.frames[0]?.bytes.length], [id, 0])
      }
    }))

  it.effect("tells an exit code as a string in the causes", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("codes"))
      const session = yield* exec(cluster, "codes", ["sh", "-c", "exit 7"])
      const { status } = yield* session.end
      assert.deepStrictEqual(status, {
        metadata: {},
        status: "Failure",
        message: "command terminated with non-zero exit code: command terminated with exit code 7",
        reason: "NonZeroExitCode",
        details: { causes: [{ reason: "ExitCode", message: "7" }] }
      })
      for (const [script, code] of [["kill -9 $$", "137"], ["kill -TERM $$", "143"], ["nosuch", "127"]] as const) {
        const ended = yield* Effect.flatMap(exec(cluster, "codes", ["sh", "-c", script]), ({ end }) => end)
        assert.strictEqual(exitCodeOf(ended.status), code)
      }
    }))

  it.effect("says in the runtime's words what it cannot run, behind the upgrade", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("words"))
      for (
        const [program, words] of [
          ["nosuch", `exec: "nosuch": executable file not found in $PATH`],
          ["/no/such", `exec: "/no/such": stat /no/such: no such file or directory`],
          ["/etc/passwd", `exec: "/etc/passwd": permission denied`]
        ] as const
      ) {
        const { code, status } = yield* Effect.flatMap(exec(cluster, "words", [program]), ({ end }) => end)
        assert.strictEqual(code, 1000)
        assert.strictEqual(textAt(status, "reason"), "InternalError")
        assert.strictEqual(textAt(status, "code"), "500")
        assert.match(
          textAt(status, "message"),
          /^Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "[0-9a-f]{64}": OCI runtime exec failed: exec failed: unable to start container process: /
        )
        assert.include(textAt(status, "message"), words)
        assert.notStrictEqual(exitCodeOf(status), "")
      }
    }))

  it.effect("refuses before the upgrade with a Status: pod, container, streams, protocol", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const two = { containers: ["a", "b"].map((name) => ({ name, image: "busybox" })) }
      yield* runningPod(cluster, podBody("refused", "", two))
      const refused = (pod: string, flags: string, protocols?: ReadonlyArray<string>) =>
        Effect.map(
          refusedExec(cluster, execPath(pod, ["true"], flags), protocols),
          ({ body, code }) => [code, textAt(body, "message")]
        )
      assert.deepStrictEqual(yield* refused("none", "stdout=true"), [404, `pods "none" not found`])
      assert.deepStrictEqual(yield* refused("refused", "stdout=true&container=c"), [
        400,
        "container c is not valid for pod refused"
      ])
      assert.deepStrictEqual(yield* refused("refused", "stdout=true"), [
        400,
        "a container name must be specified for pod refused, choose one of: [a b]"
      ])
      assert.deepStrictEqual(yield* refused("refused", "container=a"), [
        400,
        "you must specify at least 1 of stdin, stdout, stderr"
      ])
      assert.strictEqual((yield* refused("refused", "stdout=true&container=a", ["v1.example"]))[0], 400)
      const post = yield* call(cluster, "POST", `${pods}/refused/exec?command=true&stdout=true&container=a`)
      assert.deepStrictEqual([post.code, textAt(post.body, "kind")], [400, "Status"])
    }))

  it.effect("takes the first protocol in the client's order, and knows no half-close in v4", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("protocols"))
      const both = yield* exec(cluster, "protocols", ["true"], "stdout=true", [
        "unknown",
        "v4.channel.k8s.io",
        "v5.channel.k8s.io"
      ])
      assert.strictEqual(both.protocol, "v4.channel.k8s.io")
      assert.deepStrictEqual(yield* both.end, { code: 1000, status: success })
      const four = yield* exec(cluster, "protocols", ["sh", "-c", "read line; echo $line; echo go; cat"], undefined, [
        "v4.channel.k8s.io"
      ])
      four.send(255, Buffer.of(0))
      four.send(0, "line\n")
      four.send(0, "more\n")
      yield* eventually(() => four.output(1) === "line\ngo\nmore\n", () => four.output(1))
      four.socket.close()
    }))

  it.effect("says that the container was not found when it is not running", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* call(cluster, "POST", pods, { body: podBody("starting", "", {}, "kuberun.test/slow-30s") })
      yield* Effect.repeat(call(cluster, "GET", `${pods}/starting`), {
        until: ({ body }) => textAt(body, "spec", "nodeName") !== ""
      })
      const { status } = yield* Effect.flatMap(exec(cluster, "starting", ["true"]), ({ end }) => end)
      assert.include(textAt(status, "message"), `unable to upgrade connection: container not found ("main")`)
      yield* call(cluster, "DELETE", `${pods}/starting?gracePeriodSeconds=0`)
    }))

  it.effect("gives a terminal of its own, and follows its size in a stream of JSON of any case", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("terminal"))
      const session = yield* exec(cluster, "terminal", [
        "sh",
        "-c",
        "trap 'stty size' WINCH; tty; echo $TERM; while :; do sleep 0.05; done"
      ], tty)
      yield* eventually(() => session.output(1).includes("xterm"), () => session.output(1))
      assert.match(session.output(1), /^\/dev\/pts\/\d+\r\nxterm\r\n/)
      session.send(4, `{"Width":101,"Hei`)
      session.send(4, `ght":37}\n{"height":41,"width":107}`)
      yield* eventually(() => session.output(1).includes("41 107"), () => session.output(1))
      session.send(0, "\u0003")
      const { status } = yield* session.end
      assert.strictEqual(exitCodeOf(status), "130")
    }))

  it.effect("knows the size that came before the program did", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("size"))
      const session = yield* exec(cluster, "size", ["sh", "-c", "read line; stty size"], tty)
      session.send(4, `{"Width":99,"Height":11}\n`)
      session.send(0, "go\r")
      yield* session.end
      assert.include(session.output(1), "11 99")
    }))

  it.effect("lets a terminal's program end although it left something behind that holds the terminal", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("behind"))
      const session = yield* exec(cluster, "behind", ["bash", "-c", "trap '' HUP; sleep 1000 & echo last; exit 3"], tty)
      const { status } = yield* session.end
      assert.deepStrictEqual([session.output(1), exitCodeOf(status)], ["last\r\n", "3"])
    }))

  for (const [name, flags, end] of [["a pipe", "stdout=true", ""], ["a terminal", tty, "\r\n"]] as const) {
    it.effect(`delivers all of ${name === "a pipe" ? "64" : "8"} MiB through ${name}, of a program that exits at once, to a client that reads late`, () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        yield* runningPod(cluster, podBody("flood"))
        const size = name === "a pipe" ? 64 * 1024 * 1024 : 8 * 1024 * 1024
        const session = yield* exec(
          cluster,
          "flood",
          ["sh", "-c", `head -c ${size} /dev/zero | tr '\\0' x; echo`],
          flags
        )
        session.socket.pause()
        // A whole request in between: the program has had its time to fill what it can.
        yield* outputOf(cluster, "flood", "sleep 0.3")
        session.socket.resume()
        assert.deepStrictEqual((yield* session.end).status, success)
        const hash = createHash("sha256")
        for (const { bytes, id } of session.frames) if (id === 1) hash.update(bytes)
        const expected = createHash("sha256").update("x".repeat(size)).update(end === "" ? "\n" : end)
        assert.strictEqual(hash.digest("hex"), expected.digest("hex"))
      }))
  }

  it.effect("stalls a program whose client does not read", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("stalled"))
      // The program counts what it could write into a file of its pod.
      const script = "n=0; while [ $n -lt 1000 ]; do head -c 262144 /dev/zero; n=$((n+1)); echo $n > written; done"
      const session = yield* exec(cluster, "stalled", ["sh", "-c", script], "stdout=true")
      session.socket.pause()
      const written = Effect.map(outputOf(cluster, "stalled", "cat written"), Number)
      let before = -1
      yield* Effect.repeat(
        Effect.gen(function*() {
          const last = before
          before = yield* Effect.delay(written, "300 millis")
          return last === before && before > 0
        }),
        { until: (still) => still, times: 50 }
      )
      assert.isBelow(
        before * 262144,
        32 * 1024 * 1024,
        "the loopback's own buffers hold a few MiB, we may not hold more"
      )
      session.socket.resume()
      assert.deepStrictEqual((yield* session.end).status, success)
      assert.strictEqual(
        session.frames.reduce((sum, { bytes, id }) => id === 1 ? sum + bytes.length : sum, 0),
        1000 * 262144
      )
    }), 60_000)

  it.effect(
    "stalls a client whose program does not read, and keeps the link alive meanwhile",
    () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        yield* runningPod(cluster, podBody("deaf"))
        const session = yield* exec(cluster, "deaf", [
          "sh",
          "-c",
          "trap : USR1; echo $$; sleep 1000 & wait; kill $!; wc -c"
        ])
        yield* eventually(() => session.output(1).includes("\n"))
        let pongs = 0
        session.socket.on("pong", () => pongs++)
        const piece = Buffer.alloc(65536)
        const sent = 1000
        for (let n = 0; n < sent; n++) session.send(0, piece)
        session.send(255, Buffer.of(0))
        yield* eventually(() => pongs > 0)
        assert.isAbove(session.socket.bufferedAmount, 16 * 1024 * 1024, "the client holds what is not taken")
        yield* outputOf(cluster, "deaf", `kill -USR1 ${session.output(1).trim()}`)
        yield* session.end
        assert.include(session.output(1), String(sent * 65536))
      }),
    60_000
  )

  it.effect("a client that leaves: EOF on stdin, SIGPIPE for a writer, SIGHUP in a terminal, and life for the rest", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("leaving"))
      const reader = yield* exec(cluster, "leaving", ["sh", "-c", "echo up; cat; echo eof > eof; exec sleep 1000"])
      const writer = yield* exec(cluster, "leaving", [
        "sh",
        "-c",
        "echo up; trap '' PIPE; while echo x 2>/dev/null; do sleep 0.01; done; echo broken > broken"
      ])
      const terminal = yield* exec(cluster, "leaving", [
        "sh",
        "-c",
        "trap 'echo hup > hup; exit' HUP; echo up; while :; do sleep 0.02; done"
      ], tty)
      for (const session of [reader, writer, terminal]) {
        yield* eventually(() => session.output(1).includes("up"))
        session.socket.terminate()
      }
      yield* Effect.repeat(outputOf(cluster, "leaving", "cat eof broken hup 2>/dev/null | sort"), {
        until: (found) => found === "broken\neof\nhup\n"
      })
      assert.include(yield* outputOf(cluster, "leaving", "ps -ef"), "sleep 1000")
    }))

  it.effect("ends with its pod, telling 137", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("ending"))
      const session = yield* exec(cluster, "ending", ["sh", "-c", "echo up; sleep 1000"])
      yield* eventually(() => session.output(1) === "up\n")
      yield* call(cluster, "DELETE", `${pods}/ending?gracePeriodSeconds=0`)
      const { status } = yield* session.end
      assert.strictEqual(exitCodeOf(status), "137")
    }))

  it.effect("shows nothing of the machine's own tools when its container ends under it", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (let round = 0; round < 4; round++) {
        yield* runningPod(cluster, podBody(`under-${round}`))
        const execs = Array.from(
          { length: 12 },
          () => exec(cluster, `under-${round}`, ["sh", "-c", "sleep 1000"], "stdout=true&stderr=true")
        )
        const running = yield* Effect.forkScoped(Effect.all(execs, { concurrency: "unbounded" }))
        yield* outputOf(cluster, `under-${round}`, "true")
        yield* call(cluster, "DELETE", `${pods}/under-${round}?gracePeriodSeconds=0`)
        for (const session of yield* Fiber.join(running)) {
          const { status } = yield* session.end
          assert.strictEqual(session.output(2), "")
          assert.isTrue(
            exitCodeOf(status) === "137" || textAt(status, "reason") === "InternalError",
            JSON.stringify(status)
          )
        }
      }
    }))

  const faulty = Effect.fnUntraced(function*(fault: object) {
    const cluster = yield* MiniclusterService
    yield* runningPod(cluster, podBody("faulty"))
    yield* cluster.faults.set({ rules: [{ exec: fault }] })
    yield* Effect.addFinalizer(() => cluster.faults.clear)
    return cluster
  })
  const noisy = ["sh", "-c", "printf one; sleep 1; printf last"]

  it.effect("may be cut on purpose after so many bytes of output, over either protocol", () =>
    Effect.gen(function*() {
      const cluster = yield* faulty({ _tag: "Cut", afterBytes: 5 })
      const session = yield* exec(cluster, "faulty", noisy)
      const { code, status } = yield* session.end
      assert.deepStrictEqual([session.output(1), code, status], ["onela", 1006, undefined])
      const client = yield* spdy(cluster, execPath("faulty", noisy, "stdout=true"), "v4.channel.k8s.io")
      yield* client.open({ streamtype: "error" })
      const stdout = client.stream(yield* client.open({ streamtype: "stdout" }))
      yield* eventually(client.closed)
      assert.deepStrictEqual([stdout.text, stdout.ended], ["onela", false])
    }))

  it.effect("may end on purpose without its status, or with its status before the last output", () =>
    Effect.gen(function*() {
      const cluster = yield* faulty({ _tag: "NoStatus" })
      const silent = yield* exec(cluster, "faulty", noisy)
      assert.deepStrictEqual([yield* silent.end, silent.output(1)], [{ code: 1000, status: undefined }, "onelast"])
      yield* cluster.faults.set({ rules: [{ exec: { _tag: "StatusFirst" } }] })
      const early = yield* exec(cluster, "faulty", noisy)
      assert.deepStrictEqual(yield* early.end, { code: 1000, status: success })
      const filled = early.frames.filter(({ bytes }) => bytes.length > 0).map(({ bytes, id }) =>
        id === 3 ? "status" : bytes.toString()
      )
      assert.deepStrictEqual(filled, ["one", "status", "last"])
    }))

  it.effect("may be left unanswered on purpose", () =>
    Effect.gen(function*() {
      const cluster = yield* faulty({ _tag: "NoAnswer" })
      const open = yield* Effect.forkScoped(exec(cluster, "faulty", ["true"]))
      // Another request comes and goes, and there is still no answer.
      yield* eventually(() => true)
      yield* Effect.repeat(cluster.faults.fired, { until: (fired) => fired.length > 0 })
      yield* call(cluster, "GET", `${pods}/faulty`)
      assert.isUndefined(open.pollUnsafe())
    }))

  it.effect("may fail on purpose to reach the node: behind the 101 of a WebSocket, before that of SPDY", () =>
    Effect.gen(function*() {
      const cluster = yield* faulty({ _tag: "DialFails" })
      const message =
        "Internal error occurred: error dialing backend: dial tcp 127.0.0.1:10250: connect: connection refused"
      const { code, status } = yield* Effect.flatMap(exec(cluster, "faulty", ["true"]), ({ end }) => end)
      assert.deepStrictEqual([code, textAt(status, "message")], [1000, message])
      const client = yield* spdy(cluster, execPath("faulty", ["true"], "stdout=true"), "v4.channel.k8s.io")
      assert.include(client.head, "HTTP/1.1 500 ")
      assert.strictEqual(textAt(JSON.parse(client.body()), "message"), message)
    }))

  it.effect("is refused over SPDY in the same words as over a WebSocket", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("same"))
      for (
        const path of [
          execPath("none", ["true"], "stdout=true"),
          execPath("same", ["true"], ""),
          execPath("same", [], "stdout=true")
        ]
      ) {
        const { body, code } = yield* refusedExec(cluster, path)
        const client = yield* spdy(cluster, path, "v4.channel.k8s.io")
        assert.include(client.head, `HTTP/1.1 ${code} `)
        assert.deepStrictEqual(JSON.parse(client.body()), body)
      }
    }))

  it.effect("many at once in one pod do not mix", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("many"))
      const numbers = Array.from({ length: 24 }, (_, index) => index)
      const outputs = yield* Effect.forEach(numbers, (n) => outputOf(cluster, "many", `echo ${n}`), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(outputs, numbers.map((n) => `${n}\n`))
      assert.strictEqual(listAt({ outputs }, "outputs").length, 24)
    }))

  it.effect("gives real pipes: a program may open /dev/stdout by its name", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("pipes"))
      assert.strictEqual(yield* outputOf(cluster, "pipes", "echo named > /dev/stdout"), "named\n")
    }))
})
