/**
 * A server on the loopback for the length of a scope, whose log the test can read.
 */
import { Deferred, Effect, Fiber, Logger, Redacted, References, type Scope, Stream } from "effect"
import { accepted, type AuthenticationRequest, type AuthenticationResponse, Authenticator, rejected } from "kuberun"
import type { SessionChannel, SessionRequest, SshConnection } from "kuberun"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { generateKey, make, type SshLimits, type SshServerOptions } from "../src/index.ts"

export interface TestServer {
  readonly port: number
  readonly log: ReadonlyArray<string>
  /** Interrupts `run` and waits for it. */
  readonly stop: Effect.Effect<void>
  readonly isStopped: () => boolean
}

/** Everybody who has the password `secret`, and every key, may log in. */
export const openToPassword = (request: AuthenticationRequest): AuthenticationResponse => {
  switch (request._tag) {
    case "None":
      return rejected
    case "Password":
      return Redacted.value(request.password) === "secret" ? accepted : rejected
    case "PublicKey":
      return accepted
  }
}

export const hostKey = Effect.runSync(generateKey("host"))

export const start = (
  handler: (connection: SshConnection) => Effect.Effect<void, never, Scope.Scope>,
  options: {
    readonly limits?: Partial<SshLimits>
    readonly authenticate?: (request: AuthenticationRequest) => Effect.Effect<AuthenticationResponse>
    readonly server?: Partial<SshServerOptions>
  } = {}
): Effect.Effect<TestServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const log: Array<string> = []
    const logger = Logger.make<unknown, void>((entry) => {
      log.push(
        `${entry.logLevel} ${String(entry.message)} ${
          JSON.stringify(entry.fiber.getRef(References.CurrentLogAnnotations))
        }`
      )
    })
    const server = yield* make({
      host: "127.0.0.1",
      port: 0,
      hostKeys: [hostKey.privateKey],
      limits: { closeGrace: "200 millis", ...options.limits },
      ...options.server
    })
    const fiber = yield* server.run(handler).pipe(
      Effect.provideService(Authenticator, {
        methods: ["publickey", "password"],
        authenticate: options.authenticate ?? ((request) => Effect.sync(() => openToPassword(request)))
      }),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Debug"),
      Effect.forkScoped
    )
    return {
      port: server.address.port,
      log,
      stop: Fiber.interrupt(fiber),
      isStopped: () => fiber.pollUnsafe() !== undefined
    }
  }).pipe(Effect.orDie)

/** A handler that runs each session by itself; the connection stays until the client leaves. */
export const sessions =
  (session: (channel: SessionChannel, connection: SshConnection) => Effect.Effect<void, unknown, Scope.Scope>) =>
  (connection: SshConnection): Effect.Effect<void, never, Scope.Scope> =>
    connection.sessions.pipe(
      Stream.runForEach((channel) => Effect.forkScoped(Effect.ignore(session(channel, connection)))),
      Effect.andThen(Effect.never)
    )

/** Answers every request with success, until a program is to start: that request is returned, answered too. */
export const untilStart = (channel: SessionChannel): Effect.Effect<SessionRequest, unknown> =>
  Effect.gen(function*() {
    const started = yield* Deferred.make<SessionRequest, "no program">()
    yield* channel.requests.pipe(
      Stream.runForEach((request) =>
        Effect.andThen(
          request.reply(true),
          isStart(request) ? Deferred.succeed(started, request) : Effect.void
        )
      ),
      Effect.andThen(Deferred.fail(started, "no program")),
      Effect.forkDetach
    )
    return yield* Deferred.await(started)
  })

export const isStart = (request: SessionRequest): boolean =>
  request._tag === "Shell" || request._tag === "Exec" || request._tag === "Subsystem"

/** Looks again until the condition holds. */
export const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), eventually(condition)))

/** A folder that goes with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-ssh-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** The words for ssh(1) that keep it to a test: no file of the user's is read or written, and nothing is asked. */
export const openSsh = (port: number): ReadonlyArray<string> => {
  const settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR"]
  return ["-F", "/dev/null", "-p", String(port), ...settings.flatMap((setting) => ["-o", setting])]
}

export const exited = (code: number) => ({ _tag: "Exited", code }) as const
