/**
 * The cluster of `kuberun dev` and `kuberun minicluster`: minicluster in this process, whose pods are local processes,
 * and the pod that `kuberun dev` runs when nothing else is said.
 */
import type { MiniclusterOptions } from "@kuberun/minicluster"
import { Effect, FileSystem, Redacted } from "effect"
import { connect } from "node:net"
import type { RawConfig } from "./ConfigFile.ts"
import { startError } from "./StartError.ts"
import { writePrivate } from "./StateFolder.ts"

/** Loaded when it is needed: `kuberun serve` has no use for it. */
const minicluster = Effect.promise(() => import("@kuberun/minicluster"))

/** Whether something listens there. */
const isListening = (host: string, port: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ host, port })
    socket.once("connect", () => resume(Effect.succeed(true)))
    socket.once("error", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.succeed(false) }))

/** Another cluster that runs must not lose the only file that leads to it. */
const refuseRunning = Effect.fn(function*(kubeconfigPath: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const text = yield* fileSystem.readFileString(kubeconfigPath).pipe(Effect.orElseSucceed(() => ""))
  const [, url = ""] = /^ +server: (https:\S+)$/m.exec(text) ?? []
  if (!URL.canParse(url)) return
  const { hostname, port } = new URL(url)
  if (!(yield* isListening(hostname.replace(/^\[(.*)\]$/, "$1"), Number(port)))) return
  return yield* startError(
    "Cluster",
    `${kubeconfigPath} is the kubeconfig of a cluster that runs, at ${url}. Stop that one, or say another file with --kubeconfig-out.`
  )
})

/** Starts the cluster, which lives as long as the scope, and writes its kubeconfig to a file. */
export const start = Effect.fn("EmbeddedCluster.start")(
  function*(kubeconfigPath: string, options: MiniclusterOptions = {}) {
    yield* refuseRunning(kubeconfigPath)
    const { make } = yield* minicluster
    const cluster = yield* make(options).pipe(Effect.mapError((error) => startError("Cluster", error.message)))
    yield* writePrivate(kubeconfigPath, cluster.kubeconfig)
    yield* Effect.logInfo(`embedded cluster at ${cluster.url}: its pods are processes of this machine`)
    yield* Effect.forEach(cluster.isolation, (sentence) => Effect.logInfo(sentence), { discard: true })
    return { kubeconfig: Redacted.make(cluster.kubeconfig) }
  }
)

/** What a person can do about its pods. */
export const leftPodsAdvice = (): string =>
  "The embedded cluster's pods are processes of this machine, and end with it."

/** Any name runs the programs of this machine; this one people know. */
const defaultImage = "busybox"

/** Where the distributions keep OpenSSH's sftp-server: Debian, Fedora, Arch, Alpine, macOS. */
const sftpServers = [
  "/usr/lib/openssh/sftp-server",
  "/usr/libexec/openssh/sftp-server",
  "/usr/lib/ssh/sftp-server",
  "/usr/libexec/sftp-server"
]

const firstPresent = Effect.fn(function*(candidates: ReadonlyArray<string>) {
  const fileSystem = yield* FileSystem.FileSystem
  for (const candidate of candidates) {
    if (yield* fileSystem.exists(candidate).pipe(Effect.orElseSucceed(() => false))) return candidate
  }
  return undefined
})

/** The keys of `pod` as they are when the configuration leaves them out: what a pod of local programs can run. */
export const podDefaults: Effect.Effect<RawConfig, never, FileSystem.FileSystem> = Effect.gen(function*() {
  const bash = yield* firstPresent(["/bin/bash"])
  const sftpServer = yield* firstPresent(sftpServers)
  return {
    podSpec: { containers: [{ name: "shell", image: defaultImage }] },
    shellCommand: [bash ?? "/bin/sh"],
    ...sftpServer === undefined ? {} : { subsystems: { sftp: sftpServer } }
  }
})
