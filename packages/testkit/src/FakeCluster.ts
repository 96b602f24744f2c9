/**
 * A cluster in memory for tests under TestClock: it does what its plan says, at the times its plan says, and remembers
 * what was asked of it.
 */
import { type Cause, Effect, Fiber, Layer, Queue, Ref, type Scope, Sink, Stream, SubscriptionRef } from "effect"
import {
  type AttachRequest,
  type ClaimManifest,
  Cluster,
  type ClusterError,
  Conflict,
  type ExecProcess,
  type ExecRequest,
  Forbidden,
  type LabelQuery,
  type Lease,
  type Pod,
  type PodEvent,
  type PodManifest,
  type PodsEvent,
  ServerFault,
  StreamLost,
  Unreachable
} from "kuberun"
import * as FakeProgram from "./FakeProgram.ts"
import * as FakeStore from "./FakeStore.ts"

/**
 * What becomes of one create: it is carried out and answered; carried out and its answer lost; lost, and carried out
 * two seconds later; lost for good; refused by the server; refused because another create wrote to the same quota; refused
 * for good; never answered, but carried out.
 */
export type CreateOutcome = "ok" | "answerLost" | "late" | "requestLost" | "fault" | "conflict" | "forbidden" | "hangs"

/** What becomes of one delete: as above. */
export type DeleteOutcome = "ok" | "answerLost" | "requestLost" | "fault" | "forbidden"

/** What becomes of one change of a pod's metadata: as above. */
export type PatchOutcome = "ok" | "answerLost" | "requestLost" | "fault" | "forbidden"

/** What becomes of one watch: it works; breaks after three seconds; says nothing after the present state. */
export type WatchOutcome = "ok" | "breaks" | "silent"

/** What becomes of the pod: ready after so long, an image that cannot be pulled after so long, or neither, ever. */
export type StartOutcome = "ready" | "imagePull" | "never"

export interface FakeClusterPlan {
  /** One for each try, then `ok`. */
  readonly creates: ReadonlyArray<CreateOutcome>
  readonly deletes: ReadonlyArray<DeleteOutcome>
  readonly watches: ReadonlyArray<WatchOutcome>
  /** Left out: all are carried out and answered. */
  readonly patches?: ReadonlyArray<PatchOutcome> | undefined
  readonly start: StartOutcome
  readonly startMillis: number
  /** How long the server takes for a create; it goes on with it when its client gives up. */
  readonly createMillis?: number | undefined
  /** Somebody deletes the pod so long after its creation, and makes another of the same name. */
  readonly replacedAfterMillis?: number | undefined
  /** How one program behaves behind its announcement. Left out: it echoes its stdin and ends with 0. */
  readonly exec?: ((request: ExecRequest) => Effect.Effect<ExecProcess, ClusterError, Scope.Scope>) | undefined
  /** How a helper that signals or ends a program behaves. Left out: it does that, and ends with 0. */
  readonly helper?: ((request: ExecRequest) => Effect.Effect<ExecProcess, ClusterError, Scope.Scope>) | undefined
  /** How a container's first process behaves. Left out: as `exec` does by default. */
  readonly attach?: ((request: AttachRequest) => Effect.Effect<ExecProcess, ClusterError, Scope.Scope>) | undefined
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
  /** The users' programs. */
  readonly execs: Effect.Effect<ReadonlyArray<ExecRequest>>
  /** Those that signal and end programs. */
  readonly helpers: Effect.Effect<ReadonlyArray<ExecRequest>>
  readonly claims: Effect.Effect<ReadonlyArray<ClaimManifest>>
  readonly leases: Effect.Effect<ReadonlyArray<Lease>>
  /** Every pod that exists, as the API would tell it. */
  readonly pods: Effect.Effect<ReadonlyArray<Pod>>
  /** Watches, execs and attached streams that are open. */
  readonly openStreams: Effect.Effect<number>
  /** Deletes all pods from outside. */
  readonly removePod: Effect.Effect<void>
  /** Changes what the API tells of a pod: its status, say. */
  readonly changePod: (name: string, change: (pod: Pod) => Pod) => Effect.Effect<void>
}

const fail = FakeStore.fail
const lost = (operation: string) => fail(operation, new Unreachable({ detail: "connection reset" }))
const fault = (operation: string) => fail(operation, new ServerFault({ status: 503, detail: "apiserver is down" }))
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
  const store = yield* FakeStore.make
  const { state } = store
  const deleted = yield* Ref.make<ReadonlyArray<string>>([])
  const manifests = yield* Ref.make<ReadonlyArray<PodManifest>>([])
  const execs = yield* Ref.make<ReadonlyArray<ExecRequest>>([])
  const helpers = yield* Ref.make<ReadonlyArray<ExecRequest>>([])
  const open = yield* Ref.make(0)
  const worldScope = yield* Effect.scope
  const next = <A>(outcomes: ReadonlyArray<A>, otherwise: A) =>
    Effect.map(
      Ref.make(0),
      (place) => Effect.map(Ref.getAndUpdate(place, (count) => count + 1), (count) => outcomes[count] ?? otherwise)
    )
  const nextCreate = yield* next<CreateOutcome>(plan.creates, "ok")
  const nextDelete = yield* next<DeleteOutcome>(plan.deletes, "ok")
  const nextPatch = yield* next<PatchOutcome>(plan.patches ?? [], "ok")
  const nextWatch = yield* next<WatchOutcome>(plan.watches, "ok")

  const counted = Effect.acquireRelease(
    Ref.update(open, (count) => count + 1),
    () => Ref.update(open, (count) => count - 1)
  )

  const live = Effect.fnUntraced(function*(manifest: PodManifest, pod: Pod) {
    const { name } = manifest.metadata
    const uid = pod.metadata.uid ?? ""
    yield* Effect.sleep(plan.startMillis).pipe(
      Effect.andThen(store.changePod(name, uid, (before) => started(before, plan.start))),
      Effect.forkIn(worldScope)
    )
    if (plan.replacedAfterMillis !== undefined) {
      const impostor = { ...manifest, metadata: { name, namespace: manifest.metadata.namespace } }
      yield* Effect.sleep(plan.replacedAfterMillis).pipe(
        Effect.andThen(store.deletePod(name, { uid })),
        Effect.andThen(store.createPod(impostor, true)),
        Effect.ignore,
        Effect.forkIn(worldScope)
      )
    }
  })

  const carryOut = Effect.fnUntraced(function*(manifest: PodManifest) {
    const pod = yield* store.createPod(manifest, false)
    yield* live(manifest, pod)
    return pod
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
      case "conflict":
        return yield* fail("create pod", new Conflict({ detail: "the resource quota has been modified" }))
      case "forbidden":
        return yield* fail("create pod", new Forbidden({ detail: "exceeded quota" }))
      case "hangs":
        yield* Effect.ignore(carryOut(manifest))
        return yield* Effect.never
    }
  })

  /** A write with the fate that the plan has for it. */
  const fated = <A>(operation: string, outcome: PatchOutcome, write: Effect.Effect<A, ClusterError>) => {
    switch (outcome) {
      case "ok":
        return write
      case "answerLost":
        return Effect.andThen(Effect.ignore(write), lost(operation))
      case "requestLost":
        return lost(operation)
      case "fault":
        return fault(operation)
      case "forbidden":
        return fail(operation, new Forbidden({ detail: `cannot ${operation}` }))
    }
  }

  /** A watch with the fate that the plan has for it. */
  const watched = <E>(events: Stream.Stream<E>) =>
    Stream.unwrap(Effect.gen(function*() {
      yield* counted
      switch (yield* nextWatch) {
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
    }))

  /** What changed from one state to the next, for those that match. */
  const podsEvents = (query: LabelQuery): Stream.Stream<PodsEvent> =>
    SubscriptionRef.changes(state).pipe(
      Stream.mapEffect(() => store.pods(query)),
      Stream.mapAccum(
        (): ReadonlyMap<string, Pod> | undefined => undefined,
        (before, pods) => {
          const now = new Map(pods.map((pod) => [pod.metadata.uid ?? "", pod]))
          if (before === undefined) return [now, [{ _tag: "Listed", pods }]] as const
          const gone = [...before].filter(([uid]) => !now.has(uid))
          const put = pods.filter((pod) =>
            before.get(pod.metadata.uid ?? "")?.metadata.resourceVersion !== pod.metadata.resourceVersion
          )
          const events: ReadonlyArray<PodsEvent> = [
            ...gone.map(([, pod]) => ({ _tag: "Removed" as const, pod })),
            ...put.map((pod) => ({ _tag: "Put" as const, pod }))
          ]
          return [now, events] as const
        }
      )
    )

  const service = Cluster.of({
    createPod,
    readPod: ({ name }) => store.readPod(name),
    deletePod: Effect.fnUntraced(function*({ name }, options) {
      const write = store.deletePod(name, options).pipe(
        Effect.flatMap((identity) => Ref.update(deleted, (before) => [...before, identity]))
      )
      return yield* fated("delete pod", yield* nextDelete, write)
    }),
    patchPod: Effect.fnUntraced(function*({ name }, patch, precondition) {
      return yield* fated("change pod", yield* nextPatch, store.patchPod(name, patch, precondition))
    }),
    listPods: (query) => store.pods(query),
    watchPod: ({ name }) =>
      watched(
        SubscriptionRef.changes(state).pipe(
          Stream.map((now): PodEvent => {
            const pod = now.pods.get(name)?.pod
            return pod === undefined ? { _tag: "Absent" } : { _tag: "Present", pod }
          })
        )
      ),
    watchPods: (query) => watched(podsEvents(query)),
    podNotices: () => Stream.never,
    exec: Effect.fnUntraced(function*(request) {
      yield* counted
      const helps = FakeProgram.isHelper(request)
      yield* Ref.update(helps ? helpers : execs, (before) => [...before, request])
      return helps
        ? yield* (plan.helper === undefined ? FakeProgram.helperProcess : plan.helper(request))
        : FakeProgram.announced(request, yield* (plan.exec === undefined ? echoProcess : plan.exec(request)))
    }),
    attach: (request) => Effect.andThen(counted, plan.attach === undefined ? echoProcess : plan.attach(request)),
    createClaim: (claim) => store.createClaim(claim),
    createLease: (lease) => store.createLease(lease),
    updateLease: (lease) => store.updateLease(lease),
    listLeases: (query) => store.leases(query),
    deleteLease: ({ name }, precondition) => store.deleteLease(name, precondition)
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
    helpers: Ref.get(helpers),
    claims: Effect.map(SubscriptionRef.get(state), (now) => [...now.claims.values()]),
    leases: Effect.map(SubscriptionRef.get(state), (now) => [...now.leases.values()]),
    pods: Effect.map(SubscriptionRef.get(state), (now) => [...now.pods.values()].map(({ pod }) => pod)),
    openStreams: Ref.get(open),
    removePod: SubscriptionRef.update(state, (now) => ({ ...now, pods: new Map() })),
    changePod: (name, change) =>
      Effect.flatMap(SubscriptionRef.get(state), (now) => {
        const uid = now.pods.get(name)?.pod.metadata.uid
        return uid === undefined ? Effect.void : store.changePod(name, uid, change)
      })
  }
  return { layer: Layer.succeed(Cluster, service), world }
})
