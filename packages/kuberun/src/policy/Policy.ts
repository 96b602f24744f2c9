/**
 * Policies: wrappers around the handler of a connection, each with one rule, composed in order.
 *
 * ```ts
 * const handle = apply(kuberun.handle, maxSessions(4), idleTimeout({ after: "1 hour" }))
 * ```
 *
 * A policy sees the connection before the handler does. It may refuse it, change what the handler sees of its channels
 * and their requests, or end it. With `mapChannels` and `mapRequests` one takes a dozen lines:
 *
 * ```ts
 * const noCopying: Policy = mapRequests((request, { refuse }) =>
 *   request._tag === "Subsystem" && request.name === "sftp"
 *     ? refuse("Files cannot be copied here.")
 *     : Effect.succeed([request]))
 * ```
 */
import { Effect, Option, type Scope, Stream } from "effect"
import type { ExitStatus, SessionChannel, SessionRequest, SshConnection } from "../ports/Ssh.ts"
import { say } from "../session/SessionProgram.ts"

/** Serves one authenticated connection, and completes when it is done with it: `Kuberun.handle`, say. */
export type ConnectionHandler<E = never, R = never> = (connection: SshConnection) => Effect.Effect<void, E, R>

/** Makes a handler of a handler. It may fail with `E2` and need `R2` beside what the inner one does. */
export interface Policy<E2 = never, R2 = never> {
  <E, R>(next: ConnectionHandler<E, R>): ConnectionHandler<E | E2, R | R2>
}

/** The policies as one. The first is the outermost: it is asked first, and its limits hold for all that the others do. */
export const compose =
  <E2 = never, R2 = never>(...policies: ReadonlyArray<Policy<E2, R2>>): Policy<E2, R2> =>
  <E, R>(next: ConnectionHandler<E, R>) =>
    policies.reduceRight<ConnectionHandler<E | E2, R | R2>>((inner, policy) => policy(inner), next)

/** The handler behind the policies, of which the first is the outermost. */
export const apply = <E, R, E2 = never, R2 = never>(
  handler: ConnectionHandler<E, R>,
  ...policies: ReadonlyArray<Policy<E2, R2>>
): ConnectionHandler<E | E2, R | R2> => compose(...policies)(handler)

/** What a policy on channels is told beside the channel. */
export interface ChannelContext {
  readonly connection: SshConnection
  /**
   * Turns the channel away: whoever asks for a program on it reads the sentence on stderr and gets the exit status 255.
   * Does not wait for that. Give back what it answers.
   */
  readonly refuse: (sentence: string) => Effect.Effect<undefined>
}

/**
 * A policy on session channels: `f` is asked for each in the order in which they are opened, one after another, before
 * the handler sees it, and answers the channel or a changed one; or `undefined`, and then the channel is its own to
 * serve and to close. What it forks or acquires in its Scope ends with the connection's handler.
 */
export const mapChannels = <R = never>(
  f: (channel: SessionChannel, context: ChannelContext) => Effect.Effect<SessionChannel | undefined, never, R>
): Policy<never, Exclude<R, Scope.Scope>> =>
(next) =>
(connection) =>
  Effect.scoped(Effect.gen(function*() {
    const context = yield* Effect.context<R | Scope.Scope>()
    const scope = yield* Effect.scope
    const sessions = connection.sessions.pipe(
      Stream.mapEffect((channel) =>
        f(channel, {
          connection,
          refuse: (sentence) => Effect.as(Effect.forkIn(turnAway(channel, sentence), scope), undefined)
        })
      ),
      Stream.filter((channel) => channel !== undefined),
      Stream.provideContext(context)
    )
    yield* next({ ...connection, sessions })
  }))

/** What a policy on requests is told beside the request. */
export interface RequestContext {
  readonly connection: SshConnection
  readonly channel: SessionChannel
  /** Denies the request as `deny` does. Give back what it answers. */
  readonly refuse: (sentence: string) => Effect.Effect<ReadonlyArray<SessionRequest>>
}

/**
 * A policy on the requests of session channels: `f` is asked for each in order and answers what the handler gets
 * instead, the request itself as a rule. Every request has to be answered once with its `reply`: by the handler, by
 * `refuse`, or by `f` where it answers none.
 */
export const mapRequests = <R = never>(
  f: (request: SessionRequest, context: RequestContext) => Effect.Effect<ReadonlyArray<SessionRequest>, never, R>
): Policy<never, Exclude<R, Scope.Scope>> =>
  mapChannels((channel, { connection }) =>
    Effect.gen(function*() {
      const context = yield* Effect.context<R>()
      const seen = watch(channel)
      const refuse = (request: SessionRequest) => (sentence: string) => Effect.as(deny(seen, request, sentence), [])
      const requests = seen.channel.requests.pipe(
        Stream.mapEffect((request) => f(request, { connection, channel, refuse: refuse(request) })),
        Stream.flattenIterable,
        Stream.provideContext(context)
      )
      return { ...channel, requests }
    })
  )

/** Whether a request is one of the three that start a program (RFC 4254 §6.5). */
export const startsProgram = (
  request: SessionRequest
): request is Extract<SessionRequest, { readonly _tag: "Shell" | "Exec" | "Subsystem" }> =>
  request._tag === "Shell" || request._tag === "Exec" || request._tag === "Subsystem"

/** The status where nothing of the user's ran. ssh(1) uses it likewise. */
const nothingRan: ExitStatus = { _tag: "Exited", code: 255 }

/**
 * Denies a request with a sentence on stderr, and answers it.
 *
 * One that would start a program is answered with success; the sentence is all that the program says, its exit status is
 * 255, and the channel is closed: ssh(1) gives up at once where such a request fails on its first channel, and shows
 * nothing of what had come before (`client_status_confirm` in its clientloop.c). Every other request is answered with
 * failure, and the channel goes on; so is a second program's, without a word into the first one's output.
 */
export const deny = (
  { channel, hasProgram, hasTerminal }: WatchedChannel,
  request: SessionRequest,
  sentence: string
): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!startsProgram(request)) {
      return Effect.andThen(say(channel, sentence, hasTerminal()), request.reply(false))
    }
    return hasProgram() ? request.reply(false) : request.reply(true).pipe(
      Effect.andThen(say(channel, sentence, hasTerminal())),
      Effect.andThen(channel.exit(nothingRan))
    )
  })

/** A channel of which is known what its requests have come to. */
export interface WatchedChannel {
  /** The channel, to be used in the place of the one that is watched. */
  readonly channel: SessionChannel
  /** Whether it was given a terminal: line ends differ there (RFC 4254 §8, ONLCR). */
  readonly hasTerminal: () => boolean
  /** Whether a request for a program was answered with success. */
  readonly hasProgram: () => boolean
}

/** Watches the answers to the channel's requests. `onTerminal` runs when it gets a terminal, after the answer. */
export const watch = (channel: SessionChannel, onTerminal: Effect.Effect<void> = Effect.void): WatchedChannel => {
  let terminal = false
  let program = false
  const granted = (request: SessionRequest) =>
    Effect.suspend(() => {
      program = program || startsProgram(request)
      if (terminal || request._tag !== "Terminal") return Effect.void
      terminal = true
      return onTerminal
    })
  const requests = Stream.map(
    channel.requests,
    (request): SessionRequest =>
      request._tag !== "Terminal" && !startsProgram(request) ? request : {
        ...request,
        reply: (success) => success ? Effect.andThen(request.reply(true), granted(request)) : request.reply(false)
      }
  )
  return { channel: { ...channel, requests }, hasTerminal: () => terminal, hasProgram: () => program }
}

/** How long a channel that is turned away may take to ask for a program, and so to hear the sentence in its place. */
const turnAwayPatience = "10 seconds"

/** Waits for the request that starts a program, and denies it. */
const turnAway = Effect.fnUntraced(function*(channel: SessionChannel, sentence: string) {
  const seen = watch(channel)
  const asked = yield* seen.channel.requests.pipe(
    Stream.tap((request) =>
      startsProgram(request)
        ? Effect.void
        : request.reply(request._tag === "Terminal" || request._tag === "Environment")
    ),
    Stream.filter(startsProgram),
    Stream.runHead,
    Effect.timeoutOption(turnAwayPatience)
  )
  if (Option.isNone(asked)) {
    yield* say(channel, sentence, seen.hasTerminal())
    return yield* channel.exit(nothingRan)
  }
  // Otherwise the channel was closed before.
  if (Option.isSome(asked.value)) yield* deny(seen, asked.value.value, sentence)
})
