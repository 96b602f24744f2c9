/**
 * A cluster in memory for tests under TestClock: it does what its plan says, at the times its plan says, and remembers
 * what was asked of it.
 */
import { type Cause, Effect, Fiber, Layer, Option, Queue, Ref, type Scope, Sink, Stream, SubscriptionRef } from "effect"
import {
  AlreadyExists,
  Cluster,
  ClusterError,
  type ClusterErrorReason,
  Conflict,
  type ExecProcess,
  type ExecRequest,
  Forbidden,
  NotFound,
  type Pod,
  type PodEvent,
  type PodManifest,
  ServerFault,
  StreamLost,
  Unreachable
} from "kuberun"

/**
 * What becomes of one create: it is carried out and answered; carried out and its answer lost; lost, and carried out
 * two seconds later; lost for good; refused by the server; refused for good; never answered, but carried out.
 */
export type CreateOutcome = "ok" | "answerLost" | "late" | "requestLost" | "fault" | "forbidden" | "hangs"

/** What becomes of one delete: as above. */
export type DeleteOutcome = "ok" | "answerLost" | "requestLost" | "fault" | "forbidden"

/** What becomes of one watch: it works; breaks after three seconds; says nothing after the present state. */
export type WatchOutcome = "ok" | "breaks" | "silent"

/** What becomes of the pod: ready after so long, an image that cannot be pulled after so long, or neither, ever. */
export type StartOutcome = "ready" | "imagePull" | "never"

export interface FakeClusterPlan {
  /** One for each try, then `ok`. */
  readonly creates: ReadonlyArray<CreateOutcome>
  readonly deletes: ReadonlyArray<DeleteOutcome>
  readonly watches: ReadonlyArray<WatchOutcome>
  readonly start: StartOutcome
  readonly startMillis: number
  /** How long the server takes for a create; it goes on with it when its client gives up. */
  readonly createMillis?: number | undefined
  /** Somebody deletes the pod so long after its creation, and makes another of the same name. */
  readonly replacedAfterMillis?: number | undefined
  /** How one program behaves. Left out: it echoes its stdin and ends with 0. */
  readonly exec?: ((request: ExecRequest) => Effect.Effect<ExecProcess, ClusterError, Scope.Scope>) | undefined
}

export const calmPlan: FakeClusterPlan = { creates: [], deletes: [], watches: [], start: "ready", startMillis: 0 }

/** What can be asked afterwards. */
export interface FakeClusterWorld {
  /** Identities (uid) of the pods that exist and that this library made. */
  readonly livePods: Effect.Effect<ReadonlyArray<string>>
  /** Identities deleted by a call of this library's, in order. */
  readonly deletedPods: Effect.Effect<ReadonlyArray<string>>
  /** Pods of the same name that somebody else made, and that exist. */
  readonly foreignPods: Effect.Effect<ReadonlyArray<string>>
  readonly manifests: Effect.Effect<ReadonlyArray<PodManifest>>
  readonly execs: Effect.Effect<ReadonlyArray<ExecRequest>>
  /** Watches and execs that are open. */
  readonly openStreams: Effect.Effect<number>
  /** Deletes the pod from outside. */
  readonly removePod: Effect.Effect<void>
}

interface StoredPod {
  readonly pod: Pod
  readonly foreign: boolean
}

interface WorldState {
  readonly pods: ReadonlyMap<string, StoredPod>
  readonly nextUid: number
}

const fail = (operation: string, reason: ClusterErrorReason) => Effect.fail(new ClusterError({ operation, reason }))
const lost = (operation: string) => fail(operation, new Unreachable({ detail: "connection reset" }))
const fault = (operation: string) => fail(operation, new ServerFault({ status: 503, detail: "apiserver is down" }))
const absent = (operation: string) => fail(operation, new NotFound({ detail: "pods not found" }))

const pending = (manifest: PodManifest, uid: string): Pod => ({
  metadata: { ...manifest.metadata, uid },
  spec: manifest.spec,
  status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }] }
})

const started = (pod: Pod, start: StartOutcome): Pod => {
  const names = pod.spec?.containers.map((container) => container.name) ?? []
  switch (start) {
    case "never":
      return pod
    case "ready":
      return {
        ...pod,
        status: {
          phase: "Running",
          conditions: [{ type: "Ready", status: "True" }],
          containerStatuses: names.map((name) => ({ name, ready: true, state: { running: {} } }))
        }
      }
    case "imagePull":
      return {
        ...pod,
        status: {
          phase: "Pending",
          containerStatuses: names.map((name) => ({
            name,
            state: { waiting: { reason: "ErrImagePull", message: "manifest unknown: not found" } }
          }))
        }
      }
  }
}

/** A program that echoes its stdin to stdout and ends with 0 when its stdin does. */
export const echoProcess: Effect.Effect<ExecProcess> = Effect.gen(function*() {
  const bytes = yield* Queue.bounded<Uint8Array, Cause.Done>(2)
  return {
    stdin: Sink.forEach((chunk: Uint8Array) => Queue.offer(bytes, chunk)).pipe(Sink.ensuring(Queue.end(bytes))),
    output: Stream.map(Stream.fromQueue(bytes), (chunk) => ({ _tag: "Stdout" as const, bytes: chunk })),
    resize: () => Effect.void,
    exit: Effect.succeed({ _tag: "Exited" as const, code: 0 })
  }
})

export type FakeClusterLayer = Layer.Layer<Cluster>

/** A cluster that follows `plan`, as a layer and what can be asked of it. */
export const make = Effect.fn("FakeCluster.make")(function*(plan: FakeClusterPlan) {
  const state = yield* SubscriptionRef.make<WorldState>({ pods: new Map(), nextUid: 1 })
  const deleted = yield* Ref.make<ReadonlyArray<string>>([])
  const manifests = yield* Ref.make<ReadonlyArray<PodManifest>>([])
  const execs = yield* Ref.make<ReadonlyArray<ExecRequest>>([])
  const open = yield* Ref.make(0)
  const worldScope = yield* Effect.scope
  const next = <A>(outcomes: ReadonlyArray<A>, otherwise: A) =>
    Effect.map(
      Ref.make(0),
      (place) => Effect.map(Ref.getAndUpdate(place, (count) => count + 1), (count) => outcomes[count] ?? otherwise)
    )
  const nextCreate = yield* next<CreateOutcome>(plan.creates, "ok")
  const nextDelete = yield* next<DeleteOutcome>(plan.deletes, "ok")
  const nextWatch = yield* next<WatchOutcome>(plan.watches, "ok")

  const counted = Effect.acquireRelease(
    Ref.update(open, (count) => count + 1),
    () => Ref.update(open, (count) => count - 1)
  )
  const update = (name: string, uid: string, change: (stored: StoredPod) => StoredPod | undefined) =>
    SubscriptionRef.update(state, (now) => {
      const stored = now.pods.get(name)
      if (stored === undefined || stored.pod.metadata.uid !== uid) return now
      const pods = new Map(now.pods)
      const changed = change(stored)
      if (changed === undefined) pods.delete(name)
      else pods.set(name, changed)
      return { ...now, pods }
    })

  const store = (manifest: PodManifest, foreign: boolean) =>
    SubscriptionRef.modify(state, (now) => {
      const { name } = manifest.metadata
      if (now.pods.has(name)) return [Option.none<Pod>(), now] as const
      const pod = pending(manifest, `uid-${now.nextUid}`)
      return [Option.some(pod), {
        pods: new Map(now.pods).set(name, { pod, foreign }),
        nextUid: now.nextUid + 1
      }] as const
    })

  const live = Effect.fnUntraced(function*(manifest: PodManifest, pod: Pod) {
    const { name } = manifest.metadata
    const uid = pod.metadata.uid ?? ""
    yield* Effect.sleep(plan.startMillis).pipe(
      Effect.andThen(update(name, uid, (stored) => ({ ...stored, pod: started(stored.pod, plan.start) }))),
      Effect.forkIn(worldScope)
    )
    if (plan.replacedAfterMillis !== undefined) {
      yield* Effect.sleep(plan.replacedAfterMillis).pipe(
        Effect.andThen(SubscriptionRef.get(state)),
        Effect.flatMap((now) =>
          now.pods.get(name)?.pod.metadata.uid === uid
            ? Effect.andThen(
              update(name, uid, () => undefined),
              store({ ...manifest, metadata: { name, namespace: manifest.metadata.namespace } }, true)
            )
            : Effect.void
        ),
        Effect.forkIn(worldScope)
      )
    }
  })

  const carryOut = Effect.fnUntraced(function*(manifest: PodManifest) {
    const stored = yield* store(manifest, false)
    if (Option.isNone(stored)) {
      return yield* fail("create pod", new AlreadyExists({ detail: `pods "${manifest.metadata.name}" already exists` }))
    }
    yield* live(manifest, stored.value)
    return stored.value
  })

  const createPod = Effect.fnUntraced(function*(manifest: PodManifest) {
    yield* Ref.update(manifests, (before) => [...before, manifest])
    const working = yield* Effect.forkIn(served(manifest), worldScope)
    return yield* Fiber.join(working)
  })

  const served = Effect.fnUntraced(function*(manifest: PodManifest) {
    if (plan.createMillis !== undefined) yield* Effect.sleep(plan.createMillis)
    switch (yield* nextCreate) {
      case "ok":
        return yield* carryOut(manifest)
      case "answerLost":
        yield* Effect.ignore(carryOut(manifest))
        return yield* lost("create pod")
      case "late":
        yield* Effect.sleep("2 seconds").pipe(
          Effect.andThen(carryOut(manifest)),
          Effect.ignore,
          Effect.forkIn(worldScope)
        )
        return yield* lost("create pod")
      case "requestLost":
        return yield* lost("create pod")
      case "fault":
        return yield* fault("create pod")
      case "forbidden":
        return yield* fail("create pod", new Forbidden({ detail: "exceeded quota" }))
      case "hangs":
        yield* Effect.ignore(carryOut(manifest))
        return yield* Effect.never
    }
  })

  const find = (name: string) => Effect.map(SubscriptionRef.get(state), (now) => now.pods.get(name)?.pod)

  const remove = Effect.fnUntraced(function*(name: string, uid: string | undefined) {
    const pod = yield* find(name)
    if (pod === undefined) return yield* absent("delete pod")
    const identity = pod.metadata.uid ?? ""
    if (uid !== undefined && identity !== uid) {
      return yield* fail("delete pod", new Conflict({ detail: "the UID in the precondition does not match" }))
    }
    yield* update(name, identity, () => undefined)
    yield* Ref.update(deleted, (before) => [...before, identity])
  })

  const service = Cluster.of({
    createPod,
    readPod: ({ name }) =>
      Effect.flatMap(find(name), (pod) => pod === undefined ? absent("read pod") : Effect.succeed(pod)),
    deletePod: Effect.fnUntraced(function*({ name }, options) {
      switch (yield* nextDelete) {
        case "ok":
          return yield* remove(name, options?.uid)
        case "answerLost":
          yield* Effect.ignore(remove(name, options?.uid))
          return yield* lost("delete pod")
        case "requestLost":
          return yield* lost("delete pod")
        case "fault":
          return yield* fault("delete pod")
        case "forbidden":
          return yield* fail("delete pod", new Forbidden({ detail: "cannot delete resource \"pods\"" }))
      }
    }),
    watchPod: ({ name }) =>
      Stream.unwrap(Effect.gen(function*() {
        yield* counted
        const outcome = yield* nextWatch
        const events = SubscriptionRef.changes(state).pipe(
          Stream.map((now): PodEvent => {
            const pod = now.pods.get(name)?.pod
            return pod === undefined ? { _tag: "Absent" } : { _tag: "Present", pod }
          })
        )
        switch (outcome) {
          case "ok":
            return events
          case "silent":
            return Stream.concat(Stream.take(events, 1), Stream.never)
          case "breaks":
            return Stream.merge(
              events,
              Stream.fromEffectDrain(
                Effect.andThen(
                  Effect.sleep("3 seconds"),
                  fail("watch pod", new StreamLost({ detail: "connection cut" }))
                )
              )
            )
        }
      })),
    podNotices: () => Stream.never,
    exec: (request) =>
      counted.pipe(
        Effect.andThen(Ref.update(execs, (before) => [...before, request])),
        Effect.andThen(plan.exec === undefined ? echoProcess : plan.exec(request))
      )
  })

  const uids = (foreign: boolean) =>
    Effect.map(
      SubscriptionRef.get(state),
      ({ pods }) =>
        [...pods.values()].filter((stored) => stored.foreign === foreign).map(({ pod }) => pod.metadata.uid ?? "")
    )
  const world: FakeClusterWorld = {
    livePods: uids(false),
    foreignPods: uids(true),
    deletedPods: Ref.get(deleted),
    manifests: Ref.get(manifests),
    execs: Ref.get(execs),
    openStreams: Ref.get(open),
    removePod: SubscriptionRef.update(state, (now) => ({ ...now, pods: new Map() }))
  }
  return { layer: Layer.succeed(Cluster, service), world }
})
