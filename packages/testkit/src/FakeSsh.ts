/**
 * SSH connections and session channels in memory, for tests under TestClock.
 */
import { type Cause, Deferred, Effect, Option, Queue, Ref, Sink, Stream } from "effect"
import {
  ChannelClosed,
  type ExitStatus,
  type Output,
  type SessionChannel,
  type SessionRequest,
  type SshConnection
} from "kuberun"

type WithoutReply<Request> = Request extends SessionRequest ? Omit<Request, "reply"> : never

/** A request as a client states it. */
export type ClientRequest = WithoutReply<SessionRequest>

/** The client's end of a session channel. */
export interface FakeClient {
  readonly channel: SessionChannel
  /** Sends a request and waits for its answer; false where the channel is closed before it comes. */
  readonly request: (request: ClientRequest) => Effect.Effect<boolean>
  /** Sends bytes for stdin; waits while the server does not read. */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void>
  readonly eof: Effect.Effect<void>
  /** Closes the channel, as a client that hangs up does. */
  readonly close: Effect.Effect<void>
  /** What arrived so far. */
  readonly received: Effect.Effect<ReadonlyArray<Output>>
  /** What arrived on stdout and on stderr so far, as text. */
  readonly texts: Effect.Effect<{ readonly stdout: string; readonly stderr: string }>
  /** Each status that was sent, and how many bytes had arrived before it. */
  readonly exits: Effect.Effect<ReadonlyArray<{ readonly status: ExitStatus; readonly bytesBefore: number }>>
}

const textOf = (outputs: ReadonlyArray<Output>, tag: Output["_tag"]): string =>
  Buffer.concat(outputs.filter((output) => output._tag === tag).map(({ bytes }) => bytes)).toString("utf8")

const lengthOf = (outputs: ReadonlyArray<Output>): number => outputs.reduce((sum, { bytes }) => sum + bytes.length, 0)

/**
 * A channel whose client takes each piece of output when `read` lets it; left out: at once.
 */
export const makeClient = Effect.fn("FakeSsh.makeClient")(function*(read: Effect.Effect<void> = Effect.void, id = 0) {
  const requests = yield* Queue.bounded<SessionRequest, Cause.Done>(64)
  const stdin = yield* Queue.bounded<Uint8Array, Cause.Done>(2)
  const received = yield* Ref.make<ReadonlyArray<Output>>([])
  const exits = yield* Ref.make<ReadonlyArray<{ readonly status: ExitStatus; readonly bytesBefore: number }>>([])
  const closed = yield* Deferred.make<void>()

  const close = Deferred.succeed(closed, undefined).pipe(
    Effect.andThen(Queue.end(requests)),
    Effect.andThen(Queue.end(stdin)),
    Effect.asVoid
  )
  const whileOpen = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.raceFirst(
      Effect.andThen(Deferred.await(closed), Effect.fail(new ChannelClosed())),
      effect
    )
  const take = (output: Output) =>
    whileOpen(read).pipe(Effect.andThen(Ref.update(received, (before) => [...before, output])))

  const channel: SessionChannel = {
    id,
    requests: Stream.fromQueue(requests),
    stdin: Stream.fromQueue(stdin),
    output: Sink.forEach(take),
    exit: (status) =>
      Ref.get(received).pipe(
        Effect.flatMap((outputs) =>
          Ref.update(exits, (before) => [...before, { status, bytesBefore: lengthOf(outputs) }])
        ),
        Effect.andThen(close)
      ),
    closed: Deferred.await(closed)
  }
  const request = Effect.fnUntraced(function*(asked: ClientRequest) {
    const answer = yield* Deferred.make<boolean>()
    const reply = (success: boolean) => Effect.asVoid(Deferred.succeed(answer, success))
    yield* Queue.offer(requests, { ...asked, reply })
    const unanswered = Effect.flatMap(
      Deferred.poll(answer),
      Option.match({ onNone: () => Effect.succeed(false), onSome: (given) => given })
    )
    return yield* Effect.raceFirst(Deferred.await(answer), Effect.andThen(Deferred.await(closed), unanswered))
  })
  return {
    channel,
    request,
    send: (bytes) => Effect.asVoid(Queue.offer(stdin, bytes)),
    eof: Effect.asVoid(Queue.end(stdin)),
    close,
    received: Ref.get(received),
    texts: Effect.map(Ref.get(received), (outputs) => ({
      stdout: textOf(outputs, "Stdout"),
      stderr: textOf(outputs, "Stderr")
    })),
    exits: Ref.get(exits)
  } satisfies FakeClient
})

/** The client's end of a connection. */
export interface FakeConnection {
  readonly connection: SshConnection
  readonly open: (channel: SessionChannel) => Effect.Effect<void>
  /** Ends the connection in good order. */
  readonly end: Effect.Effect<void>
}

export const makeConnection = Effect.fn("FakeSsh.makeConnection")(function*(
  identity: Partial<Omit<SshConnection, "sessions">> = {}
) {
  const sessions = yield* Queue.bounded<SessionChannel, Cause.Done>(16)
  return {
    connection: {
      id: "0123456789abcdef0123456789abcdef",
      username: "demo",
      remoteAddress: "127.0.0.1",
      remotePort: 50_000,
      localAddress: "127.0.0.1",
      localPort: 2222,
      metadata: {},
      clientVersion: "OpenSSH_9.2",
      ...identity,
      sessions: Stream.fromQueue(sessions)
    },
    open: (channel) => Effect.asVoid(Queue.offer(sessions, channel)),
    end: Effect.asVoid(Queue.end(sessions))
  } satisfies FakeConnection
})
