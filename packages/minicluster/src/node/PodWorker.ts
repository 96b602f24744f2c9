/** One pod's life on the node: its volumes, its init containers, its containers, its end. */
import { Clock, Effect, Fiber, FiberHandle, Latch, Queue, type Scope, Semaphore } from "effect"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { RuntimeError } from "../runtime/Container.ts"
import { makeContainerLog } from "../runtime/ContainerLog.ts"
import { removeFolder } from "../runtime/Directory.ts"
import { resolveEnvironment } from "../runtime/Environment.ts"
import { mountsOf } from "../runtime/Mounts.ts"
import { prepareVolumes, type Volumes } from "../runtime/Volumes.ts"
import { type EphemeralContainer, type Pod } from "../shapes/Objects.ts"
import { containerLoop, type PodContext, restartChanged } from "./ContainerLoop.ts"
import { stopAll } from "./Lifecycle.ts"
import { type NodeContext } from "./NodeContext.ts"
import { isSidecar, podStatus, withCondition } from "./PodStatus.ts"
import { type Note, type Role, type Slot, waitingStatus } from "./Slot.ts"

/** Why the node ends a pod by itself. */
export interface Failure {
  readonly reason: string
  readonly message: string
  /** Whether it counts as a disruption: not the pod's own fault. */
  readonly disruption: boolean
  readonly graceSeconds: number
}

export interface PodWorker {
  readonly slot: (container: string) => Slot | undefined
  /** The pod has changed: another deadline, another ephemeral container, a deletion that begins or is hastened. */
  readonly update: (pod: Pod) => Effect.Effect<void>
  /** Ends the pod as Failed; one that has ended stays as it is. */
  readonly fail: (failure: Failure) => Effect.Effect<void>
  /** Writes the status, if it says anything new. */
  readonly publish: Effect.Effect<void>
  /** The whole life. Goes on until it is interrupted, which kills everything that is left. */
  readonly run: Effect.Effect<void>
}

const past = "Pod was active on the node longer than the specified deadline"

export const makePodWorker = Effect.fnUntraced(function*(node: NodeContext, first: Pod) {
  const { name, namespace = "", uid } = first.metadata
  const { events, store } = node
  const scope = yield* Effect.scope
  const directory = join(node.directory, `${name}-${uid}`)
  let pod = first
  let volumes: Volumes | undefined
  let stopping = false
  let ended = false
  let failure: Failure | undefined
  const slots = new Map<string, Slot>()
  const loops = new Map<string, Fiber.Fiber<number>>()
  /** The pod's deletion was asked for. */
  const deleting = yield* Latch.make()
  // Only the newest wish for an end counts.
  const graces = yield* Queue.sliding<number>(1)
  const relabelled = yield* Queue.sliding<void>(1)
  const deadline = yield* FiberHandle.make<void>()

  const addSlot = Effect.fnUntraced(function*(spec: EphemeralContainer, role: Role) {
    const reason = (pod.spec.initContainers ?? []).length > 0 && role !== "ephemeral"
      ? "PodInitializing"
      : "ContainerCreating"
    const slot: Slot = {
      role,
      spec,
      log: yield* makeContainerLog,
      started: yield* Latch.make(),
      renewed: yield* Latch.make(),
      status: waitingStatus(spec, reason),
      running: undefined
    }
    slots.set(spec.name, slot)
    return slot
  })
  for (const spec of first.spec.initContainers ?? []) yield* addSlot(spec, isSidecar(spec) ? "sidecar" : "init")
  for (const spec of first.spec.containers) yield* addSlot(spec, "main")

  const slotsOf = (...roles: ReadonlyArray<Role>) =>
    Array.from(slots.values()).filter(({ role }) => roles.includes(role))
  const statusesOf = (...roles: ReadonlyArray<Role>) => slotsOf(...roles).map(({ status }) => status)

  /** Writes nothing about a pod that is gone or was replaced by another of its name, and nothing from a lost node. */
  const writePod = (change: (current: Pod, now: number) => Pod) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      node.reachable.isOpen()
        ? Effect.ignore(
          store.update("pods", namespace, name, (current) =>
            current.metadata.uid === uid ? change(current, now) : current)
        )
        : Effect.void)

  const publish = writePod((current, now) => {
    const status = podStatus(current, {
      init: statusesOf("init", "sidecar"),
      main: statusesOf("main"),
      ephemeral: statusesOf("ephemeral"),
      sandbox: volumes !== undefined,
      ended,
      failure
    }, now)
    return isDeepStrictEqual(status, current.status) ? current : { ...current, status }
  })

  const note: Note = (type, reason, message, container) =>
    node.reachable.isOpen() ? events.record(pod, "kubelet", type, reason, message, container) : Effect.void

  const context: PodContext = {
    pod: () => pod,
    stopping: () => stopping,
    options: Effect.fnUntraced(function*({ log, spec }) {
      const environment = yield* resolveEnvironment(store, pod, spec, node.environment)
      const mounts = volumes === undefined ? [] : yield* mountsOf(volumes, spec, environment)
      const common = { isolation: node.isolation, pod, spec, directory, environment, mounts, log }
      if (spec.targetContainerName === undefined) return common
      const target = slots.get(spec.targetContainerName)?.running
      return target === undefined
        ? yield* new RuntimeError({ message: `unable to find target container "${spec.targetContainerName}"` })
        : { ...common, target }
    }),
    report: (slot, change, running) => {
      slot.status = { ...slot.status, ...change }
      slot.running = running
      return publish
    },
    note,
    retry: Effect.raceFirst(node.objectChanged(namespace), Effect.sleep("2 seconds")),
    images: new Set(),
    turn: yield* Semaphore.make(1),
    starts: node.starts
  }

  /** Starts a container's loop; it ends with the pod at the latest. */
  const begin = (slot: Slot) =>
    containerLoop(context, slot).pipe(
      Effect.ensuring(slot.log.end),
      Effect.forkIn(scope),
      Effect.tap((fiber) => Effect.sync(() => loops.set(slot.spec.name, fiber)))
    )

  const beginEphemeral = Effect.suspend(() => {
    if (volumes === undefined || stopping) return Effect.void
    const fresh = (pod.spec.ephemeralContainers ?? []).filter(({ name }) => !slots.has(name))
    return Effect.forEach(fresh, (spec) => Effect.flatMap(addSlot(spec, "ephemeral"), begin), { discard: true })
  })

  const prepare: Effect.Effect<Volumes, never, Scope.Scope> = Effect.suspend(() =>
    prepareVolumes({ ...node, pod, directory })
  ).pipe(
    // What is half made would still be made after the pod's folder is gone.
    Effect.uninterruptible,
    Effect.catchTag(
      "VolumeError",
      ({ message }) =>
        note("Warning", "FailedMount", message).pipe(Effect.andThen(context.retry), Effect.andThen(prepare))
    )
  )

  /** Tokens grow old and objects change. Every pod has the authority's ConfigMap, which is no reason to watch. */
  const watched = first.spec.volumes?.some(({ name }) => !name.startsWith("kube-api-access-")) === true
  const keepFresh = ({ refresh }: Volumes) =>
    Effect.raceAllFirst([
      Effect.sleep("1 minute"),
      Queue.take(relabelled),
      watched ? node.objectChanged(namespace) : Effect.never
    ]).pipe(Effect.andThen(refresh), Effect.forever)

  /** Completes when there is nothing left to run by itself. */
  const live = Effect.gen(function*() {
    volumes = yield* prepare
    // Whatever ends the pod: nothing runs any more when its volumes go.
    yield* Effect.addFinalizer(() => Effect.suspend(() => Fiber.interruptAll(loops.values())))
    yield* publish
    yield* Effect.forkScoped(keepFresh(volumes))
    yield* beginEphemeral
    for (const slot of slotsOf("init", "sidecar")) {
      const fiber = yield* begin(slot)
      if (slot.role === "sidecar") yield* slot.started.await
      else if ((yield* Fiber.join(fiber)) !== 0) return
    }
    const fibers = yield* Effect.forEach(slotsOf("main"), begin)
    yield* Effect.forEach(fibers, Fiber.join, { discard: true })
  })

  const lifeAndEnd = Effect.scoped(Effect.gen(function*() {
    yield* Effect.addFinalizer(() => removeFolder(directory))
    yield* publish
    const living = yield* Effect.forkScoped(live)
    const natural = Effect.as(Fiber.await(living), pod.spec.terminationGracePeriodSeconds)
    const seconds = yield* Effect.raceFirst(Queue.take(graces), natural)
    stopping = true
    yield* Fiber.interrupt(living)
    const order = slotsOf("init", "sidecar", "main", "ephemeral")
    yield* stopAll({ slots: order, loops, seconds, hastened: graces, note })
  }))

  const run = Effect.gen(function*() {
    yield* lifeAndEnd
    ended = true
    yield* FiberHandle.clear(deadline)
    yield* Effect.forEach(slots.values(), ({ log }) => log.end, { discard: true })
    yield* publish
    yield* Effect.andThen(deleting.await, node.reachable.await)
    // It goes when it has no finalizer left; nothing must be started for it again meanwhile.
    yield* Effect.ignore(store.remove("pods", namespace, name, uid))
    return yield* Effect.never
  })

  const fail = Effect.fnUntraced(function*(why: Failure) {
    if (ended || failure !== undefined) return
    failure = why
    if (why.disruption) {
      const condition = { type: "DisruptionTarget", status: "True" as const, reason: "TerminationByKubelet" }
      yield* writePod((current, now) => withCondition(current, { ...condition, message: why.message }, now))
    }
    yield* note(why.disruption ? "Warning" : "Normal", why.reason, why.message)
    yield* Queue.offer(graces, why.graceSeconds)
  })

  const born = yield* Clock.currentTimeMillis
  const watchDeadline = (seconds: number | undefined) =>
    seconds === undefined
      ? FiberHandle.clear(deadline)
      : FiberHandle.run(
        deadline,
        Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Math.max(0, born + seconds * 1000 - now))).pipe(
          Effect.andThen(Effect.suspend(() =>
            fail({
              reason: "DeadlineExceeded",
              message: past,
              disruption: false,
              graceSeconds: pod.spec.terminationGracePeriodSeconds
            })
          ))
        )
      )
  yield* watchDeadline(first.spec.activeDeadlineSeconds)

  /** The containers that have got another image; nothing else of a container can be changed. */
  const changedSlots = ({ spec }: Pod) =>
    [...(spec.initContainers ?? []), ...spec.containers].flatMap((container) => {
      const slot = slots.get(container.name)
      if (slot === undefined || slot.spec.image === container.image) return []
      slot.spec = container
      slot.status = { ...slot.status, image: container.image }
      slot.renewed.openUnsafe()
      return [slot]
    })
  const restart = (slot: Slot) => Effect.forkIn(restartChanged(context, slot), scope)

  const update = Effect.fnUntraced(function*(next: Pod) {
    const before = pod
    pod = next
    const grace = next.metadata.deletionGracePeriodSeconds
    if (grace !== undefined && (grace !== before.metadata.deletionGracePeriodSeconds || !deleting.isOpen())) {
      yield* deleting.open
      yield* Queue.offer(graces, grace)
    }
    const { annotations, labels } = before.metadata
    if (labels !== next.metadata.labels || annotations !== next.metadata.annotations) {
      yield* Queue.offer(relabelled, undefined)
    }
    if (before.spec === next.spec && (next.spec.readinessGates ?? []).length === 0) return
    if (!ended && before.spec.activeDeadlineSeconds !== next.spec.activeDeadlineSeconds) {
      yield* watchDeadline(next.spec.activeDeadlineSeconds)
    }
    if (!stopping) yield* Effect.forEach(changedSlots(next), restart, { discard: true })
    yield* beginEphemeral
    yield* publish
  })

  const worker: PodWorker = { slot: (container) => slots.get(container), update, fail, publish, run }
  return worker
})
