/**
 * `kuberun minicluster`: the embedded cluster alone, for hands.
 */
import { generateKey } from "@kuberun/ssh"
import { Console, Effect } from "effect"
import * as ConfigFile from "./ConfigFile.ts"
import * as EmbeddedCluster from "./EmbeddedCluster.ts"
import { isLoopback, type ListenAddress } from "./ListenAddress.ts"
import { shellWord } from "./ShellWord.ts"
import * as StateFolder from "./StateFolder.ts"

/** What was said on the command line. Paths are absolute. */
export interface ClusterOptions {
  readonly workingFolder: string
  readonly listen: ListenAddress
  readonly kubeconfigOut: string | undefined
  readonly hostPath: string | undefined
  readonly faults: string | undefined
}

export const ending = "ending the cluster with its pods"

/** Runs until it is interrupted, and says when nothing of it is left. */
export const run = Effect.fn("ClusterCommand.run")(
  function*({ faults, hostPath, kubeconfigOut, listen, workingFolder }: ClusterOptions) {
    const path = kubeconfigOut ?? (yield* StateFolder.open(workingFolder, generateKey)).miniclusterKubeconfigPath
    const plan = faults === undefined
      ? undefined
      : yield* ConfigFile.read(faults, "the plan of faults", "seed, rules, nodeLost and evict")
    if (!isLoopback(listen.host)) {
      yield* Effect.logWarning("other machines can connect, and whoever has the kubeconfig runs programs as you")
    }
    yield* EmbeddedCluster.start(path, {
      ...listen,
      ...hostPath === undefined ? {} : { hostPath },
      ...plan === undefined ? {} : { faults: plan }
    })
    // Absolute: a shell keeps it when it goes to another folder.
    yield* Console.log(`export KUBECONFIG=${shellWord(path)}`)
    return yield* Effect.never
  },
  Effect.scoped,
  Effect.onInterrupt(() => Effect.logInfo("the cluster has ended, and its pods with it"))
)
