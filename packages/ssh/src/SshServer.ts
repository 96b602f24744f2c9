/**
 * An SSH server: listens, limits, and serves each connection in a fiber of its own. As a Layer, or as a value.
 */
import { Context, Effect, FiberSet, Layer, type Redacted, type Scope } from "effect"
import { Authenticator } from "kuberun"
import { randomBytes } from "node:crypto"
import * as Net from "node:net"
import { type ConnectionHandler, serve } from "./ClientConnection.ts"
import { readHostKeys } from "./HostKey.ts"
import { makeTransportServer } from "./Ssh2Guards.ts"
import { defaults, type SshLimits } from "./SshLimits.ts"
import { cannotListen, SshServerError } from "./SshServerError.ts"

export interface SshServerOptions {
  readonly host: string
  /** 0 takes a free one: see `address`. */
  readonly port: number
  /** Private keys without a passphrase, in OpenSSH's format, PKCS#1, SEC1 or PKCS#8; of each type the first counts. */
  readonly hostKeys: ReadonlyArray<Redacted.Redacted<string>>
  readonly limits?: Partial<SshLimits>
  /** Shown by clients before the login (RFC 4252 §5.4). */
  readonly banner?: string | undefined
}

/** Where a server listens, with the port that it got. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/** A server that runs, as a Layer. */
export class SshServer extends Context.Service<SshServer, { readonly address: ServerAddress }>()(
  "@kuberun/ssh/SshServer"
) {
  /**
   * Listens and serves for as long as the layer is held; what the handler needs, the layer needs. When its scope closes
   * it ends as `run` does when it is interrupted.
   */
  static readonly layer = <R>(
    options: SshServerOptions,
    handler: ConnectionHandler<R>
  ): Layer.Layer<SshServer, SshServerError, Authenticator | Exclude<R, Scope.Scope>> =>
    Layer.effect(
      SshServer,
      Effect.gen(function*() {
        const { address, run } = yield* make(options)
        yield* Effect.forkScoped(run(handler))
        return { address }
      })
    )
}

/** A server that listens, and is yet to be run. */
export interface ListeningServer {
  readonly address: ServerAddress
  /**
   * Serves until interrupted; run it once.
   *
   * Each connection's handler runs in a fiber with its own Scope, which is closed when the connection ends by
   * whatever road. A handler that completes or dies ends its own connection only; a defect is logged as one line.
   * Interrupting `run` stops listening, interrupts the handlers, waits until their scopes are closed and then closes
   * the sockets.
   */
  readonly run: <R>(
    handler: ConnectionHandler<R>
  ) => Effect.Effect<never, never, Exclude<R, Scope.Scope> | Authenticator>
}

/** Listens until the scope closes. Connections that come before `run` wait for it. */
export const make = Effect.fn("SshServer.make")(function*(
  options: SshServerOptions
): Effect.fn.Return<ListeningServer, SshServerError, Scope.Scope> {
  const limits: SshLimits = { ...defaults, ...options.limits }
  const hostKeys = yield* readHostKeys(options.hostKeys)
  const transport = yield* Effect.try({
    try: () => makeTransportServer(hostKeys, options.banner),
    catch: (error) =>
      error instanceof SshServerError
        ? error
        : new SshServerError({ reason: "BadHostKey", message: `the host keys cannot be used: ${String(error)}` })
  })

  const waiting: Array<Net.Socket> = []
  let accept = (socket: Net.Socket): void => {
    if (waiting.length >= limits.maxStartups) return refuse(socket)
    socket.on("error", () => socket.destroy())
    // Who goes before `run` was never here: the socket's "close" would not come a second time.
    socket.once("close", () => {
      const place = waiting.indexOf(socket)
      if (place >= 0) waiting.splice(place, 1)
    })
    waiting.push(socket)
  }
  const server = yield* listen(options.host, options.port, (socket) => accept(socket))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      for (const socket of waiting) socket.destroy()
    })
  )

  const run = <R>(handler: ConnectionHandler<R>) =>
    Effect.gen(function*() {
      const authenticator = yield* Authenticator
      const fibers = yield* FiberSet.make()
      const fork = yield* FiberSet.runtime(fibers)<Exclude<R, Scope.Scope>>()
      // Before the fibers' own finalizer, which interrupts them and waits.
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const onError = (error: Error) => fork(Effect.logError(`a connection could not be accepted: ${error.message}`))
      yield* Effect.acquireRelease(
        Effect.sync(() => server.on("error", onError)),
        () => Effect.sync(() => server.off("error", onError))
      )
      let connections = 0
      let startups = 0
      accept = (socket) => {
        if (connections >= limits.maxConnections || startups >= limits.maxStartups) return refuse(socket)
        connections += 1
        startups += 1
        let started = false
        const onStarted = () => {
          if (!started) startups -= 1
          started = true
        }
        const id = randomBytes(16).toString("hex")
        fork(
          serve({ id, socket, server: transport, limits, authenticator, handler, onStarted }).pipe(
            Effect.ensuring(Effect.sync(() => connections -= 1))
          )
        )
      }
      for (const socket of waiting.splice(0)) accept(socket)
      return yield* Effect.never
    }).pipe(Effect.scoped)

  return { address: addressOf(server, options), run }
})

const listen = (host: string, port: number, onSocket: (socket: Net.Socket) => void) =>
  Effect.callback<Net.Server, SshServerError>((resume) => {
    const server = Net.createServer(onSocket)
    const onError = (error: Error) => resume(Effect.fail(cannotListen(host, port, error)))
    server.once("error", onError)
    server.listen({ host, port }, () => {
      server.off("error", onError)
      // `run` logs failures to accept; outside of it they concern nobody, and must not end the process.
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
    return Effect.sync(() => server.close())
  })

const addressOf = (server: Net.Server, options: SshServerOptions): ServerAddress => {
  const address = server.address()
  return typeof address === "object" && address !== null
    ? { host: address.address, port: address.port }
    : { host: options.host, port: options.port }
}

/** As sshd does, in plain text before the identification: clients show it with -v. */
const refuse = (socket: Net.Socket): void => {
  socket.on("error", () => socket.destroy())
  socket.write("Exceeded MaxStartups\r\n")
  socket.destroySoon()
}
