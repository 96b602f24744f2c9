/**
 * The remotecommand protocol over SPDY, server's side: v4.channel.k8s.io. The client opens one stream for each of
 * error (which takes the status), stdin, stdout, stderr and resize that it wants.
 */
import { Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type Duplex } from "node:stream"
import { type ByteSource } from "../runtime/Bytes.ts"
import { type ExecLink, type ExecStreams, makeResizes } from "./ExecSession.ts"
import { serveSpdy, type SpdyConnection, type SpdyStream } from "./SpdyStreams.ts"

/** As long as the kubelet waits for a client's streams (`DefaultStreamCreationTimeout`). */
export const streamCreationTimeout = "30 seconds"

const nothing: ByteSource = { read: Effect.never }

/** Waits until all that is wanted has been opened; `undefined` for a client that goes, or opens something else. */
const acceptStreams = Effect.fnUntraced(function*(connection: SpdyConnection, wanted: ReadonlyArray<string>) {
  const streams = new Map<string, SpdyStream>()
  while (streams.size < wanted.length) {
    const stream = yield* connection.accept
    const name = stream?.headers.get("streamtype") ?? ""
    if (stream === undefined || !wanted.includes(name)) return undefined
    streams.set(name, stream)
  }
  return streams
})

/** `undefined` for a client that does not open what it asked for. */
export const spdyLink = Effect.fnUntraced(function*(
  transport: Duplex,
  { stderr, stdin, stdout, tty }: ExecStreams
): Effect.fn.Return<ExecLink | undefined, never, Scope.Scope> {
  const connection = yield* serveSpdy(transport)
  const { hear, resizes } = yield* makeResizes
  const wanted = Object.entries({ error: true, stdin, stdout, stderr, resize: tty })
  const streams = yield* acceptStreams(connection, wanted.flatMap(([name, isWanted]) => isWanted ? [name] : [])).pipe(
    Effect.timeoutOrElse({ duration: streamCreationTimeout, orElse: () => Effect.undefined })
  )
  if (streams === undefined) return undefined
  // Nobody waits for any other, which must not keep the rest of the connection waiting.
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(connection.accept, (other) => other?.release ?? Effect.never)))
  const sizes = streams.get("resize")?.source ?? nothing
  yield* Effect.forkScoped(Effect.gen(function*() {
    for (let bytes = yield* sizes.read; bytes !== undefined; bytes = yield* sizes.read) hear(bytes)
  }))
  return {
    stdin: streams.get("stdin")?.source ?? nothing,
    resizes,
    // A client that has reset one stream is still there: the program goes on, and what it says is dropped.
    write: (output, bytes) =>
      Effect.map(streams.get(output)?.sink.write(bytes) ?? Effect.void, () => !transport.destroyed),
    status: (status) =>
      Effect.asVoid(streams.get("error")?.sink.write(Buffer.from(JSON.stringify(status))) ?? Effect.void),
    finish: Effect.andThen(
      Effect.forEach(streams.values(), ({ sink }) => sink.end, { discard: true }),
      connection.finish
    ),
    cut: Effect.callback<void>((resume) => {
      transport.write(new Uint8Array(0), () => {
        transport.destroy()
        resume(Effect.void)
      })
    }),
    closed: connection.closed
  }
})
