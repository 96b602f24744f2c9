/**
 * The way to one API server with one set of credentials: what a request or a WebSocket needs besides its own path.
 *
 * client-node does the reading of certificates and tokens, anew for every call, so that what was rotated is used. What it
 * does not do is mended here: it makes a new pool of connections for every call, and limits nothing of this in time. Who
 * asks by way of a program or a provider is in `Authenticators`.
 */
import { Duration, Effect, type Scope, Semaphore } from "effect"
import { type ClusterError, Misconfigured } from "kuberun"
import type { Agent } from "node:http"
import type { RequestOptions } from "node:https"
import type { Dispatcher } from "undici"
import { failed } from "./ApiFault.ts"
import * as Authenticators from "./Authenticators.ts"
import type { ClusterSource } from "./ClusterSource.ts"
import { credentialFault, readingFault } from "./CredentialCheck.ts"
import { loadClientNode, loadKubeConfig } from "./KubeConfigFile.ts"

/** What says who is asking: for the headers of a request. */
export type Headers = Readonly<Record<string, string>>

/** Access to an API server. */
export interface ApiAccess {
  /** The server's URL with any path prefix, without a slash at its end. */
  readonly server: string
  /** For a request: its headers, and the pool of connections to send it over. */
  readonly forRequest: (operation: string) => Effect.Effect<
    { readonly headers: Headers; readonly dispatcher: Dispatcher },
    ClusterError
  >
  /** For a WebSocket: its headers, TLS options, and the agent where there is a proxy. */
  readonly forSocket: (operation: string) => Effect.Effect<SocketAccess, ClusterError>
  /** The server did not accept the credentials (401): the next call asks for new ones, where there is somebody to ask. */
  readonly refused: Effect.Effect<void>
}

/** TLS options in Node's own names; those that are not set are left out. */
export type Tls = {
  readonly [K in "ca" | "cert" | "key" | "pfx" | "passphrase" | "rejectUnauthorized" | "servername"]?: NonNullable<
    RequestOptions[K]
  >
}

/** What a WebSocket needs to be let in. `auth` is `user:password`. */
export interface SocketAccess {
  readonly headers: Headers
  readonly tls: Tls
  readonly auth?: string
  readonly agent?: Agent
}

const USER_AGENT = "kuberun"

/**
 * How long a connection rests before the kernel asks whether the other side is still there: below the 60 s after which
 * load balancers forget a silent connection.
 */
export const KEEP_ALIVE_MILLIS = 30_000

/**
 * How long a connection is kept for the next call. The API server's own limit is 90 s; we must be the first to close,
 * or a call would be sent into a connection that is just being closed, and nobody could say whether it arrived.
 */
const IDLE_MILLIS = 30_000

/** How long a credential plugin, an identity provider or a file may take. Below the limit of the call that waits. */
const CREDENTIALS_TIMEOUT = Duration.seconds(30)

const headersOf = (options: Pick<RequestOptions, "headers">): Headers => {
  const headers: Record<string, string> = { "user-agent": USER_AGENT }
  const given = options.headers
  if (given !== undefined && !Array.isArray(given)) {
    for (const [name, value] of Object.entries(given)) {
      if (value !== undefined) headers[name.toLowerCase()] = String(value)
    }
  }
  return headers
}

const tlsOf = ({ ca, cert, key, passphrase, pfx, rejectUnauthorized, servername }: RequestOptions): Tls => ({
  ...(ca === undefined ? {} : { ca }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key }),
  ...(pfx === undefined ? {} : { pfx }),
  ...(passphrase === undefined ? {} : { passphrase }),
  ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  ...(servername === undefined ? {} : { servername })
})

/** Everything that decides over which connections a request may go: two calls with the same text may share them. */
const poolKey = (tls: Tls): string =>
  JSON.stringify(
    Object.entries(tls).map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString("latin1") : value])
  )

/** Reads the source and opens nothing yet. The pool is closed with the scope. */
export const make = Effect.fn("ApiAccess.make")(function*(
  source: ClusterSource
): Effect.fn.Return<ApiAccess, ClusterError, Scope.Scope> {
  const config = yield* loadKubeConfig(source)
  const clientNode = yield* loadClientNode
  const undici = yield* Effect.promise(() => import("undici"))
  const authenticators = Authenticators.add(config)
  const cluster = config.getCurrentCluster()
  const server = cluster?.server ?? ""
  const proxied = cluster?.proxyUrl !== undefined && cluster.proxyUrl !== null && cluster.proxyUrl !== ""

  let pool: { readonly key: string; readonly dispatcher: Dispatcher } | undefined
  yield* Effect.addFinalizer(() =>
    Effect.tryPromise(() => pool === undefined ? Promise.resolve() : pool.dispatcher.destroy()).pipe(Effect.ignore)
  )

  const makeDispatcher = async (options: RequestOptions): Promise<Dispatcher> => {
    if (proxied) {
      const context = new clientNode.RequestContext(server, clientNode.HttpMethod.GET)
      await config.applySecurityAuthentication(context)
      const dispatcher = context.getDispatcher()
      if (dispatcher !== undefined) return dispatcher
    }
    return new undici.Agent({
      // Watches stay open for minutes: over HTTP/2 all of them would break together with one connection.
      allowH2: false,
      keepAliveTimeout: IDLE_MILLIS,
      connect: { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MILLIS, ...tlsOf(options) }
    })
  }

  /** The pool for these credentials. When they have changed, the one before serves what it has begun and closes. */
  const dispatcherFor = async (options: RequestOptions): Promise<Dispatcher> => {
    const key = poolKey(tlsOf(options))
    if (pool?.key === key) return pool.dispatcher
    const dispatcher = await makeDispatcher(options)
    const before = pool
    pool = { key, dispatcher }
    before?.dispatcher.close().catch(() => undefined)
    return dispatcher
  }

  // One at a time: who waits finds the credentials that the one before has asked for.
  const mutex = yield* Semaphore.make(1)
  const prepare = <A>(operation: string, use: (options: RequestOptions) => A | Promise<A>) =>
    mutex.withPermit(
      Effect.tryPromise({
        try: (signal) =>
          authenticators.during(signal, async () => {
            const options: RequestOptions = {}
            await config.applyToHTTPSOptions(options)
            return await use(options)
          }),
        catch: (error) =>
          failed(operation)(new Misconfigured({ detail: `the credentials cannot be used: ${readingFault(error)}` }))
      }).pipe(Effect.timeoutOrElse({
        duration: CREDENTIALS_TIMEOUT,
        orElse: () => {
          const detail = `the credentials were not there within ${Duration.format(CREDENTIALS_TIMEOUT)}`
          return Effect.fail(failed(operation)(new Misconfigured({ detail })))
        }
      }))
    )

  // A file that is missing, or holds something else, is better told now than by the first user's connection.
  if (Authenticators.isAtHand(config.getCurrentUser())) {
    const fault = yield* prepare("read the cluster's configuration", credentialFault)
    if (fault !== undefined) {
      const detail = `the credentials cannot be used: ${fault}`
      return yield* Effect.fail(failed("read the cluster's configuration")(new Misconfigured({ detail })))
    }
  }

  const basic = (options: RequestOptions): Headers =>
    typeof options.auth === "string" ? { authorization: `Basic ${Buffer.from(options.auth).toString("base64")}` } : {}

  return {
    server,
    refused: Effect.sync(authenticators.forget),
    forRequest: (operation) =>
      prepare(operation, async (options) => ({
        headers: { ...basic(options), ...headersOf(options) },
        dispatcher: await dispatcherFor(options)
      })),
    forSocket: (operation) =>
      prepare(operation, (options): SocketAccess => ({
        headers: headersOf(options),
        tls: tlsOf(options),
        ...(typeof options.auth === "string" ? { auth: options.auth } : {}),
        // client-node keeps one agent for ever: rotated certificates would never reach it. Only a proxy needs it.
        ...(proxied && typeof options.agent === "object" ? { agent: options.agent } : {})
      }))
  }
})
