/** The cluster in one piece: its parts put together, for as long as a scope. */
import { Clock, Context, Effect, Layer, type Scope } from "effect"
import { randomBytes, randomUUID } from "node:crypto"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { makeCertificates } from "./Certificates.ts"
import { makeEvents } from "./Events.ts"
import { detectIsolation, isolationNotes } from "./Isolation.ts"
import { kubeconfig } from "./Kubeconfig.ts"
import { makeKubelet } from "./Kubelet.ts"
import { timestamp } from "./Objects.ts"
import { listenServer, MiniclusterError } from "./Server.ts"
import { makeStore, type Store } from "./Store.ts"

export interface MiniclusterOptions {
  /** Where to listen; 127.0.0.1 by default. Whoever reaches it and has the token runs programs as this user. */
  readonly host?: string
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** Where the pods' folders live; by default a fresh private folder that is removed at the end. */
  readonly directory?: string
}

export interface Minicluster {
  /** https://HOST:PORT */
  readonly url: string
  /** YAML: the authority's certificate, a bearer token, and a context "minicluster" in the namespace "default". */
  readonly kubeconfig: string
  /** Sentences about what is not isolated on this machine; none when all is. */
  readonly isolation: ReadonlyArray<string>
}

const makeDirectory = (given: string | undefined): Effect.Effect<string, MiniclusterError, Scope.Scope> => {
  const failed = (cause: unknown) =>
    new MiniclusterError({
      message: `The folder for the pods cannot be made: ${cause instanceof Error ? cause.message : String(cause)}`
    })
  if (given !== undefined) {
    const directory = resolve(given)
    return Effect.as(
      Effect.tryPromise({ try: () => mkdir(directory, { recursive: true, mode: 0o700 }), catch: failed }),
      directory
    )
  }
  return Effect.acquireRelease(
    Effect.tryPromise({ try: () => mkdtemp(join(tmpdir(), "minicluster-")), catch: failed }),
    (directory) =>
      Effect.promise(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined))
  )
}

const makeNamespaces = Effect.fnUntraced(function*(store: Store) {
  const creationTimestamp = timestamp(yield* Clock.currentTimeMillis)
  for (const name of ["default", "kube-system"]) {
    const labels = { "kubernetes.io/metadata.name": name }
    const object = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, uid: randomUUID(), resourceVersion: "", creationTimestamp, labels },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" }
    }
    yield* Effect.orDie(store.create("namespaces", object))
  }
})

/**
 * Starts a cluster; some 150 ms for the first, less for the next. Closing the scope ends everything: the server, the
 * pods, each of their processes, their folders. The processes end too when this one is killed.
 */
export const make = (options: MiniclusterOptions = {}): Effect.Effect<Minicluster, MiniclusterError, Scope.Scope> =>
  makeWith(options, {})

/** What a test may want smaller or less isolated than it is. */
export interface Limits {
  /** How many changes the history holds for watches. */
  readonly history?: number
  /** Gives pods no namespaces, although the machine would allow them. */
  readonly withoutNamespaces?: boolean
}

/** `make` with other limits; no part of the package's face. */
export const makeWith = (
  options: MiniclusterOptions,
  limits: Limits
): Effect.Effect<Minicluster, MiniclusterError, Scope.Scope> =>
  Effect.gen(function*() {
    const host = options.host ?? "127.0.0.1"
    const directory = yield* makeDirectory(options.directory)
    const [certificates, isolation] = yield* Effect.all([
      makeCertificates(host),
      Effect.mapError(detectIsolation(limits.withoutNamespaces !== true), ({ message }) =>
        new MiniclusterError({ message: `This machine lacks a program that every pod needs: ${message}.` }))
    ], { concurrency: "unbounded" })
    const token = randomBytes(24).toString("base64url")
    const store = yield* makeStore(limits.history)
    yield* makeNamespaces(store)
    // The pods' fibers must be gone before the folder is, and the server after them: each finalizer runs in reverse.
    const server = yield* listenServer({ host, port: options.port ?? 0, certificates, token })
    const address = `${host.includes(":") ? `[${host}]` : host}:${server.port}`
    const kubelet = yield* makeKubelet({
      store,
      events: makeEvents(store),
      isolation,
      directory,
      environment: {
        KUBERNETES_SERVICE_HOST: host,
        KUBERNETES_SERVICE_PORT: String(server.port),
        KUBERNETES_SERVICE_PORT_HTTPS: String(server.port),
        KUBERNETES_PORT: `tcp://${address}`
      }
    })
    yield* server.serve({ store, kubelet, host: address })
    const url = `https://${address}`
    return {
      url,
      kubeconfig: kubeconfig({ url, authority: certificates.authority, token }),
      isolation: isolationNotes(isolation)
    }
  })

/** A running cluster as a service. */
export class MiniclusterService extends Context.Service<MiniclusterService, Minicluster>()(
  "@kuberun/minicluster/MiniclusterService"
) {}

export const layer = (options?: MiniclusterOptions): Layer.Layer<MiniclusterService, MiniclusterError> =>
  Layer.effect(MiniclusterService, make(options))
