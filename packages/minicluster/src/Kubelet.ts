/**
 * The scheduler and the node in one: every pod in the store has a fiber here that gives it a place, runs its
 * containers, writes its status, and ends it.
 */
import { Clock, Effect, Fiber, FiberMap, Queue, type Scope } from "effect"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { type RunningContainer } from "./Container.ts"
import { type ContainerLog, makeContainerLog } from "./ContainerLog.ts"
import { containerLoop } from "./ContainerLoop.ts"
import { type Events } from "./Events.ts"
import { type Isolation } from "./Isolation.ts"
import { type ContainerStatus, type Pod } from "./Objects.ts"
import { podStatus, withCondition } from "./PodStatus.ts"
import { nodeName, unschedulable } from "./Scheduler.ts"
import { type Change, type Store } from "./Store.ts"

export interface Kubelet {
  /** The container's present run, or nothing while it is not running. */
  readonly running: (pod: Pod, container: string) => RunningContainer | undefined
  readonly log: (pod: Pod, container: string) => ContainerLog | undefined
}

export interface KubeletOptions {
  readonly store: Store
  readonly events: Events
  readonly isolation: Isolation
  /** Where the pods' folders are made. */
  readonly directory: string
  /** What each container finds in its environment about the cluster. */
  readonly environment: Readonly<Record<string, string>>
}

interface Slot {
  status: ContainerStatus
  running: RunningContainer | undefined
  readonly log: ContainerLog
}

/** A pod that has a fiber. */
interface Worker {
  readonly slots: Map<string, Slot>
  /** Grace periods in seconds, one for each time that the pod's deletion was asked for or hastened. */
  readonly deletions: Queue.Queue<number>
  /** A pod under deletion restarts nothing. */
  stopping: boolean
}

const waitingStatus = (name: string, image: string): ContainerStatus => ({
  name,
  state: { waiting: { reason: "ContainerCreating" } },
  lastState: {},
  ready: false,
  started: false,
  restartCount: 0,
  image,
  imageID: ""
})

export const makeKubelet = (options: KubeletOptions): Effect.Effect<Kubelet, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { events, isolation, store } = options
    const workers = new Map<string, Worker>()
    const fibers = yield* FiberMap.make<string>()

    /** Writes nothing about a pod that is gone or was replaced by another of its name. */
    const writePod = (pod: Pod, change: (current: Pod, now: number) => Pod) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.ignore(
          store.update("pods", pod.metadata.namespace ?? "", pod.metadata.name, (current) =>
            current.metadata.uid === pod.metadata.uid ? change(current, now) : current)
        ))

    const schedule = Effect.fnUntraced(function*(pod: Pod) {
      const why = unschedulable(pod)
      const condition = why === undefined
        ? { type: "PodScheduled", status: "True" as const }
        : { type: "PodScheduled", status: "False" as const, reason: "Unschedulable", message: why }
      yield* writePod(pod, (current, now) => ({
        ...current,
        spec: why === undefined ? { ...current.spec, nodeName } : current.spec,
        status: { ...current.status, conditions: withCondition(current.status.conditions ?? [], condition, now) }
      }))
      const { name, namespace = "" } = pod.metadata
      yield* why === undefined
        ? events.record(
          pod,
          "default-scheduler",
          "Normal",
          "Scheduled",
          `Successfully assigned ${namespace}/${name} to ${nodeName}`
        )
        : events.record(pod, "default-scheduler", "Warning", "FailedScheduling", why)
      return why === undefined
    })

    /** SIGTERM, the grace period (shortened by whoever asks again), SIGKILL; then nothing of the pod is left. */
    const terminate = Effect.fnUntraced(function*(pod: Pod, worker: Worker, loops: Fiber.Fiber<unknown>) {
      const grace = yield* Queue.take(worker.deletions)
      worker.stopping = true
      const running = () => Array.from(worker.slots.values()).flatMap((slot) => slot.running ?? [])
      for (const [name, slot] of worker.slots) {
        if (slot.running === undefined) continue
        yield* events.record(pod, "kubelet", "Normal", "Killing", `Stopping container ${name}`, name)
        yield* slot.running.terminate
      }
      const allEnded = Effect.forEach(running(), ({ exitCode }) => exitCode, { concurrency: "unbounded" })
      const wait = (seconds: number): Effect.Effect<void> =>
        Effect.raceAllFirst([
          Effect.asVoid(allEnded),
          Effect.sleep(`${seconds} seconds`),
          Effect.flatMap(Queue.take(worker.deletions), wait)
        ])
      yield* wait(grace)
      yield* Effect.forEach(running(), ({ kill }) => kill, { concurrency: "unbounded" })
      yield* allEnded
      yield* Fiber.interrupt(loops)
    })

    const runPod = Effect.fnUntraced(function*(pod: Pod, worker: Worker) {
      const directory = join(options.directory, `${pod.metadata.name}-${pod.metadata.uid}`)
      yield* Effect.addFinalizer(() =>
        Effect.promise(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined))
      )
      if (!(yield* schedule(pod))) return yield* Effect.never
      let sandbox = false
      const publish = writePod(pod, (current, now) => {
        const statuses = Array.from(worker.slots.values(), ({ status }) => status)
        return { ...current, status: podStatus(current, statuses, sandbox, now) }
      })
      yield* publish
      sandbox = true
      const loops = yield* Effect.forkScoped(
        Effect.forEach(pod.spec.containers, (spec) => {
          const slot = worker.slots.get(spec.name)
          if (slot === undefined) return Effect.void
          return containerLoop(
            { isolation, pod, spec, directory, environment: options.environment, log: slot.log },
            {
              status: () => slot.status,
              stopping: () => worker.stopping,
              report: (change, running) => {
                slot.status = { ...slot.status, ...change }
                slot.running = running
                return publish
              }
            },
            events
          ).pipe(Effect.ensuring(slot.log.close))
        }, { concurrency: "unbounded", discard: true })
      )
      yield* terminate(pod, worker, loops)
      yield* Effect.ignore(store.remove("pods", pod.metadata.namespace ?? "", pod.metadata.name, pod.metadata.uid))
    })

    const begin = Effect.fnUntraced(function*(pod: Pod) {
      const slots = new Map<string, Slot>()
      for (const { image, name } of pod.spec.containers) {
        slots.set(name, { status: waitingStatus(name, image), running: undefined, log: yield* makeContainerLog })
      }
      // A deletion can only be hastened, and a pod asks for few: the newest grace period is the one that counts.
      const worker: Worker = { slots, deletions: yield* Queue.sliding<number>(1), stopping: false }
      workers.set(pod.metadata.uid, worker)
      yield* FiberMap.run(
        fibers,
        pod.metadata.uid,
        Effect.scoped(runPod(pod, worker)).pipe(
          Effect.catchCause((cause) => Effect.logError("a pod's fiber failed", cause)),
          Effect.ensuring(Effect.sync(() => workers.delete(pod.metadata.uid)))
        )
      )
    })

    const observe = (change: Change): Effect.Effect<void> => {
      if (change.resource !== "pods") return Effect.void
      const pod = change.object as Pod
      const worker = workers.get(pod.metadata.uid)
      if (change.type === "ADDED") return begin(pod)
      if (change.type === "DELETED") {
        return Effect.asVoid(Effect.forkIn(FiberMap.remove(fibers, pod.metadata.uid), scope))
      }
      const previous = change.previous as Pod | undefined
      const grace = pod.metadata.deletionGracePeriodSeconds
      if (worker === undefined || grace === undefined || grace === previous?.metadata.deletionGracePeriodSeconds) {
        return Effect.void
      }
      return Effect.asVoid(Queue.offer(worker.deletions, grace))
    }

    const scope = yield* Effect.scope
    // Observing only starts and signals fibers, so this never falls behind the history.
    const feed = yield* Effect.orDie(Effect.flatMap(store.version, store.follow))
    const observeNext = Effect.flatMap(
      Effect.orDie(feed.next),
      (changes) => Effect.forEach(changes, observe, { discard: true })
    )
    yield* Effect.forkScoped(Effect.forever(observeNext))
    const slotOf = (pod: Pod, container: string) => workers.get(pod.metadata.uid)?.slots.get(container)
    return {
      running: (pod, container) => slotOf(pod, container)?.running,
      log: (pod, container) => slotOf(pod, container)?.log
    }
  })
