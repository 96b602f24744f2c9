/** The cluster in one piece: its parts put together, for as long as a scope. */
import { Clock, Context, Effect, Layer, type Scope, Stream } from "effect"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { keepAggregated } from "./access/Aggregation.ts"
import { makeAuthentication } from "./access/Authentication.ts"
import { makeCertificates } from "./access/Certificates.ts"
import { storeDefaultRoles } from "./access/DefaultRoles.ts"
import { certificateKubeconfig, kubeconfig } from "./access/Kubeconfig.ts"
import { makeTokens, podToken } from "./access/Tokens.ts"
import { runCollector } from "./api/Collector.ts"
import { makeNamespaces, makeObject, removeClaimFolders } from "./api/Controllers.ts"
import { makeEvents } from "./api/Events.ts"
import { makeList } from "./api/ListWatch.ts"
import { listenServer, MiniclusterError } from "./api/Server.ts"
import { makeStore, type Store } from "./api/Store.ts"
import { type Eviction } from "./faults/FaultPlan.ts"
import { type FaultsControl, makeFaults } from "./faults/Faults.ts"
import { type Kubelet, makeKubelet } from "./node/Kubelet.ts"
import { makeNode, nodeName } from "./node/Node.ts"
import { keepNodeLease } from "./node/NodeLease.ts"
import { startScheduler } from "./node/Scheduler.ts"
import { makeDirectory } from "./runtime/Directory.ts"
import { detectIsolation, isolationNotes } from "./runtime/Isolation.ts"
import { labelSelector } from "./shapes/Selectors.ts"

export interface MiniclusterOptions {
  /** Where to listen; 127.0.0.1 by default. Whoever reaches it and has the token runs programs as this user. */
  readonly host?: string
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** Below which folder the cluster makes its own, which goes with it; by default the one for temporary files. */
  readonly directory?: string
  /** What `hostPath` volumes see as the machine's root: without it they are refused. */
  readonly hostPath?: string
  /** A plan of faults (`FaultPlan`), in force from the start. */
  readonly faults?: unknown
}

export interface Minicluster {
  /** https://HOST:PORT */
  readonly url: string
  /** YAML: the authority's certificate, a bearer token, and a context "minicluster" in the namespace "default". */
  readonly kubeconfig: string
  /** A kubeconfig for another user, by a client certificate: whatever RBAC grants the user or the groups. */
  readonly kubeconfigFor: (options: {
    readonly user: string
    readonly groups?: ReadonlyArray<string>
    readonly namespace?: string
  }) => Effect.Effect<string>
  /** Faults on purpose, set and cleared while the cluster runs. */
  readonly faults: FaultsControl
  /** Sentences about what is not isolated on this machine; none when all is. */
  readonly isolation: ReadonlyArray<string>
}

/**
 * Starts a cluster: some 70 ms for the first of a process, 15 for the next. Closing the scope ends everything: the server, the
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
    const orFail = <A, R>(effect: Effect.Effect<A, { readonly message: string }, R>) =>
      Effect.mapError(effect, ({ message }) => new MiniclusterError({ message }))
    const faults = yield* orFail(makeFaults(options.faults))
    const hostPath = options.hostPath === undefined ? undefined : resolve(options.hostPath)
    if (hostPath !== undefined && !existsSync(hostPath)) {
      return yield* new MiniclusterError({ message: `There is no folder ${hostPath} for hostPath volumes.` })
    }
    const [directory, certificates, isolation] = yield* Effect.all([
      orFail(makeDirectory(options.directory)),
      makeCertificates(host),
      Effect.mapError(detectIsolation(limits.withoutNamespaces !== true), ({ message }) =>
        new MiniclusterError({ message: `This machine lacks a program that every pod needs: ${message}.` }))
    ], { concurrency: "unbounded" })
    const { authority } = certificates
    const store = yield* makeStore(limits.history)
    const events = makeEvents(store)
    const tokens = makeTokens(store)
    yield* storeDefaultRoles(store)
    yield* makeNamespaces(store, authority)
    yield* makeObject(store, "nodes", nodeName, undefined, { ...makeNode(yield* Clock.currentTimeMillis) })
    yield* keepAggregated(store)
    const claims = join(directory, "claims")
    yield* removeClaimFolders(store, claims)
    yield* runCollector(store)
    yield* startScheduler(store, events)
    // The pods' fibers must be gone before the folder is, and the server after them: each finalizer runs in reverse.
    const server = yield* listenServer({ host, port: options.port ?? 0, certificates })
    const address = `${host.includes(":") ? `[${host}]` : host}:${server.port}`
    const kubelet = yield* makeKubelet({
      store,
      events,
      isolation,
      directory: join(directory, "pods"),
      claims,
      hostPath,
      environment: {
        KUBERNETES_SERVICE_HOST: host,
        KUBERNETES_SERVICE_PORT: String(server.port),
        KUBERNETES_SERVICE_PORT_HTTPS: String(server.port),
        KUBERNETES_PORT: `tcp://${address}`
      },
      token: (pod, wanted) =>
        podToken(store, tokens, pod, wanted),
      authority
    })
    yield* keepNodeLease(store, kubelet)
    yield* followFaults(faults, kubelet, store)
    const token = randomBytes(24).toString("base64url")
    yield* server.serve(
      { store, kubelet, list: makeList(store), faults, tokens, authority, host: address },
      makeAuthentication({ store, tokens, token })
    )
    const url = `https://${address}`
    return {
      url,
      kubeconfig: kubeconfig({ url, authority, user: { name: "kubernetes-admin", token } }),
      kubeconfigFor: (user) =>
        certificateKubeconfig({ url, certificates, ...user }),
      isolation: isolationNotes(isolation),
      faults
    }
  })

/** The node's part of a plan of faults. */
const followFaults = (faults: FaultsControl, kubelet: Kubelet, store: Store) =>
  Effect.forkScoped(Stream.runForEach(faults.node, ({ evict, lost }) =>
    Effect.gen(function*() {
      yield* kubelet.setNodeLost(lost)
      for (const eviction of evict) yield* evictSelected(eviction, kubelet, store)
    })))

const evictionMessage = "The node was low on resource: memory."

const evictSelected = Effect.fnUntraced(
  function*({ labelSelector: text = "", message, namespace }: Eviction, kubelet: Kubelet, store: Store) {
    const select = yield* labelSelector(text)
    const { items } = yield* store.list("pods", namespace)
    yield* Effect.forEach(items.filter(select), (pod) => kubelet.evict(pod, message ?? evictionMessage), {
      discard: true
    })
  }
)

/** A running cluster as a service. */
export class MiniclusterService extends Context.Service<MiniclusterService, Minicluster>()(
  "@kuberun/minicluster/MiniclusterService"
) {}

export const layer = (options?: MiniclusterOptions): Layer.Layer<MiniclusterService, MiniclusterError> =>
  Layer.effect(MiniclusterService, make(options))
