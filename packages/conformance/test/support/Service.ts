/**
 * The running service as a test's client sees it: `kuberun dev` in a process of its own, and a shell to drive it with
 * the real OpenSSH client.
 *
 * By default the pods are the embedded cluster's. `KUBERUN_TEST_KUBECONFIG` names a kubeconfig of another cluster, and
 * `KUBERUN_TEST_IMAGE` an image with `sh` and the usual tools for it.
 */
import { CoreV1Api, KubeConfig, type V1Pod } from "@kubernetes/client-node"
import { Process } from "@kuberun/testkit"
import { Effect, Schedule, type Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface ServiceOptions {
  /** Left out: `KUBERUN_TEST_IMAGE`, or any name that works. */
  readonly image?: string
  /** Further keys of the configuration's `pod`. */
  readonly pod?: Readonly<Record<string, unknown>>
  /** The configuration's `timeout`. */
  readonly timeout?: string
  /** Further keys of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly flags?: ReadonlyArray<string>
  /** Another cluster than the one for all tests. */
  readonly kubeconfig?: string
}

export interface Service {
  readonly process: Process.RunningProcess
  /** A private folder: the working folder of the service and of every script. */
  readonly folder: string
  readonly kubeconfig: string
  /**
   * Starts a shell script in the folder. In it `$SSH` is the client with everything but the command, `ssh $SSH_OPTIONS`
   * the same for any user, `$SCP` is scp with its options and `$HOST` its target, `$SFTP` likewise.
   */
  readonly script: (text: string, stdin?: "open") => Effect.Effect<Process.RunningProcess, never, Scope.Scope>
  /** Runs a shell script to its end. */
  readonly run: (text: string) => Effect.Effect<{ readonly code: unknown; readonly out: string; readonly err: string }>
  /** The pods of ours that exist, by name. */
  readonly pods: Effect.Effect<ReadonlyArray<PodSeen>>
  /** Deletes a pod from outside. */
  readonly deletePod: (pod: PodSeen) => Effect.Effect<unknown>
  /** Waits until no pod of ours is left. */
  readonly podsGone: Effect.Effect<void>
}

export interface PodSeen {
  readonly name: string
  readonly namespace: string
  readonly user: string
  readonly connection: string
  readonly phase: string
}

const patience = { schedule: Schedule.spaced("100 millis"), times: 700 } as const

/** Asks again until `holds`, for seventy seconds at most; then whoever asked has to say what is wrong with the answer. */
export const eventually = <A>(ask: Effect.Effect<A>, holds: (answer: A) => boolean): Effect.Effect<A> =>
  Effect.repeat(ask, { ...patience, until: holds })

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-conformance-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** The cluster's own API, by the client library of its project. */
const apiOf = (kubeconfig: string): CoreV1Api => {
  const config = new KubeConfig()
  config.loadFromFile(kubeconfig)
  return config.makeApiClient(CoreV1Api)
}

const seen = (pod: V1Pod): PodSeen => ({
  name: pod.metadata?.name ?? "",
  namespace: pod.metadata?.namespace ?? "",
  user: pod.metadata?.labels?.["containerssh_username"] ?? "",
  connection: pod.metadata?.labels?.["containerssh_connection_id"] ?? "",
  phase: pod.status?.phase ?? ""
})

export const start = Effect.fn("Service.start")(function*(options: ServiceOptions = {}) {
  const folder = yield* temporaryFolder
  const image = options.image ?? process.env["KUBERUN_TEST_IMAGE"] ?? "busybox"
  // Images that fail on purpose are the embedded cluster's alone.
  const everywhere = image.startsWith("kuberun.test/") ? undefined : process.env["KUBERUN_TEST_KUBECONFIG"]
  const otherCluster = options.kubeconfig ?? everywhere
  writeFileSync(
    join(folder, "kuberun.json"),
    JSON.stringify({
      pod: { podSpec: { containers: [{ name: "shell", image }], terminationGracePeriodSeconds: 1 }, ...options.pod },
      timeout: options.timeout ?? "60s",
      ...options.config
    })
  )
  const running = yield* Process.kuberun([
    "dev",
    "--listen",
    "127.0.0.1:0",
    "--config",
    join(folder, "kuberun.json"),
    ...(otherCluster === undefined ? [] : ["--kubeconfig", otherCluster]),
    ...(options.flags ?? [])
  ], { cwd: folder })
  const [, port = ""] = yield* running.stdoutMatch(/^ready: ssh .*-p (\d+) .*$/m)
  const kubeconfig = otherCluster ?? join(folder, ".kuberun/kubeconfig")
  return service({ process: running, folder, kubeconfig, port, key: ".kuberun/client_key" })
})

/** A process that listens on `port`, as its clients see it. They log in with `key`, a file in the folder. */
export const service = (
  { folder, key, kubeconfig, port, process: running }: Pick<Service, "process" | "folder" | "kubeconfig"> & {
    readonly port: string
    readonly key: string
  }
): Service => {
  const always = [
    "-F /dev/null",
    `-i ${key}`,
    "-o IdentitiesOnly=yes",
    "-o StrictHostKeyChecking=no",
    "-o UserKnownHostsFile=/dev/null",
    "-o LogLevel=ERROR",
    "-o BatchMode=yes"
  ].join(" ")
  const env = {
    SSH: `ssh ${always} -p ${port} demo@127.0.0.1`,
    SSH_OPTIONS: `${always} -p ${port}`,
    SCP: `scp -O ${always} -P ${port}`,
    SFTP: `sftp -b - ${always} -P ${port} demo@127.0.0.1`,
    HOST: "demo@127.0.0.1",
    KUBECONFIG: kubeconfig,
    LC_ALL: "C.UTF-8"
  }
  const script: Service["script"] = (text, stdin) =>
    Process.start("/bin/bash", ["-c", text], { cwd: folder, env, ...(stdin === undefined ? {} : { stdin }) })
  const api = apiOf(kubeconfig)
  const pods = Effect.promise(() =>
    api.listPodForAllNamespaces({ labelSelector: "app.kubernetes.io/managed-by=kuberun" })
  ).pipe(Effect.map((list) => list.items.map(seen)))
  return {
    process: running,
    folder,
    kubeconfig,
    script,
    run: (text) =>
      Effect.scoped(Effect.gen(function*() {
        const ran = yield* script(text)
        const code = yield* ran.exit
        return { code, out: yield* ran.stdout, err: yield* ran.stderr }
      })),
    pods,
    deletePod: ({ name, namespace }) => Effect.promise(() => api.deleteNamespacedPod({ name, namespace })),
    podsGone: eventually(pods, (left) => left.length === 0).pipe(
      Effect.flatMap((left) =>
        left.length === 0 ? Effect.void : Effect.die(new Error(`pods were left: ${JSON.stringify(left)}`))
      )
    )
  }
}
