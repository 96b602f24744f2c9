/**
 * One connection's hold on a pod that others hold as well: taken, kept and given up.
 *
 * The release is registered before anything is sent: a request that was interrupted, timed out or lost its answer may
 * have taken hold all the same. A pod that is made is made with the hold in it, so that it is never without one.
 */
import { Clock, Effect, Ref, Schedule, type Scope, Semaphore, SubscriptionRef } from "effect"
import { PodStartError, Refused, Unusable } from "../pod/PodStartError.ts"
import { mayCreateAgain, startBackoff } from "../pod/Retry.ts"
import { Cluster } from "../ports/Cluster.ts"
import type { ClaimManifest } from "../ports/ClusterObjects.ts"
import type { Pod, PodManifest } from "../ports/Pod.ts"
import { clusterSentence } from "../session/Sentences.ts"
import { holdPatch } from "./Holders.ts"
import { nothingSent, release, send } from "./HoldRelease.ts"
import { conflictPause, moved, readOrAbsent, stateOf } from "./Linger.ts"
import type { Hold, Holds, HoldState } from "./PodHolds.ts"
import { hasExpired } from "./SweepPlan.ts"
import { nextStep, type Wish } from "./UserPod.ts"

/** What to hold, and what to make where it is not there. */
export interface HoldRequest extends Omit<Wish, "value"> {
  readonly manifest: PodManifest
  /** Made before the pod that uses it. */
  readonly claim: ClaimManifest | undefined
  readonly activity: SubscriptionRef.SubscriptionRef<string>
  /** Run when the hold, or the pod that was the last one's to delete, may be left behind. */
  readonly onLeftBehind: Effect.Effect<void>
}

/** Between two looks at a pod that others change, or that is going: a tenth of a second, growing to one, spread. */
const lookBackoff = Schedule.min([Schedule.exponential(conflictPause, 1.5), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered
)

const nameTaken = (name: string) =>
  new PodStartError({
    pod: name,
    reason: new Unusable({
      detail: `there is a pod called ${name} that is not this user's; tell the administrator, who can delete it`
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
    const wanted = nextStep(config, found, { ...request, value })
    const now = yield* Clock.currentTimeMillis
    const isOver = found !== undefined && hasExpired(config, found, yield* holds.replica.clockLead, now)
    const next = wanted === "Hold" && isOver ? "Replace" : wanted
    if (found === undefined || next === "Create") {
      if (request.claim !== undefined) yield* createClaim(request.claim)
      const { annotations } = manifest.metadata
      const held = { ...manifest, metadata: { ...manifest.metadata, annotations: { ...annotations, [key]: value } } }
      return yield* send(sent, cluster.createPod(held)).pipe(
        Effect.tap(() => Effect.logInfo("pod created")),
        // Somebody was faster.
        Effect.catchIf(({ reason }) => reason._tag === "AlreadyExists", () => Effect.succeed(undefined))
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
  })
  const tried = holds.inTurn(name, step).pipe(Effect.retry({
    schedule: startBackoff,
    while: (error) =>
      error._tag === "ClusterError" && mayCreateAgain(error)
        // Where it is tried again, this is what the user waits for.
        ? Effect.as(SubscriptionRef.set(activity, clusterSentence(error)), true)
        : Effect.succeed(false)
  }))

  const pod = yield* tried.pipe(
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
