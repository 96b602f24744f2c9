/**
 * `kuberun dev`: the embedded cluster and the SSH server in one process, ready to be tried.
 */
import type { ClusterSource } from "@kuberun/kubernetes"
import { generateKey } from "@kuberun/ssh"
import { Console, Effect, FileSystem, Path, type Redacted } from "effect"
import type { Credentials } from "./Authentication.ts"
import * as ConfigFile from "./ConfigFile.ts"
import * as EmbeddedCluster from "./EmbeddedCluster.ts"
import { hostName, knowsAnotherKey } from "./KnownHosts.ts"
import { deletionAdvice, type KubectlTarget } from "./Kubectl.ts"
import { isLoopback, type ListenAddress, reachableHost } from "./ListenAddress.ts"
import { kubectlLine, type Login, readyLine, typedPath } from "./ReadyLine.ts"
import * as Service from "./Service.ts"
import * as Settings from "./Settings.ts"
import { shellWord } from "./ShellWord.ts"
import * as StateFolder from "./StateFolder.ts"

/** What was said on the command line. Paths are absolute. */
export interface DevOptions {
  readonly workingFolder: string
  readonly listen: ListenAddress
  readonly authorizedKeys: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
  readonly hostKey: string | undefined
  readonly kubeconfigOut: string | undefined
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
  readonly config: string | undefined
}

/** Whether another cluster than the embedded one is meant. */
export const usesOtherCluster = (options: Pick<DevOptions, "kubeconfig" | "context">): boolean =>
  options.kubeconfig !== undefined || options.context !== undefined

/** Who gets in, and how: with the state folder's key unless keys or a password were given. */
const login = Effect.fn(function*(options: DevOptions, folder: StateFolder.StateFolder) {
  const given = yield* Settings.credentials(options)
  if (Settings.letSomebodyIn(given)) {
    const login: Login = { _tag: "Own" }
    return { credentials: given, login }
  }
  const { path, publicKey } = yield* folder.clientKey
  const credentials: Credentials = { keys: [yield* Settings.keyOfPublicFile(`${path}.pub`, publicKey)] }
  const login: Login = { _tag: "ClientKey", path: typedPath(options.workingFolder, path) }
  return { credentials, login }
})

/** Says so when `ssh` will refuse the printed line because it knows another key for this address. */
const warnOfStaleHostKey = Effect.fn("Dev.warnOfStaleHostKey")(function*(
  hostKeyPublicFile: string,
  address: ListenAddress
) {
  const fileSystem = yield* FileSystem.FileSystem
  const home = process.env["HOME"]
  if (home === undefined) return
  const knownHosts = yield* fileSystem.readFileString(`${home}/.ssh/known_hosts`)
  const publicKey = yield* fileSystem.readFileString(hostKeyPublicFile)
  const asConnected = { ...address, host: reachableHost(address.host) }
  if (!knowsAnotherKey(knownHosts, asConnected, publicKey)) return
  const name = hostName(asConnected)
  yield* Effect.logWarning(
    `your known_hosts has another key for ${name}, so that ssh will refuse to connect. ` +
      `Forget the old one with: ssh-keygen -R ${shellWord(name)}`
  )
}, (effect) => Effect.ignore(effect))

/** What was asked for and has no effect, or more than one may think. */
export const warnings = (options: DevOptions, raw: ConfigFile.RawConfig): ReadonlyArray<string> => [
  ...ConfigFile.namesOtherCluster(raw)
    ? [
      `the key connection of ${options.config} is not used, but for qps, burst and timeout: kuberun dev has a cluster ` +
      "of its own, or takes that of --kubeconfig; kuberun serve uses the key"
    ]
    : [],
  ...usesOtherCluster(options) && options.kubeconfigOut !== undefined
    ? ["--kubeconfig-out has no effect: there is no embedded cluster with --kubeconfig or --context"]
    : [],
  ...!usesOtherCluster(options) && !isLoopback(options.listen.host)
    ? ["other machines can connect, and whoever can log in runs programs of this machine as you"]
    : []
]

/** The cluster to use, and how a person reaches it with kubectl. Starts the embedded one when it is meant. */
const openCluster = Effect.fn(function*(options: DevOptions, folder: StateFolder.StateFolder, namespace: string) {
  const typed = (path: string) => typedPath(options.workingFolder, path)
  if (usesOtherCluster(options)) {
    const { context, kubeconfig } = options
    const source: ClusterSource = { _tag: "KubeconfigFile", path: kubeconfig, context }
    const target: KubectlTarget = {
      kubeconfig: kubeconfig === undefined ? undefined : typed(kubeconfig),
      context,
      namespace
    }
    return { source, target, advice: deletionAdvice(target) }
  }
  const path = options.kubeconfigOut ?? folder.kubeconfigPath
  const { kubeconfig } = yield* EmbeddedCluster.start(path)
  const source: ClusterSource = { _tag: "Kubeconfig", text: kubeconfig }
  return { source, target: { kubeconfig: typed(path), namespace }, advice: EmbeddedCluster.leftPodsAdvice }
})

/** Runs until it is interrupted. */
export const run = Effect.fn("Dev.run")(function*(options: DevOptions, status: Service.Status) {
  const paths = yield* Path.Path
  const fileSystem = yield* FileSystem.FileSystem
  const folder = yield* StateFolder.open(options.workingFolder, generateKey)
  const raw = options.config === undefined ? {} : yield* ConfigFile.read(options.config)
  yield* Effect.forEach(warnings(options, raw), (warning) => Effect.logWarning(warning), { discard: true })
  const podDefaults = usesOtherCluster(options) ? {} : yield* EmbeddedCluster.podDefaults
  const config = yield* ConfigFile.decode(options.config, raw, podDefaults)
  const { credentials, login: how } = yield* login(options, folder)
  const hostKey = options.hostKey === undefined ? folder.hostKey : Settings.hostKeyFile(options.hostKey)
  const hostKeys = [yield* hostKey]
  const { advice, source, target } = yield* openCluster(options, folder, config.pod.namespace)

  const hostKeyPublicFile = `${options.hostKey ?? paths.join(folder.path, "host_key")}.pub`
  const announce = (address: ListenAddress) =>
    warnOfStaleHostKey(hostKeyPublicFile, address).pipe(
      Effect.provideService(FileSystem.FileSystem, fileSystem),
      Effect.andThen(Console.log(readyLine(address, how))),
      Effect.andThen(Console.log(kubectlLine(target)))
    )
  return yield* Service.run(
    {
      listen: options.listen,
      hostKeys,
      credentials,
      config,
      cluster: source,
      calls: ConfigFile.calls(raw, config),
      advice,
      announce
    },
    status
  )
}, Effect.scoped)
