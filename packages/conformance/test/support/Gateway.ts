/**
 * A gateway in front of a cluster, as companies have them: it knows its clients by basic authentication, serves the API
 * below a path of its own, and calls the cluster in its own name.
 */
import { Effect } from "effect"
import { createServer, type IncomingMessage } from "node:http"
import { request } from "node:https"
import type { AddressInfo, Socket } from "node:net"

export interface GatewayOptions {
  /** The cluster's address and who the gateway is there. */
  readonly url: string
  readonly bearerToken: string
  readonly cacert: string
  /** Below which path the API is served: `/k8s` for `/k8s/api/v1`. */
  readonly prefix: string
  readonly username: string
  readonly password: string
}

/** The port that the gateway listens on, for as long as the scope. */
export const gateway = ({ bearerToken, cacert, password, prefix, url, username }: GatewayOptions) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: Effect.Effect<void> }>((resume) => {
      const known = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`
      const refusal = ({ headers, url: path = "" }: IncomingMessage) =>
        !path.startsWith(`${prefix}/`) ? 404 : headers.authorization !== known ? 401 : undefined
      const passedOn = ({ headers, method, url: path = "" }: IncomingMessage) =>
        request(`${url}${path.slice(prefix.length)}`, {
          method,
          ca: cacert,
          headers: { ...headers, host: new URL(url).host, authorization: `Bearer ${bearerToken}` }
        })
      const server = createServer((incoming, response) => {
        const refused = refusal(incoming)
        if (refused !== undefined) return response.writeHead(refused).end()
        const outgoing = passedOn(incoming)
        outgoing.on("response", (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(response)
        })
        outgoing.on("error", () => response.destroy())
        response.on("close", () => outgoing.destroy())
        incoming.pipe(outgoing)
      })
      const sockets = new Set<Socket>()
      server.on("connection", (socket) => sockets.add(socket.on("close", () => sockets.delete(socket))))
      server.on("upgrade", (incoming, client: Socket, head) => {
        const refused = refusal(incoming)
        if (refused !== undefined) return client.end(`HTTP/1.1 ${refused} Refused\r\nConnection: close\r\n\r\n`)
        const outgoing = passedOn(incoming)
        outgoing.on("upgrade", (answer, cluster, first) => {
          const fields = Array.from(
            { length: answer.rawHeaders.length / 2 },
            (_, index) => `${answer.rawHeaders[2 * index]}: ${answer.rawHeaders[2 * index + 1]}\r\n`
          )
          client.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join("")}\r\n`)
          client.write(first)
          cluster.write(head)
          client.pipe(cluster).pipe(client)
          for (const [one, other] of [[client, cluster], [cluster, client]] as const) {
            one.on("error", () => other.destroy()).on("close", () => other.destroy())
          }
        })
        outgoing.on("error", () => client.destroy())
        outgoing.end()
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = Effect.callback<void>((done) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => done(Effect.void))
        })
        resume(Effect.succeed({ port, close }))
      })
    }),
    ({ close }) => close
  )
