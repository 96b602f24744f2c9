/** A node with its scheduler and no API server: pods are put straight into the store. */
import { Clock, Effect, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeNamespaces } from "../../src/api/Controllers.ts"
import { makeEvents } from "../../src/api/Events.ts"
import { makeStore } from "../../src/api/Store.ts"
import { makeKubelet } from "../../src/node/Kubelet.ts"
import { makeNode, nodeName } from "../../src/node/Node.ts"
import { startScheduler } from "../../src/node/Scheduler.ts"
import { detectIsolation } from "../../src/runtime/Isolation.ts"
import { type ContainerStatus, type Pod, type PodSpec, timestamp } from "../../src/shapes/Objects.ts"

/** A script that ends when it is asked to, with `code`; `isUp` waits until it would. */
export const idle = (name: string, code = 0) =>
  `trap 'exit ${code}' TERM; touch up-${name}; while :; do sleep 60 & wait; done`
export const isUp = (
  name: string,
  then = "true"
) => ["sh", "-c", `while [ ! -e up-${name} ]; do sleep 0.01; done; ${then}`]

export const container = (name: string, script = idle(name), more: object = {}) => ({
  name,
  image: "busybox:1.36",
  imagePullPolicy: "IfNotPresent",
  command: ["sh", "-c", script],
  ...more
})

export const podOf = (name: string, spec: Partial<PodSpec>, namespace = "default"): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, uid: randomUUID(), resourceVersion: "", creationTimestamp: timestamp(0) },
  spec: { restartPolicy: "Always", terminationGracePeriodSeconds: 30, containers: [container("main")], ...spec },
  status: { phase: "Pending", qosClass: "BestEffort" }
})

/** The status of a pod's container, whichever list it is in. */
export const statusOf = ({ status }: Pod, name: string): ContainerStatus | undefined =>
  [status.containerStatuses, status.initContainerStatuses, status.ephemeralContainerStatuses]
    .flatMap((list) => list ?? []).find((one) => one.name === name)

export const conditionOf = ({ status }: Pod, type: string) => status.conditions?.find((one) => one.type === type)

/** "waiting:Reason", "running" or "terminated:Reason:code". */
export const stateOf = (pod: Pod, name: string): string => {
  const { running, terminated, waiting } = statusOf(pod, name)?.state ?? {}
  if (waiting !== undefined) return `waiting:${waiting.reason}`
  if (terminated !== undefined) return `terminated:${terminated.reason}:${terminated.exitCode}`
  return running === undefined ? "" : "running"
}

export const isReady = (pod: Pod): boolean => conditionOf(pod, "Ready")?.status === "True"

/** With a store that remembers so many changes. */
export const makeTestNodeWith = Effect.fnUntraced(function*(historyLimit?: number) {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "test-node-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const store = yield* makeStore(historyLimit)
  const events = makeEvents(store)
  yield* makeNamespaces(store, "")
  yield* store.create("nodes", makeNode(yield* Clock.currentTimeMillis))
  yield* startScheduler(store, events)
  const kubelet = yield* makeKubelet({
    store,
    events,
    isolation: yield* detectIsolation(true),
    directory,
    claims: join(directory, "claims"),
    hostPath: undefined,
    environment: {},
    token: () => Effect.succeed("token"),
    authority: ""
  })
  const get = (name: string) => store.get("pods", "default", name)
  const change = (name: string, edit: (pod: Pod) => Pod) => store.update("pods", "default", name, edit)
  const eventually = <A>(effect: Effect.Effect<A>, holds: (value: A) => boolean, what: string) =>
    effect.pipe(
      Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: holds }),
      Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.die(new Error(`${what} never became it`)) })
    )
  const until = (name: string, holds: (pod: Pod) => boolean) => eventually(Effect.orDie(get(name)), holds, name)
  const gone = (name: string) =>
    eventually(Effect.option(get(name)), ({ _tag }) => _tag === "None", `${name}, to be gone,`)
  /** "Reason message" of each of a pod's events, in order. */
  const eventsOf = (name: string) =>
    Effect.map(
      store.list("events", "default"),
      ({ items }) =>
        items.filter(({ involvedObject }) => involvedObject["name"] === name)
          .map(({ message, reason }) => `${reason} ${message}`)
    )
  return {
    store,
    kubelet,
    get,
    change,
    until,
    gone,
    eventually,
    eventsOf,
    create: (name: string, spec: Partial<PodSpec> = {}) => store.create("pods", podOf(name, spec)),
    /** As the API server marks it. */
    remove: (name: string, seconds = 30) =>
      change(name, (pod) => ({
        ...pod,
        metadata: { ...pod.metadata, deletionTimestamp: timestamp(0), deletionGracePeriodSeconds: seconds }
      })),
    forceRemove: (name: string) => store.remove("pods", "default", name),
    /** Each state that a pod is written in from now on, as `say` tells it; neighbours that say the same are one. */
    history: Effect.fnUntraced(function*(name: string, say: (pod: Pod) => string) {
      const said: Array<string> = []
      const feed = yield* Effect.orDie(Effect.flatMap(store.version, store.follow))
      yield* Effect.forkScoped(Effect.forever(Effect.map(Effect.orDie(feed.next), (changes) => {
        for (const { object, resource, type } of changes) {
          if (resource !== "pods" || object.metadata.name !== name) continue
          const text = type === "DELETED" ? "gone" : say(object as Pod)
          if (said.at(-1) !== text) said.push(text)
        }
      })))
      return said
    }),
    nodeName
  }
})

export const makeTestNode = Effect.suspend(() => makeTestNodeWith())
