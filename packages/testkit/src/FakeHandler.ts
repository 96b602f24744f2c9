/**
 * A handler of connections for tests of policies: it stands where `Kuberun.handle` would, has no pods, and remembers
 * what came through to it.
 */
import { Effect, Fiber, Ref, Stream } from "effect"
import { type SessionChannel, type SshConnection, stdout } from "kuberun"
import type { ClientRequest } from "./FakeSsh.ts"

/** A session channel as the handler saw it. */
export interface SeenSession {
  readonly id: number
  /** The requests that reached it, in order. */
  readonly requests: ReadonlyArray<ClientRequest>
}

export interface FakeHandler {
  /**
   * Accepts what `Kuberun.handle` does: variables and a terminal before the program, one program, all else after it. The
   * program echoes its stdin to stdout and ends with 0. Completes when the connection has ended and its channels have.
   */
  readonly handle: (connection: SshConnection) => Effect.Effect<void>
  /** The session channels that reached it, in order. */
  readonly sessions: Effect.Effect<ReadonlyArray<SeenSession>>
  /** How many channels it serves now. */
  readonly open: Effect.Effect<number>
}

const starts = (request: ClientRequest): boolean =>
  request._tag === "Shell" || request._tag === "Exec" || request._tag === "Subsystem"

const echo = (channel: SessionChannel): Effect.Effect<void> =>
  Stream.run(Stream.map(channel.stdin, stdout), channel.output).pipe(
    Effect.andThen(channel.exit({ _tag: "Exited", code: 0 })),
    Effect.catch(() => Effect.void)
  )

export const make: Effect.Effect<FakeHandler> = Effect.gen(function*() {
  const seen = yield* Ref.make<ReadonlyArray<SeenSession>>([])
  const open = yield* Ref.make(0)

  const note = (place: number, request: ClientRequest) =>
    Ref.update(
      seen,
      (before) =>
        before.map((session, at) => at === place ? { ...session, requests: [...session.requests, request] } : session)
    )

  const serve = Effect.fnUntraced(function*(channel: SessionChannel) {
    const place = yield* Ref.modify(seen, (before) => [before.length, [...before, { id: channel.id, requests: [] }]])
    let started = false
    yield* Stream.runForEach(channel.requests, ({ reply, ...request }) =>
      Effect.gen(function*() {
        yield* note(place, request)
        const accepted = started === (request._tag === "Signal" || request._tag === "WindowChange")
        yield* reply(accepted)
        if (started || !starts(request)) return
        started = true
        yield* Effect.forkScoped(echo(channel))
      }))
    yield* channel.closed
  }, Effect.scoped)

  return {
    handle: (connection) =>
      Effect.gen(function*() {
        const fibers = yield* Stream.runFoldEffect(
          connection.sessions,
          (): ReadonlyArray<Fiber.Fiber<void>> => [],
          (before, channel) =>
            Effect.acquireUseRelease(
              Ref.update(open, (count) => count + 1),
              () => serve(channel),
              () => Ref.update(open, (count) => count - 1)
            ).pipe(Effect.forkChild({ startImmediately: true }), Effect.map((fiber) => [...before, fiber]))
        )
        yield* Effect.forEach(fibers, Fiber.join, { discard: true })
      }),
    sessions: Ref.get(seen),
    open: Ref.get(open)
  }
})
