import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { PodManifest } from "kuberun"
import { scripted } from "./ScriptedServer.ts"

const manifest: PodManifest = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n" },
  spec: { containers: [{ name: "c" }] }
}

const stored = {
  ...manifest,
  metadata: { ...manifest.metadata, uid: "u1", creationTimestamp: "2026-01-02T03:04:05.123456Z" },
  fromTheFuture: { kept: true }
}

describe("the happy path", () => {
  it.live("creates, reads, deletes and watches a pod", () =>
    Effect.gen(function*() {
      const { cluster, server } = yield* scripted({
        rest: (request, response) => {
          response.setHeader("content-type", "application/json")
          if (request.url?.includes("watch=true")) {
            response.write(`${JSON.stringify({ type: "MODIFIED", object: stored })}\n`)
            return response.end(`${JSON.stringify({ type: "DELETED", object: stored })}\n`)
          }
          if (request.url?.includes("fieldSelector")) {
            return response.end(JSON.stringify({ metadata: { resourceVersion: "7" }, items: [stored] }))
          }
          response.end(JSON.stringify(stored))
        }
      })
      const pod = yield* cluster.createPod(manifest)
      assert.deepStrictEqual<unknown>(pod, stored)
      assert.deepStrictEqual<unknown>(yield* cluster.readPod(pod.metadata), stored)
      yield* cluster.deletePod(pod.metadata, { uid: "u1", gracePeriodSeconds: 3 })
      const events = yield* Stream.runCollect(cluster.watchPod(pod.metadata))
      assert.deepStrictEqual(events.map((event) => event._tag), ["Present", "Present", "Absent"])
      assert.deepStrictEqual(
        server.requests.map((request) =>
          `${request.method} ${request.url?.replace(/timeoutSeconds=\d+/u, "timeoutSeconds=N")}`
        ),
        [
          "POST /api/v1/namespaces/n/pods",
          "GET /api/v1/namespaces/n/pods/p",
          "DELETE /api/v1/namespaces/n/pods/p",
          "GET /api/v1/namespaces/n/pods?fieldSelector=metadata.name%3Dp",
          "GET /api/v1/namespaces/n/pods?watch=true&fieldSelector=metadata.name%3Dp&resourceVersion=7" +
          "&allowWatchBookmarks=true&timeoutSeconds=N"
        ]
      )
      assert.strictEqual(server.requests[0]?.headers.authorization, "Bearer secret-token")
    }))

  it.live("runs a program: stdin with its end, stdout and stderr, exit code", () =>
    Effect.gen(function*() {
      const { cluster } = yield* scripted({
        exec: (socket) =>
          socket.on("message", (data: Buffer) => {
            if (data[0] === 0) {
              socket.send(Buffer.concat([Buffer.of(1), data.subarray(1)]))
              socket.send(Buffer.concat([Buffer.of(2), data.subarray(1)]))
            }
            if (data[0] === 255) {
              socket.send(Buffer.concat([Buffer.of(3), Buffer.from("{\"metadata\":{},\"status\":\"Success\"}")]))
              socket.close(1000)
            }
          })
      })
      const process = yield* cluster.exec({ pod: { namespace: "n", name: "p" }, container: "c", command: ["cat"] })
      yield* Stream.run(Stream.make(Buffer.from("hello")), process.stdin)
      const output = yield* Stream.runCollect(process.output)
      assert.deepStrictEqual(output.map((each) => [each._tag, Buffer.from(each.bytes).toString()]), [
        ["Stdout", "hello"],
        ["Stderr", "hello"]
      ])
      assert.deepStrictEqual(yield* process.exit, { _tag: "Exited", code: 0 })
    }))
})
