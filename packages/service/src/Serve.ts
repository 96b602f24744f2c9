/**
 * `kuberun serve`: the service for a cluster that is there already.
 */
import type { ClusterSource } from "@kuberun/kubernetes"
import { generateKey } from "@kuberun/ssh"
import { Effect, type Redacted } from "effect"
import type { Config } from "kuberun"
import * as ConfigFile from "./ConfigFile.ts"
import { deletionAdvice } from "./Kubectl.ts"
import type { ListenAddress } from "./ListenAddress.ts"
import * as Service from "./Service.ts"
import * as Settings from "./Settings.ts"
import { startError } from "./StartError.ts"
import * as StateFolder from "./StateFolder.ts"

/** What was said on the command line. Paths are absolute. */
export interface ServeOptions {
  readonly workingFolder: string
  readonly listen: ListenAddress
  readonly authorizedKeys: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
  readonly hostKey: string | undefined
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
  readonly config: string
}

/**
 * The cluster that is meant: a kubeconfig that was named, else the file's `connection`, else what kubectl would find,
 * which in a pod is its service account.
 */
export const clusterSource = (
  { context, kubeconfig }: Pick<ServeOptions, "kubeconfig" | "context">,
  raw: ConfigFile.RawConfig,
  config: Config
): ClusterSource =>
  kubeconfig === undefined && context === undefined && ConfigFile.namesConnection(raw)
    ? { _tag: "Connection", connection: config.connection }
    : { _tag: "KubeconfigFile", path: kubeconfig, context }

/** Runs until it is interrupted. */
export const run = Effect.fn("Serve.run")(function*(options: ServeOptions, status: Service.Status) {
  const raw = yield* ConfigFile.read(options.config)
  const config = yield* ConfigFile.decode(options.config, raw)
  const credentials = yield* Settings.credentials(options)
  if (!Settings.letSomebodyIn(credentials)) {
    return yield* startError(
      "Authentication",
      "nobody could log in: name a file of public keys with --authorized-keys FILE, or set a password"
    )
  }
  const hostKey = options.hostKey === undefined
    ? StateFolder.open(options.workingFolder, generateKey).pipe(Effect.flatMap((folder) => folder.hostKey))
    : Settings.hostKeyFile(options.hostKey)
  const { context, kubeconfig } = options
  return yield* Service.run({
    listen: options.listen,
    hostKeys: [yield* hostKey],
    credentials,
    config,
    cluster: clusterSource(options, raw, config),
    calls: ConfigFile.calls(raw, config),
    advice: deletionAdvice({ kubeconfig, context, namespace: config.pod.namespace }),
    announce: () => Effect.void
  }, status)
})
