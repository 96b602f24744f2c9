/** The node at work: each pod that was given to it has a worker here, for as long as the pod is there. */
import { Clock, Deferred, Effect, FiberMap, Latch, Scope, Semaphore } from "effect"
import { type Events } from "../api/Events.ts"
import { inform } from "../api/Informer.ts"
import { type Change, type Store } from "../api/Store.ts"
import { type RunningContainer } from "../runtime/Container.ts"
import { type ContainerLog } from "../runtime/ContainerLog.ts"
import { type Pod } from "../shapes/Objects.ts"
import { nodeName, type NodeObject, withReachability } from "./Node.ts"
import { type KubeletOptions, type NodeContext } from "./NodeContext.ts"
import { isFinal, withCondition } from "./PodStatus.ts"
import { makePodWorker, type PodWorker } from "./PodWorker.ts"

export interface Kubelet {
  /** The container's present run, or nothing while it is not running. */
  readonly running: (pod: Pod, container: string) => RunningContainer | undefined
  readonly log: (pod: Pod, container: string) => ContainerLog | undefined
  /** The node needs its room back: the pod becomes Failed, with the reason Evicted. */
  readonly evict: (pod: Pod, message: string) => Effect.Effect<void>
  /** A lost node reports nothing and hears of nothing; its containers run on. */
  readonly setNodeLost: (lost: boolean) => Effect.Effect<void>
  readonly isLost: () => boolean
}

/** More at once would only make each of them slower. */
const startsAtOnce = 8

/** An eviction by the node leaves a pod this long (`immediateEvictionGracePeriodSeconds`). */
const evictionGrace = 1

/** What a pod may wait for. */
const awaited = new Set(["configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims"])

export const makeKubelet = (options: KubeletOptions): Effect.Effect<Kubelet, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { events, store } = options
    const scope = yield* Effect.scope
    const workers = new Map<string, PodWorker>()
    const fibers = yield* FiberMap.make<string>()
    const waiting = new Map<string, Deferred.Deferred<void>>()
    const node: NodeContext = {
      ...options,
      reachable: yield* Latch.make(true),
      starts: yield* Semaphore.make(startsAtOnce),
      objectChanged: (namespace) =>
        Effect.suspend(() => {
          const change = waiting.get(namespace) ?? Deferred.makeUnsafe<void>()
          waiting.set(namespace, change)
          return Deferred.await(change)
        })
    }

    const begin = Effect.fnUntraced(function*(pod: Pod) {
      const { uid } = pod.metadata
      const own = yield* Scope.fork(scope)
      const worker = yield* makePodWorker(node, pod).pipe(Scope.provide(own))
      workers.set(uid, worker)
      yield* worker.run.pipe(
        Effect.catchCause((cause) => Effect.logError("a pod's worker failed", cause)),
        Effect.onExit((exit) => Scope.close(own, exit)),
        Effect.ensuring(Effect.sync(() => workers.delete(uid))),
        FiberMap.run(fibers, uid)
      )
      yield* worker.update(pod)
    })

    const see = (pod: Pod): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (pod.spec.nodeName !== nodeName) return Effect.void
        const worker = workers.get(pod.metadata.uid)
        if (worker !== undefined) return worker.update(pod)
        return isFinal(pod.status.phase) ? Effect.void : begin(pod)
      })

    /** In the background: the end of one pod must not keep the others waiting. */
    const forget = (uid: string) => Effect.asVoid(Effect.forkIn(FiberMap.remove(fibers, uid), scope))

    const relist = Effect.gen(function*() {
      const { items } = yield* store.list("pods", undefined)
      const there = new Set(items.map(({ metadata }) => metadata.uid))
      for (const uid of workers.keys()) if (!there.has(uid)) yield* forget(uid)
      yield* Effect.forEach(items, see, { discard: true })
    })

    const change = ({ object, resource, type }: Change): Effect.Effect<void> => {
      // A lost node hears nothing; it compares everything when it is back.
      if (!node.reachable.isOpen()) return Effect.void
      if (resource === "pods") return type === "DELETED" ? forget(object.metadata.uid) : see(object as Pod)
      const { namespace = "" } = object.metadata
      const waiter = waiting.get(namespace)
      if (waiter === undefined || !awaited.has(resource) || type === "DELETED") return Effect.void
      waiting.delete(namespace)
      return Effect.asVoid(Deferred.succeed(waiter, undefined))
    }

    yield* inform(store, { relist: Effect.suspend(() => node.reachable.isOpen() ? relist : Effect.void), change })

    const setNodeLost = Effect.fnUntraced(function*(lost: boolean) {
      if (lost === !node.reachable.isOpen()) return
      if (lost) yield* node.reachable.close
      yield* controlNode(store, events, lost)
      if (lost) return
      yield* node.reachable.open
      yield* relist
      yield* Effect.forEach(Array.from(workers.values()), ({ publish }) => publish, { discard: true })
    })

    const slotOf = (pod: Pod, container: string) => workers.get(pod.metadata.uid)?.slot(container)
    return {
      running: (pod, container) => slotOf(pod, container)?.running,
      log: (pod, container) => slotOf(pod, container)?.log,
      evict: (pod, message) =>
        workers.get(pod.metadata.uid)?.fail({
          reason: "Evicted",
          message,
          disruption: true,
          graceSeconds: evictionGrace
        }) ?? Effect.void,
      setNodeLost,
      isLost: () => !node.reachable.isOpen()
    }
  })

/** The node controller's part: it marks a node that fell silent, and the pods on it; and notes its return. */
const controlNode = Effect.fnUntraced(function*(store: Store, events: Events, lost: boolean) {
  const now = yield* Clock.currentTimeMillis
  const node = yield* Effect.option(
    store.update("nodes", "", nodeName, (current) => withReachability(current as NodeObject, lost, now))
  )
  if (node._tag === "Some") {
    const reason = lost ? "NodeNotReady" : "NodeReady"
    const message = `Node ${nodeName} status is now: ${reason}`
    yield* events.record(node.value, lost ? "node-controller" : "kubelet", "Normal", reason, message)
  }
  if (!lost) return
  const { items } = yield* store.list("pods", undefined)
  for (const pod of items) {
    const { name, namespace = "", uid } = pod.metadata
    if (pod.spec.nodeName !== nodeName || isFinal(pod.status.phase)) continue
    yield* Effect.ignore(store.update("pods", namespace, name, (current) => {
      const ready = current.status.conditions?.find(({ type }) => type === "Ready")
      if (current.metadata.uid !== uid || ready?.status !== "True") return current
      return withCondition(current, { type: "Ready", status: "False" }, now)
    }))
    yield* events.record(pod, "node-controller", "Warning", "NodeNotReady", "Node is not ready")
  }
})
