/**
 * A server that takes every connection and never answers: what an overloaded API server looks like from outside.
 */
import { Effect, type Scope } from "effect"
import { createServer, type Socket } from "node:net"

export interface SilentServer {
  readonly port: number
}

export const silentServer: Effect.Effect<SilentServer, never, Scope.Scope> = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: Effect.Effect<void> }>((resume) => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.resume()
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed({
        port: typeof address === "object" && address !== null ? address.port : 0,
        close: Effect.callback<void>((closed) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => closed(Effect.void))
        })
      }))
    })
  }),
  ({ close }) => close
)

/** A kubeconfig for a server on this port. */
export const kubeconfigFor = (port: number): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: `https://127.0.0.1:${port}` } }],
    users: [{ name: "u", user: { token: "token-of-the-test" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x"
  })
