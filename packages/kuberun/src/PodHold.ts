/**
 * One connection's hold on a pod that others hold as well: taken, kept and given up.
 *
 * The release is registered before anything is sent: a request that was interrupted, timed out or lost its answer may
 * have taken hold all the same. A pod that is made is made with the hold in it, so that it is never without one.
 */
import { Clock, Duration, Effect, Fiber, Ref, Schedule, type Scope, Semaphore, SubscriptionRef } from "effect"
import { AlreadyExists, Cluster, ClusterError, isAmbiguous, isTransient, type Precondition } from "./Cluster.ts"
import type { ClaimManifest } from "./ClusterObjects.ts"
import { type Config, stopTimeout } from "./Config.ts"
import { holdersOf, holderValue, holdPatch, isHeldBy, releasePatch } from "./Holders.ts"
import { conflictPause, type Linger, moved, readOrAbsent, stateOf } from "./Linger.ts"
import type { Pod, PodManifest, PodRef } from "./Pod.ts"
import { PodStartError, Refused } from "./PodStartError.ts"
import type { Replica } from "./Replica.ts"
import { clusterSentence } from "./Sentences.ts"
import { isUserPod, nextStep, type Wish } from "./UserPod.ts"

/** How far a hold has come. */
export type HoldState =
  | { readonly _tag: "Taking" }
  | { readonly _tag: "Held"; readonly uid: string }
  | { readonly _tag: "Leaving" }

/** A hold of this replica's, from before its first request until after its last. */
export interface Hold {
  readonly key: string
  readonly ref: PodRef
  readonly state: Ref.Ref<HoldState>
  /** Whoever changes the hold in the cluster, after it was taken. */
  readonly lock: Semaphore.Semaphore
}

/** What the holds of a replica have in common. */
export interface Holds {
  readonly config: Config
  readonly replica: Replica
  readonly linger: Linger
  /** By the annotation's key. */
  readonly open: Ref.Ref<ReadonlyMap<string, Hold>>
  /** A text that no release of any replica's before had. */
  readonly newRelease: Effect.Effect<string>
  /** What this replica writes as the value of its holders now. */
  readonly value: Effect.Effect<string>
}

export const makeHolds = Effect.fn("PodHold.makeHolds")(function*(config: Config, replica: Replica, linger: Linger) {
  const count = yield* Ref.make(0)
  return {
    config,
    replica,
    linger,
    open: yield* Ref.make<ReadonlyMap<string, Hold>>(new Map()),
    newRelease: Effect.map(Ref.updateAndGet(count, (before) => before + 1), (place) => `${replica.id}-${place}`),
    value: Effect.map(replica.leased, (leased) => holderValue(replica.id, leased))
  } satisfies Holds
})

/** What to hold, and what to make where it is not there. */
export interface HoldRequest extends Omit<Wish, "value"> {
  readonly manifest: PodManifest
  /** Made before the pod that uses it. */
  readonly claim: ClaimManifest | undefined
  readonly activity: SubscriptionRef.SubscriptionRef<string>
  /** Run when the hold, or the pod that was the last one's to delete, may be left behind. */
  readonly onLeftBehind: Effect.Effect<void>
}

/** Quarter of a second, doubled up to five, spread. */
const faultBackoff = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/** Between two looks at a pod that others change, or that is going: a tenth of a second, growing to one, spread. */
const lookBackoff = Schedule.min([Schedule.exponential(conflictPause, 1.5), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered
)

/** How long what an unanswered request may have done is looked for (see `PodRemoval.ts`). */
const settlingTime = Duration.seconds(5)

/** Between two looks for it. */
const settlingPause = Duration.millis(500)

/** What is known of the requests that may have taken hold. */
interface Sent {
  /** The last one, which may be under way. */
  readonly request: Fiber.Fiber<Pod, ClusterError> | undefined
  /** When (milliseconds) it was heard that the last answer was lost. */
  readonly unansweredAt: number | undefined
}

const nothingSent: Sent = { request: undefined, unansweredAt: undefined }

/**
 * Sends a write that takes hold, as a fiber of its own: when this is interrupted the request goes on, and the release
 * waits for its answer.
 */
const send = Effect.fnUntraced(function*(sent: Ref.Ref<Sent>, write: Effect.Effect<Pod, ClusterError>) {
  const request = yield* Effect.uninterruptible(
    write.pipe(
      Effect.interruptible,
      Effect.tapError((error) =>
        isAmbiguous(error)
          ? Effect.flatMap(Clock.currentTimeMillis, (now) =>
            Ref.update(sent, (before): Sent => ({ ...before, unansweredAt: now })))
          : Effect.void
      ),
      Effect.forkDetach({ startImmediately: true }),
      Effect.tap((request) => Ref.update(sent, (before): Sent => ({ ...before, request })))
    )
  )
  return yield* Fiber.join(request)
})

const nameTaken = (name: string) =>
  new PodStartError({
    pod: name,
    reason: new Refused({
      error: new ClusterError({
        operation: `use pod ${name}`,
        reason: new AlreadyExists({
          detail: `there is a pod called ${name} that is not this user's; tell the administrator, who can delete it`
        })
      })
    })
  })

/**
 * Holds the user's pod, making it where there is none, and answers it as it is then. When the scope closes the hold is
 * given up, and the last one's pod left to `linger`. How long all this may take is the caller's to say.
 */
export const take = Effect.fn("PodHold.take")(function*(
  holds: Holds,
  request: HoldRequest
): Effect.fn.Return<Pod, PodStartError, Cluster | Scope.Scope> {
  const { config, open } = holds
  const { activity, key, manifest } = request
  const cluster = yield* Cluster
  const { name } = manifest.metadata
  const sent = yield* Ref.make(nothingSent)
  const hold: Hold = {
    key,
    ref: { namespace: manifest.metadata.namespace, name },
    state: yield* Ref.make<HoldState>({ _tag: "Taking" }),
    lock: yield* Semaphore.make(1)
  }
  yield* Effect.acquireRelease(
    Ref.update(open, (before) => new Map(before).set(key, hold)),
    () =>
      release(holds, hold, sent).pipe(
        Effect.flatMap((done) => done ? Effect.void : request.onLeftBehind),
        Effect.ensuring(Ref.update(open, (before) => new Map([...before].filter(([, other]) => other !== hold)))),
        Effect.annotateLogs({ pod: name })
      )
  )

  /** One look and one step; `undefined` where another has to follow. */
  const step = Effect.gen(function*() {
    const value = yield* holds.value
    const found = yield* readOrAbsent(hold.ref)
    const next = nextStep(config, found, { ...request, value })
    if (found === undefined || next === "Create") {
      if (request.claim !== undefined) yield* createClaim(request.claim)
      const { annotations } = manifest.metadata
      const held = { ...manifest, metadata: { ...manifest.metadata, annotations: { ...annotations, [key]: value } } }
      return yield* send(sent, cluster.createPod(held)).pipe(
        Effect.tap(() => Effect.logInfo("pod created")),
        // Somebody was faster; or a quota was written to by another creation at the same moment.
        Effect.catchIf(
          ({ reason }) => reason._tag === "AlreadyExists" || reason._tag === "Conflict",
          (error) => Effect.as(SubscriptionRef.set(activity, clusterSentence(error)), undefined)
        )
      )
    }
    switch (next) {
      case "Held":
        return found
      case "Hold":
        return yield* send(sent, cluster.patchPod(hold.ref, holdPatch(key, value), stateOf(found))).pipe(
          Effect.catchIf(moved, () => Effect.succeed(undefined))
        )
      case "Replace":
        yield* Effect.logInfo("pod is of no use any more: a new one takes its place")
        yield* cluster.deletePod(hold.ref, stateOf(found)).pipe(Effect.catchIf(moved, () => Effect.void))
        return undefined
      case "Wait":
        yield* SubscriptionRef.set(activity, "waiting until your pod from before is gone")
        return undefined
      case "Refuse":
        return yield* nameTaken(name)
    }
  }).pipe(Effect.retry({
    schedule: faultBackoff,
    while: (error) =>
      error._tag === "ClusterError" && isTransient(error)
        // Where it is tried again, this is what the user waits for.
        ? Effect.as(SubscriptionRef.set(activity, clusterSentence(error)), true)
        : Effect.succeed(false)
  }))

  const pod = yield* step.pipe(
    Effect.repeat({ schedule: lookBackoff, until: (held) => held !== undefined }),
    Effect.flatMap((held) => held === undefined ? Effect.never : Effect.succeed(held)),
    Effect.catchTag(
      "ClusterError",
      (error) => Effect.fail(new PodStartError({ pod: name, reason: new Refused({ error }) }))
    )
  )
  yield* Ref.set(hold.state, { _tag: "Held", uid: pod.metadata.uid ?? "" })
  return pod
})

const createClaim = (claim: ClaimManifest) =>
  Cluster.use((cluster) => cluster.createClaim(claim)).pipe(
    Effect.catchIf(({ reason }) => reason._tag === "AlreadyExists", () => Effect.void)
  )

/** Gives the hold up, within the stop's time limit. Never fails; false where it, or the pod, may be left behind. */
const release = (holds: Holds, hold: Hold, sent: Ref.Ref<Sent>): Effect.Effect<boolean, never, Cluster> => {
  const left = (why: string) =>
    Effect.as(Effect.logError(`the hold on pod ${hold.ref.name} may be left: ${why}`), false)
  return Ref.getAndSet(hold.state, { _tag: "Leaving" }).pipe(
    hold.lock.withPermits(1),
    Effect.flatMap((state) => giveUp(holds, hold, sent, state)),
    Effect.timeoutOrElse({
      duration: stopTimeout(holds.config),
      orElse: () => left("the cluster did not take it in time")
    }),
    Effect.catchCause((cause) => Effect.andThen(Effect.logDebug(cause), left("giving it up failed"))),
    Effect.ensuring(
      Effect.flatMap(Ref.get(sent), ({ request }) => request === undefined ? Effect.void : Fiber.interrupt(request))
    )
  )
}

const giveUp = Effect.fnUntraced(function*(holds: Holds, hold: Hold, sent: Ref.Ref<Sent>, state: HoldState) {
  const { request, unansweredAt } = yield* Ref.get(sent)
  // Nothing was sent: there is no hold.
  if (request === undefined) return true
  // Where all is known one call is enough, whatever others have changed meanwhile.
  const known = state._tag === "Held" && unansweredAt === undefined
    ? yield* letGo(holds, hold, { uid: state.uid }).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.catch(() => Effect.succeed("changed" as const))
    )
    : "changed"
  const pod = known === "changed" ? yield* lookForHold(holds, hold, sent, request) : known
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return true
  return holdersOf(pod).length === 0 && isUserPod(holds.config, pod) ? yield* holds.linger.released(pod) : true
})

/**
 * Gives the hold up wherever it may be, until none can appear any more, and answers the pod as it is then. `request` is
 * the last one that was sent, and the only one that can be under way.
 */
const lookForHold = Effect.fnUntraced(function*(
  holds: Holds,
  hold: Hold,
  sent: Ref.Ref<Sent>,
  request: Fiber.Fiber<Pod, ClusterError>
) {
  const isUnderWay = () => request.pollUnsafe() === undefined
  /** `undefined` while the hold may still be there, or appear. */
  const look = Effect.gen(function*() {
    const underWay = isUnderWay()
    const { unansweredAt } = yield* Ref.get(sent)
    const found = yield* readOrAbsent(hold.ref)
    const held = found !== undefined && isHeldBy(found, hold.key, holds.replica.id)
    const pod = held ? yield* letGo(holds, hold, stateOf(found)) : found
    if (pod === "changed") return undefined
    const now = yield* Clock.currentTimeMillis
    const settled = unansweredAt === undefined || now - unansweredAt >= Duration.toMillis(settlingTime)
    // A request whose work was found has done all that it will do.
    if (settled && (held || !underWay)) return { pod }
    yield* isUnderWay() ? Effect.timeoutOption(Fiber.await(request), settlingPause) : Effect.sleep(settlingPause)
    return undefined
  }).pipe(
    Effect.tapError((error) => Effect.logWarning(error.message)),
    // Every fault is worth another try here: credentials are renewed, a policy's webhook comes back.
    Effect.retry({ schedule: faultBackoff })
  )
  return (yield* Effect.repeat(look, { until: (answer) => answer !== undefined }))?.pod
})

/** Takes the hold's annotation away, in this state of the pod; `"changed"` where it is in another by now. */
const letGo = Effect.fnUntraced(function*({ newRelease }: Holds, hold: Hold, state: Precondition) {
  const patch = releasePatch([hold.key], yield* newRelease)
  return yield* Cluster.use((cluster): Effect.Effect<Pod | "changed", ClusterError> =>
    cluster.patchPod(hold.ref, patch, state)
  ).pipe(Effect.catchIf(moved, () => Effect.as(Effect.sleep(conflictPause), "changed" as const)))
})
