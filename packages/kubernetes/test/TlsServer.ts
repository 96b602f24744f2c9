/**
 * An API server behind TLS that knows its clients by their certificates.
 */
import { Effect } from "effect"
import type { IncomingHttpHeaders } from "node:http"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import { WebSocketServer } from "ws"

/** An https server that asks for a client's certificate, and tells whose it was as the pod's name. */
export const served = (certificate: string, key: string) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly port: number
      readonly seen: ReadonlyArray<IncomingHttpHeaders>
      readonly close: Effect.Effect<void>
    }>((resume) => {
      const server = createServer({ cert: certificate, key, requestCert: true, rejectUnauthorized: false })
      const peer = (socket: TLSSocket) => String(socket.getPeerCertificate().subject?.CN)
      const seen: Array<IncomingHttpHeaders> = []
      server.on("request", (request, response) => {
        seen.push(request.headers)
        response.end(JSON.stringify({ metadata: { namespace: "n", name: peer(request.socket as TLSSocket) } }))
      })
      const webSockets = new WebSocketServer({ noServer: true, handleProtocols: () => "v5.channel.k8s.io" })
      server.on("upgrade", (request, socket, head) => {
        seen.push(request.headers)
        webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          webSocket.send(Buffer.concat([Buffer.of(1), Buffer.from(peer(request.socket as TLSSocket))]))
          webSocket.send(Buffer.concat([Buffer.of(3), Buffer.from("{\"status\":\"Success\"}")]))
          webSocket.close(1000)
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = Effect.callback<void>((done) => {
          server.closeAllConnections()
          server.close(() => done(Effect.void))
        })
        resume(Effect.succeed({ port, seen, close }))
      })
    }),
    (server) => server.close
  )
