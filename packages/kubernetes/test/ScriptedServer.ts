/**
 * A server whose every answer is written in the test: HTTP requests and WebSocket upgrades on one loopback port.
 */
import { Context, Effect, Layer, Redacted } from "effect"
import { Cluster } from "kuberun"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"
import { type WebSocket, WebSocketServer } from "ws"
import { type KubernetesOptions, layer } from "../src/index.ts"

export interface Script {
  readonly rest?: (request: IncomingMessage, response: ServerResponse, body: string) => void
  /** Serves an exec that was accepted. */
  readonly exec?: (socket: WebSocket, request: IncomingMessage) => void
  /** Instead of accepting: does what it likes with the upgrade. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex) => void
  /** What the server knows of subprotocols; v5 where it is not said. */
  readonly subprotocol?: string | false
}

export interface ScriptedServer {
  readonly port: number
  /** Sockets that were ever accepted. */
  readonly accepted: () => number
  /** Sockets that are open. */
  readonly open: () => number
  readonly requests: ReadonlyArray<IncomingMessage & { body?: string }>
}

/** Completes when the condition holds, however the test's clock stands. The test's own time limit ends it otherwise. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.promise(async (signal) => {
    while (!condition() && !signal.aborted) await new Promise<void>((resolve) => setImmediate(resolve))
  })

/** Waits until the number stands still for a good while of turns of the event loop. */
export const settled = (read: () => number): Effect.Effect<void> => {
  let before = -1
  let same = 0
  return until(() => {
    const now = read()
    same = now === before && now > 0 ? same + 1 : 0
    before = now
    return same > 5000
  })
}

/** Answers with this code and this JSON. */
export const answer = (response: ServerResponse, code: number, value: unknown): void => {
  response.writeHead(code, { "content-type": "application/json" })
  response.end(JSON.stringify(value))
}

export const make = (script: Script) =>
  Effect.acquireRelease(
    Effect.callback<ScriptedServer & { readonly close: Effect.Effect<void> }>((resume) => {
      const sockets = new Set<Socket>()
      const requests: Array<IncomingMessage & { body?: string }> = []
      let accepted = 0
      const server = createServer((request: IncomingMessage & { body?: string }, response) => {
        let body = ""
        requests.push(request)
        request.on("data", (part: Buffer) => {
          body += part.toString()
        })
        request.on("end", () => {
          request.body = body
          script.rest?.(request, response, body)
        })
      })
      const webSockets = new WebSocketServer({
        noServer: true,
        perMessageDeflate: true,
        handleProtocols: () => script.subprotocol ?? "v5.channel.k8s.io"
      })
      server.on("connection", (socket) => {
        accepted += 1
        sockets.add(socket)
        socket.on("error", () => undefined)
        socket.on("close", () => sockets.delete(socket))
      })
      server.on("upgrade", (request, socket, head) => {
        requests.push(request)
        if (script.upgrade !== undefined) return script.upgrade(request, socket)
        webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          webSocket.on("error", () => undefined)
          script.exec?.(webSocket, request)
        })
      })
      const close = Effect.callback<void>((done) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => done(Effect.void))
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ port, accepted: () => accepted, open: () => sockets.size, requests, close }))
      })
    }),
    (server) => server.close
  )

export const kubeconfig = (port: number): Redacted.Redacted<string> =>
  Redacted.make(JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } }],
    users: [{ name: "u", user: { token: "secret-token" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x"
  }))

/** The port over the server at this port, as long as the scope. */
export const clusterAt = (port: number, options?: KubernetesOptions) =>
  Layer.build(layer({ _tag: "Kubeconfig", text: kubeconfig(port) }, options)).pipe(
    Effect.map((context) => Context.get(context, Cluster))
  )

/** Both at once. */
export const scripted = (script: Script, options?: KubernetesOptions) =>
  Effect.gen(function*() {
    const server = yield* make(script)
    const cluster = yield* clusterAt(server.port, options)
    return { server, cluster }
  })

/** A server that reads nothing of an exec, as one whose program does not read its stdin; `send` is its answer. */
export const unread = Effect.gen(function*() {
  let socket: WebSocket | undefined
  const { cluster } = yield* scripted({
    exec: (opened) => {
      opened.pause()
      socket = opened
    }
  })
  const send = (message: Buffer) =>
    Effect.andThen(until(() => socket !== undefined), Effect.sync(() => socket?.send(message)))
  return { cluster, send }
})
