/**
 * The service put together: an SSH server whose connections get pods of a cluster.
 */
import { type ClusterSource, type KubernetesOptions, layer as kubernetesLayer } from "@kuberun/kubernetes"
import * as Ssh from "@kuberun/ssh"
import { Effect, Layer, type Redacted, Ref } from "effect"
import { type ClusterError, type Config, Kuberun, type SshConnection } from "kuberun"
import * as Authentication from "./Authentication.ts"
import { format, type ListenAddress } from "./ListenAddress.ts"
import type { Remains } from "./Shutdown.ts"
import { type StartError, startError } from "./StartError.ts"

/** All that the service needs to know. */
export interface ServiceSettings {
  readonly listen: ListenAddress
  readonly hostKeys: ReadonlyArray<Redacted.Redacted<string>>
  readonly credentials: Authentication.Credentials
  readonly config: Config
  readonly cluster: ClusterSource
  /** What the configuration says of calls to a cluster that it does not name itself. */
  readonly calls: KubernetesOptions
  /** What a person can do about pods that were left, by their names. */
  readonly advice: (names: ReadonlyArray<string>) => string
  /** Runs once connections are welcome, with the address that is really listened on. */
  readonly announce: (address: ListenAddress) => Effect.Effect<void>
}

/** Tells what is still there; nothing before the service has started. */
export type Status = Ref.Ref<Effect.Effect<Remains>>

export const makeStatus: Effect.Effect<Status> = Ref.make(
  Effect.succeed<Remains>({ connections: 0, pods: [], advice: "" })
)

/** What is still there now. */
export const remains = (status: Status): Effect.Effect<Remains> => Effect.flatten(Ref.get(status))

const listenTrouble = (listen: ListenAddress) => (error: Ssh.SshServerError): StartError => {
  switch (error.reason) {
    case "AddressInUse":
      return startError(
        "Listen",
        `cannot listen on ${format(listen)}: another program does already. Stop it, or take a free port with --listen ${
          format({ ...listen, port: 0 })
        }`
      )
    case "BadHostKey":
      return startError("HostKey", error.message)
    default:
      return startError("Listen", error.message)
  }
}

const clusterTrouble = (error: ClusterError): StartError => startError("Cluster", error.message)

const logCiphers = Ssh.nativeCiphersLoaded
  ? Effect.logInfo("native cipher addon loaded")
  : Effect.logWarning(
    "native cipher addon not loaded: everything works, at about a third of the throughput. " +
      "It is built on install where python3, make and a C++ compiler are present: install them, then run npm rebuild"
  )

/** Runs until it is interrupted. By then every connection has ended and its pod was asked to go. */
export const run = (
  settings: ServiceSettings,
  status: Status
): Effect.Effect<never, StartError> =>
  Effect.gen(function*() {
    yield* logCiphers
    const services = yield* Layer.build(
      Kuberun.layer(settings.config).pipe(
        Layer.provide(kubernetesLayer(settings.cluster, settings.calls)),
        Layer.merge(Authentication.layer(settings.credentials))
      )
    ).pipe(Effect.mapError(clusterTrouble))
    return yield* serve(settings, status).pipe(Effect.provideContext(services))
  }).pipe(Effect.scoped)

/** The connection's two lines in the log, in whose fields the library's entries about it stand as well. */
const logged = (connection: SshConnection, handled: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.logInfo(`logged in from ${connection.remoteAddress}`).pipe(
    Effect.andThen(handled),
    Effect.ensuring(Effect.logInfo("connection ended")),
    Effect.annotateLogs({ connectionId: connection.id, user: connection.username })
  )

const serve = (settings: ServiceSettings, status: Status) =>
  Effect.gen(function*() {
    const kuberun = yield* Kuberun
    yield* Ref.set(
      status,
      Effect.map(kuberun.status, ({ connections, pods }) => ({
        connections,
        pods: pods.map((pod) => `${pod.namespace}/${pod.name}`),
        advice: settings.advice(pods.map((pod) => pod.name))
      }))
    )
    const server = yield* Ssh.make({ ...settings.listen, hostKeys: settings.hostKeys }).pipe(
      Effect.mapError(listenTrouble(settings.listen))
    )
    yield* Effect.logInfo(`listening on ${format(server.address)}`)
    yield* settings.announce(server.address)
    return yield* server.run((connection) => logged(connection, kuberun.handle(connection)))
  })
