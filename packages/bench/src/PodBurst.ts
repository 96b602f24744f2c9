/**
 * Many pods at once in an embedded cluster, with many who watch: what each pod costs, and each event.
 *
 * The cluster has a process of its own, whose CPU time is measured; calls and watchers are in this one. Both share the
 * machine's cores, so the times by the clock are those of a cluster with a busy neighbour.
 */
import { Effect, Schedule } from "effect"
import { performance } from "node:perf_hooks"
import { type ApiCallError, countLines, lines, makeApiClient } from "./ApiClient.ts"
import { type Child, ChildError, startChild } from "./Child.ts"
import { type Usage } from "./Protocol.ts"

export interface BurstOptions {
  readonly pods: number
  readonly watchers: number
}

/** Of one stretch: all times in milliseconds. */
export interface Stretch {
  readonly millis: number
  /** The cluster's process alone. */
  readonly cpuMillis: number
  /** What it started: shells, mounts and the pods' own programs. */
  readonly childrenCpuMillis: number
  /** Watch events that were delivered, over all watchers. */
  readonly events: number
}

export interface Burst extends BurstOptions {
  readonly start: Stretch
  /** `changes` patches of the pods' annotations while they run: nothing but calls and events. */
  readonly changes: Stretch
  readonly deletion: Stretch
  /** The cluster's process, before the pods, and with all of them running. */
  readonly residentBytes: { readonly before: number; readonly running: number }
}

const pods = "/api/v1/namespaces/default/pods"
/** Idles until it is asked to end, and ends at once then. */
const pod = (name: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { terminationGracePeriodSeconds: 30, containers: [{ name: "main", image: "busybox" }] }
})

/** So many that the events outweigh what is not measured exactly, over all pods in turn. */
export const changes = 2000

/** For the slowest of them: a wait that is longer is a fault, and told as one. */
const patience = "10 minutes"

const until = (holds: () => boolean, what: string): Effect.Effect<void, ChildError> =>
  Effect.sync(holds).pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (held) => held }),
    Effect.timeoutOrElse({ duration: patience, orElse: () => new ChildError({ message: `${what}: it never came` }) }),
    Effect.asVoid
  )

const usageOf = (child: Child): Effect.Effect<Usage, ChildError> =>
  Effect.flatMap(
    Effect.andThen(child.ask, child.told),
    (told) => told._tag === "Usage" ? Effect.succeed(told.usage) : new ChildError({ message: `it told ${told._tag}` })
  )

/** A cluster that has run a few pods already, so that compiling its code is no part of what is measured. */
const warmCluster = Effect.gen(function*() {
  const child = yield* startChild("./ClusterMain.ts")
  const told = yield* child.told
  if (told._tag !== "Ready") return yield* new ChildError({ message: `it told ${told._tag}` })
  const api = yield* makeApiClient(told.kubeconfig)
  return { api, child, notes: told.notes }
})

type Cluster = Effect.Success<typeof warmCluster>

/** The watchers of all pods: what the first of them has read, and how many events each was given. */
const watchPods = Effect.fnUntraced(function*({ api }: Cluster, watchers: number) {
  const phases = new Map<string, string>()
  const counts = Array.from({ length: watchers }, () => 0)
  const take = lines((line) => {
    const { object, type } = JSON.parse(line) as {
      readonly type: string
      readonly object: { readonly metadata: { readonly name: string }; readonly status: { readonly phase: string } }
    }
    if (type === "DELETED") phases.delete(object.metadata.name)
    else phases.set(object.metadata.name, object.status.phase)
  })
  yield* Effect.forEach(counts.keys(), (index) =>
    api.watch(`${pods}?watch=1`, (bytes) => {
      counts[index] = (counts[index] ?? 0) + countLines(bytes)
      if (index === 0) take(bytes)
    }), { concurrency: 8, discard: true })
  return {
    running: () => Array.from(phases.values()).filter((phase) => phase === "Running").length,
    there: () => phases.size,
    events: () => counts.reduce((sum, count) => sum + count, 0),
    even: () => counts.every((count) => count === counts[0])
  }
})

const burst = Effect.fnUntraced(function*(cluster: Cluster, { pods: amount, watchers }: BurstOptions) {
  const { api, child } = cluster
  const watch = yield* watchPods(cluster, watchers)
  const names = Array.from({ length: amount }, (_, index) => `pod-${index}`)
  const stretch = Effect.fnUntraced(function*(each: Effect.Effect<unknown, ApiCallError>, over: () => boolean) {
    const [before, events, began] = [yield* usageOf(child), watch.events(), performance.now()]
    yield* each
    yield* until(over, `${amount} pods`)
    const millis = performance.now() - began
    yield* until(watch.even, "the same events for all watchers")
    const after = yield* usageOf(child)
    return {
      before,
      after,
      stretch: {
        millis,
        cpuMillis: after.cpuMillis - before.cpuMillis,
        childrenCpuMillis: after.childrenCpuMillis - before.childrenCpuMillis,
        events: watch.events() - events
      } satisfies Stretch
    }
  })
  const all = (call: (name: string) => Effect.Effect<unknown, ApiCallError>) =>
    Effect.forEach(names, call, { concurrency: "unbounded", discard: true })
  const start = yield* stretch(
    all((name) => api.call("POST", pods, pod(name))),
    () => watch.running() === amount
  )
  const patches = Array.from({ length: changes }, (_, index) => [names[index % amount] ?? "", String(index)] as const)
  const changed = yield* stretch(
    Effect.forEach(
      patches,
      ([name, note]) => api.call("PATCH", `${pods}/${name}`, { metadata: { annotations: { note } } }),
      { concurrency: "unbounded", discard: true }
    ),
    () => true
  )
  const deletion = yield* stretch(
    all((name) => api.call("DELETE", `${pods}/${name}`)),
    () => watch.there() === 0
  )
  return {
    pods: amount,
    watchers,
    start: start.stretch,
    changes: changed.stretch,
    deletion: deletion.stretch,
    residentBytes: { before: start.before.residentBytes, running: start.after.residentBytes }
  } satisfies Burst
}, Effect.scoped)

const warmUp: BurstOptions = { pods: 60, watchers: 20 }

/** One burst in a cluster of its own. */
export const measureBurst = (
  options: BurstOptions
): Effect.Effect<{ readonly burst: Burst; readonly notes: ReadonlyArray<string> }, ApiCallError | ChildError> =>
  Effect.scoped(Effect.gen(function*() {
    const cluster = yield* warmCluster
    yield* burst(cluster, warmUp)
    return { burst: yield* burst(cluster, options), notes: cluster.notes }
  }))
