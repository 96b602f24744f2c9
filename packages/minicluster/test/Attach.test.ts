import { assert, describe, it, layer } from "@effect/vitest"
import { layer as clusterLayer, make, MiniclusterService } from "@kuberun/minicluster"
import { Effect, Schedule } from "effect"
import { Buffer } from "node:buffer"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  call,
  eventually,
  isRunning,
  outputOf,
  podBody,
  pods,
  refusedExec,
  runningPod,
  textAt,
  until
} from "./support/Client.ts"
import { channels, kubectlFor, kubectlMissing, spdy } from "./support/Streams.ts"

const interactive = (name: string, script: string, more: object = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: {
    restartPolicy: "Never",
    containers: [{ name: "main", image: "busybox", stdin: true, command: ["sh", "-c", script], ...more }]
  }
})
const path = (pod: string, flags = "stdin=true&stdout=true&stderr=true") => `${pods}/${pod}/attach?${flags}`
const success = { metadata: {}, status: "Success" }
const parse = (bytes: Buffer | string): unknown => JSON.parse(bytes.toString())

layer(clusterLayer(), { excludeTestServices: true })("attach", (it) => {
  it.effect("joins the first process, several at once, and tells the end of the container as a success", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(
        cluster,
        interactive("joined", "while read l; do [ $l = end ] && exit 3; echo got $l; echo said $l >&2; done")
      )
      const first = yield* channels(cluster, path("joined"), "v5.channel.k8s.io")
      const second = yield* channels(cluster, path("joined", "stderr=true"), "v4.channel.k8s.io")
      yield* Effect.all([first.opened, second.opened])
      // Both are attached once both have heard of the same line.
      yield* Effect.repeat(
        Effect.sync(() => first.send(0, "one\n")),
        { schedule: Schedule.spaced("20 millis"), until: () => first.bytes(1).length > 0 && second.bytes(2).length > 0 }
      ).pipe(Effect.timeout("20 seconds"))
      first.send(0, "end\n")
      assert.deepStrictEqual([yield* first.closed, yield* second.closed], [1000, 1000])
      assert.match(first.bytes(1).toString(), /^got one\n/)
      assert.match(second.bytes(2).toString(), /^said one\n/)
      assert.strictEqual(second.bytes(1).length, 0)
      assert.deepStrictEqual([parse(first.bytes(3)), parse(second.bytes(3))], [success, success])
    }))

  it.effect("gives nothing to the stdin of a container that has none, and is no burden by what it does not ask for", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const script =
        "trap 'echo $n > written; exit' TERM; n=0; while :; do head -c 65536 /dev/zero; n=$((n+1)); echo $n > written; done"
      yield* runningPod(cluster, { ...podBody("closed", script) })
      const client = yield* channels(cluster, path("closed", "stdin=true"), "v5.channel.k8s.io")
      yield* client.opened
      client.send(0, "nobody reads this\n")
      const written = Effect.map(outputOf(cluster, "closed", "cat written"), Number)
      const before = yield* written
      yield* Effect.repeat(written, { until: (now) => now > before + 100 }).pipe(Effect.timeout("20 seconds"))
      client.socket.close()
    }))

  it.effect("works over SPDY: the terminal, its size, and the status", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(
        cluster,
        interactive(
          "terminal",
          // The size comes by a stream of its own: nothing says that it is there when the line is.
          "read line; until test \"$(stty size)\" = '13 97'; do :; done; stty size; read line; exit 5",
          { tty: true }
        )
      )
      const client = yield* spdy(
        cluster,
        path("terminal", "stdin=true&stdout=true&tty=true"),
        "v5.channel.k8s.io\r\nX-Stream-Protocol-Version: v4.channel.k8s.io"
      )
      assert.include(client.head, "X-Stream-Protocol-Version: v4.channel.k8s.io")
      const error = client.stream(yield* client.open({ streamType: "error" }))
      const stdin = yield* client.open({ streamType: "stdin" })
      const stdout = client.stream(yield* client.open({ streamType: "stdout" }))
      const resize = yield* client.open({ streamType: "resize" })
      client.send(resize, `{"Width":97,"Height":13}\n`)
      client.send(stdin, "now\n")
      yield* eventually(() => stdout.text.includes("13 97"), () => stdout.text)
      client.send(stdin, "end\n")
      yield* eventually(() => error.ended && stdout.ended)
      assert.deepStrictEqual(parse(error.text), success)
      yield* eventually(client.closed)
    }))

  it.effect("names init containers too, and refuses what is not there", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const initContainers = [{
        name: "first",
        image: "busybox",
        command: ["sh", "-c", "while :; do echo tick; sleep 0.05; done"]
      }]
      yield* call(cluster, "POST", pods, { body: podBody("init", "", { initContainers }) })
      yield* until(cluster, `${pods}/init`, ({ body }) => JSON.stringify(body).includes("\"running\":"))
      const client = yield* channels(cluster, path("init", "stdout=true&container=first"), "v5.channel.k8s.io")
      yield* eventually(() => client.bytes(1).toString().includes("tick\n"))
      const refused = Effect.map(
        refusedExec(cluster, path("init", "stdout=true&container=none")),
        ({ body, code }) => [code, textAt(body, "message")]
      )
      assert.deepStrictEqual(yield* refused, [400, "container none is not valid for pod init"])
      const late = yield* channels(cluster, path("init", "stdout=true&container=main"), "v5.channel.k8s.io")
      yield* late.closed
      assert.include(
        late.bytes(3).toString(),
        "unable to upgrade connection: container main not found in pod init_default"
      )
      yield* call(cluster, "DELETE", `${pods}/init?gracePeriodSeconds=0`)
    }))
})

describe.skipIf(kubectlMissing)("kubectl", () => {
  for (const webSockets of [true, false]) {
    it.live(`attaches, runs and copies over ${webSockets ? "WebSockets" : "SPDY"}`, () =>
      Effect.gen(function*() {
        const cluster = yield* make()
        const { run } = yield* kubectlFor(cluster, webSockets)
        const fed = yield* run([
          "run",
          "fed",
          "-i",
          "--rm",
          "--quiet",
          "--image=busybox",
          "--restart=Never",
          "--",
          "sh",
          "-c",
          "cat; exit 4"
        ], "through\n")
        assert.deepStrictEqual([fed.code, fed.out.split("\n")[0]], [4, "through"])
        yield* call(cluster, "POST", pods, {
          body: interactive("lines", "while read l; do echo got $l; done", { stdinOnce: true })
        })
        yield* until(cluster, `${pods}/lines`, isRunning)
        const attached = yield* run(["attach", "-i", "lines", "-c", "main"], "a\nb\n")
        assert.deepStrictEqual([attached.code, attached.out], [0, "got a\ngot b\n"])
        yield* runningPod(cluster, podBody("a"))
        const folder = mkdtempSync(join(tmpdir(), "minicluster-cp-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
        const sent = Buffer.alloc(3_000_000, "cp")
        writeFileSync(join(folder, "sent"), sent)
        assert.strictEqual((yield* run(["cp", join(folder, "sent"), "a:copy"])).code, 0)
        assert.strictEqual((yield* run(["cp", "a:copy", join(folder, "back")])).code, 0)
        assert.isTrue(readFileSync(join(folder, "back")).equals(sent))
        const mixed = yield* run(["exec", "-i", "a", "--", "sh", "-c", "cat; echo err >&2; exit 7"], "in\n")
        assert.deepStrictEqual([mixed.code, mixed.out], [7, "in\n"])
        assert.match(mixed.err, /^err\ncommand terminated with exit code 7\n/)
        assert.match((yield* run(["exec", "a", "--", "nosuch"])).err, /executable file not found in \$PATH/)
        assert.strictEqual(
          (yield* run(["exec", "b", "--", "true"])).err,
          `Error from server (NotFound): pods "b" not found\n`
        )
        const bytes = yield* run(["exec", "-i", "a", "--", "sha256sum"], "z".repeat(5_000_000))
        assert.match(bytes.out, /^[0-9a-f]{64}/)
        const flood = yield* run(["exec", "a", "--", "sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x"])
        assert.strictEqual(flood.out.length, 5_000_000)
      }))
  }
})
