// Another backend than Kubernetes behind the `Cluster` port: a pod is a folder of this machine and the processes that
// were started in it. No cluster, no image, no isolation: whoever logs in has your rights. It is to show the port.
//
//   npx node --conditions=@kuberun/source packages/service/examples/local-processes.ts
import * as NodeSink from "@effect/platform-node/NodeSink"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Ssh from "@kuberun/ssh"
import { Deferred, Effect, Layer, Redacted, Stream, SubscriptionRef } from "effect"
import {
  accepted,
  AlreadyExists,
  Authenticator,
  Cluster,
  ClusterError,
  type ClusterErrorReason,
  Conflict,
  decodeConfig,
  type ExecExit,
  type ExecRequest,
  Kuberun,
  NotFound,
  type Output,
  type Pod,
  type PodEvent,
  type PodManifest,
  type PodRef,
  rejected,
  stderr,
  stdout,
  StreamLost,
  Unsupported
} from "kuberun"
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes, randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { constants, tmpdir } from "node:os"
import { join } from "node:path"

interface LocalPod {
  readonly pod: Pod
  readonly folder: string
  readonly processes: Set<ChildProcess>
}

const fail = (operation: string, reason: ClusterErrorReason) => Effect.fail(new ClusterError({ operation, reason }))
const unsupported = (operation: string) => () =>
  fail(operation, new Unsupported({ detail: `local processes cannot ${operation}` }))

// A pod is ready as soon as it exists: there is nothing to schedule and nothing to pull.
const started = ({ metadata, spec }: PodManifest): Pod => ({
  metadata: { ...metadata, uid: randomUUID(), creationTimestamp: new Date().toISOString() },
  spec,
  status: {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True" }],
    containerStatuses: spec.containers.map(({ name }) => ({ name, ready: true, state: { running: {} } }))
  }
})

// A process leads a group of its own, so that its children end with it.
const kill = (child: ChildProcess) => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  } catch {
    // It is gone already, and nobody of its group is left.
  }
}

const remove = ({ folder, processes }: LocalPod) =>
  Effect.sync(() => {
    for (const child of processes) kill(child)
    rmSync(folder, { recursive: true, force: true })
  })

const exitOf = (child: ChildProcess, done: Deferred.Deferred<ExecExit>) => {
  const tell = (exit: ExecExit) => Deferred.doneUnsafe(done, Effect.succeed(exit))
  child.once("error", (error) => tell({ _tag: "NotStarted", detail: error.message }))
  // What a container runtime says of a program that a signal ended.
  child.once(
    "close",
    (code, signal) => tell({ _tag: "Exited", code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]) })
  )
}

const exec = Effect.fnUntraced(function*({ folder, processes }: LocalPod, { command, terminal }: ExecRequest) {
  const lost = (error: unknown) =>
    new ClusterError({ operation: "exec", reason: new StreamLost({ detail: String(error) }) })
  if (terminal !== undefined) return yield* unsupported("give you a terminal: run ssh with a command")()
  const done = yield* Deferred.make<ExecExit>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const [file = "", ...rest] = command
      const env = { PATH: process.env["PATH"], HOME: folder }
      const child = spawn(file, rest, { cwd: folder, env, detached: true })
      processes.add(child)
      child.once("close", () => processes.delete(child))
      exitOf(child, done)
      return child
    }),
    // The end of an exec is the end of its streams; the program goes on, as in Kubernetes, until kuberun or its pod ends it.
    (child) =>
      Effect.sync(() => {
        for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
      })
  )
  const output = (source: NodeJS.ReadableStream, tag: (bytes: Uint8Array) => Output) =>
    Stream.map(
      NodeStream.fromReadable<Uint8Array, ClusterError>({ evaluate: () => source, onError: lost, chunkSize: 8 }),
      tag
    )
  return {
    stdin: NodeSink.fromWritable<ClusterError, Uint8Array>({ evaluate: () => child.stdin, onError: lost }),
    output: Stream.merge(output(child.stdout, stdout), output(child.stderr, stderr)),
    resize: () => Effect.void,
    exit: Deferred.await(done)
  }
})

const localProcesses = Layer.effect(
  Cluster,
  Effect.gen(function*() {
    const pods = yield* SubscriptionRef.make<ReadonlyMap<string, LocalPod>>(new Map())
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(SubscriptionRef.get(pods), (left) => Effect.forEach(left.values(), remove, { discard: true }))
    )

    const find = (operation: string, { name }: PodRef) =>
      Effect.flatMap(SubscriptionRef.get(pods), (all) => {
        const found = all.get(name)
        return found === undefined
          ? fail(operation, new NotFound({ detail: `there is no pod ${name}` }))
          : Effect.succeed(found)
      })

    return Cluster.of({
      createPod: Effect.fnUntraced(function*(manifest) {
        const { name } = manifest.metadata
        const made: LocalPod = {
          pod: started(manifest),
          folder: mkdtempSync(join(tmpdir(), `${name}-`)),
          processes: new Set()
        }
        const isNew = yield* SubscriptionRef.modify(
          pods,
          (all) => all.has(name) ? [false, all] : [true, new Map(all).set(name, made)]
        )
        if (isNew) return made.pod
        yield* remove(made)
        return yield* fail("create pod", new AlreadyExists({ detail: `there is a pod ${name}` }))
      }),
      readPod: (ref) => Effect.map(find("read pod", ref), ({ pod }) => pod),
      deletePod: Effect.fnUntraced(function*(ref, { uid } = {}) {
        const found = yield* find("delete pod", ref)
        if (uid !== undefined && uid !== found.pod.metadata.uid) {
          return yield* fail("delete pod", new Conflict({ detail: "this is another pod of that name" }))
        }
        yield* SubscriptionRef.update(pods, (all) => new Map([...all].filter(([name]) => name !== ref.name)))
        yield* remove(found)
      }),
      watchPod: (ref) =>
        Stream.map(SubscriptionRef.changes(pods), (all): PodEvent => {
          const found = all.get(ref.name)
          return found === undefined ? { _tag: "Absent" } : { _tag: "Present", pod: found.pod }
        }),
      podNotices: () => Stream.never,
      exec: (request) => Effect.flatMap(find("exec", request.pod), (pod) => exec(pod, request)),
      // For pools, users' pods and claims, which mode `connection` does without.
      patchPod: unsupported("change pods"),
      listPods: unsupported("list pods"),
      watchPods: () => Stream.fromEffect(unsupported("watch pods")()),
      attach: unsupported("attach"),
      createClaim: unsupported("keep volumes"),
      createLease: unsupported("keep Leases"),
      updateLease: unsupported("keep Leases"),
      listLeases: unsupported("keep Leases"),
      deleteLease: unsupported("keep Leases")
    })
  })
)

const program = Effect.gen(function*() {
  const config = yield* decodeConfig({ pod: { shellCommand: ["/bin/sh"] } })
  const { privateKey } = yield* Ssh.generateKey("example")
  const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [privateKey] })
  yield* Effect.logInfo(`ssh -p ${server.address.port} me@127.0.0.1 'echo hello'`)
  return yield* Kuberun.use(({ handle }) => server.run(handle)).pipe(
    Effect.provide(Layer.provide(Kuberun.layer(config), localProcesses))
  )
})

// A password, since who logs in runs programs as you.
const password = process.env["PASSWORD"] ?? randomBytes(8).toString("hex")
const you = Layer.succeed(Authenticator, {
  methods: ["password"],
  authenticate: (request) =>
    Effect.succeed(request._tag === "Password" && Redacted.value(request.password) === password ? accepted : rejected)
})

Effect.runFork(
  Effect.logInfo(`password: ${password}`).pipe(
    Effect.andThen(Effect.scoped(program)),
    Effect.provide(you)
  )
)
