/**
 * The remotecommand protocol over a WebSocket, server's side: v4.channel.k8s.io and v5.channel.k8s.io.
 *
 * Channels: 0 stdin, 1 stdout, 2 stderr, 3 status, 4 resize, and in v5 255 to close one
 * (k8s.io/apimachinery/pkg/util/remotecommand, KEP-4006).
 */
import { Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type WebSocket } from "ws"
import { send, takeSocket, unreadLimit } from "./Channels.ts"
import { type ExecLink, type ExecStreams, makeResizes } from "./ExecSession.ts"
import { makeInbox } from "./Inbox.ts"

const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 }

export const channelLink = Effect.fnUntraced(function*(
  socket: WebSocket,
  streams: ExecStreams,
  mayHalfClose: boolean
): Effect.fn.Return<ExecLink, never, Scope.Scope> {
  const stdin = yield* makeInbox(unreadLimit, (full) => stop(full))
  const { hear, resizes } = yield* makeResizes
  const { closed, finish, stop } = yield* takeSocket(socket, (id, payload) => {
    if (id === channel.stdin && streams.stdin) stdin.offer(payload)
    else if (id === channel.resize && streams.tty) hear(payload)
    else if (id === channel.close && payload[0] === channel.stdin && mayHalfClose) stdin.end()
  })
  const first = streams.stdout ? channel.stdout : streams.stderr ? channel.stderr : channel.status
  yield* send(socket, first, new Uint8Array(0))
  return {
    stdin,
    resizes,
    write: (output, bytes) => send(socket, channel[output], bytes),
    status: (status) => Effect.asVoid(send(socket, channel.status, Buffer.from(JSON.stringify(status)))),
    finish,
    cut: Effect.callback<void>((resume) =>
      // A pong means nothing, and is sent behind all else.
      socket.pong(undefined, undefined, () => {
        socket.terminate()
        resume(Effect.void)
      })
    ),
    closed
  }
})
