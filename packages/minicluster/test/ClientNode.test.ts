/** The other judge: client-node's own classes, as they are. */
import { assert, layer } from "@effect/vitest"
import { Attach, CoreV1Api, Exec, KubeConfig, Log, PortForward, type V1Status, Watch } from "@kubernetes/client-node"
import { layer as clusterLayer, type Minicluster, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { PassThrough, Readable } from "node:stream"
import { eventually, podBody, runningPod } from "./support/Client.ts"

const configOf = (cluster: Minicluster): KubeConfig => {
  const config = new KubeConfig()
  config.loadFromString(cluster.kubeconfig)
  return config
}

/** A stream that remembers what was written to it. */
const collector = () => {
  const stream = new PassThrough()
  let text = ""
  stream.on("data", (piece) => {
    text += String(piece)
  })
  return { stream, text: () => text }
}

/** Prints the port that it listens on, and answers each connection with what it sends, in capitals. */
const shouting =
  `exec node -e 'require("net").createServer((s) => s.on("data", (d) => s.end(String(d).toUpperCase()))).listen(0, "127.0.0.1", function() { console.log(this.address().port) })'`

layer(clusterLayer(), { excludeTestServices: true })("client-node's class", (it) => {
  it.effect("Exec has both streams, stdin with its end, and the status", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("exec"))
      const [out, err] = [collector(), collector()]
      let status: V1Status | undefined
      yield* Effect.promise(() =>
        new Exec(configOf(cluster)).exec(
          "default",
          "exec",
          "main",
          ["sh", "-c", "cat; echo oops >&2; exit 7"],
          out.stream,
          err.stream,
          Readable.from([Buffer.from("through")]),
          false,
          (ended) => {
            status = ended
          }
        )
      )
      yield* eventually(() => status !== undefined)
      assert.deepStrictEqual([out.text(), err.text()], ["through", "oops\n"])
      assert.deepStrictEqual([status?.reason, status?.details?.causes?.[0]?.message], ["NonZeroExitCode", "7"])
    }))

  it.effect("Attach reaches the first process", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const main = {
        name: "main",
        image: "busybox",
        stdin: true,
        command: ["sh", "-c", "while read x; do echo got $x; done"]
      }
      yield* runningPod(cluster, podBody("attach", "", { containers: [main] }))
      const out = collector()
      const input = new PassThrough()
      yield* Effect.promise(() =>
        new Attach(configOf(cluster)).attach("default", "attach", "main", out.stream, out.stream, input, false)
      )
      input.write("it\n")
      yield* eventually(() => out.text() === "got it\n", out.text)
    }))

  it.effect("PortForward carries a connection both ways", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("forward", shouting))
      const log = collector()
      yield* Effect.promise(() =>
        new Log(configOf(cluster)).log("default", "forward", "main", log.stream, { follow: true })
      )
      yield* eventually(() => /^\d+\n$/.test(log.text()), log.text)
      const port = Number(log.text())
      const out = collector()
      const input = new PassThrough()
      yield* Effect.promise(() =>
        new PortForward(configOf(cluster)).portForward("default", "forward", [port], out.stream, null, input)
      )
      input.write("hello")
      yield* eventually(() => out.text() === "HELLO", out.text)
    }))

  it.effect("Watch tells of a pod from its creation to its end", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const seen: Array<string> = []
      yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Watch(configOf(cluster)).watch(
            "/api/v1/namespaces/default/pods",
            { fieldSelector: "metadata.name=watched" },
            (type: string) => seen.push(type),
            () => {}
          )
        ),
        (controller) => Effect.sync(() => controller.abort())
      )
      yield* Effect.scoped(runningPod(cluster, podBody("watched")))
      const api = configOf(cluster).makeApiClient(CoreV1Api)
      yield* eventually(() => seen.includes("DELETED"))
      assert.deepStrictEqual([seen[0], seen.at(-1)], ["ADDED", "DELETED"])
      const list = yield* Effect.promise(() => api.listNamespacedPod({ namespace: "default" }))
      assert.notInclude(list.items.map(({ metadata }) => metadata?.name), "watched")
    }))
})
