/**
 * Mode `persistent`: the pod that the templated name says. It is there already, or is made where the configuration
 * allows it; it is never deleted.
 */
import { Effect, Schedule, type Scope, SubscriptionRef } from "effect"
import { type Config, consoleContainer, startTimeout } from "../config/Config.ts"
import { podReadiness } from "../pod/PodReadiness.ts"
import type { PodRequest, PodSource } from "../pod/PodSource.ts"
import { PodFailed, PodStartError, Refused, Unusable } from "../pod/PodStartError.ts"
import { mayCreateAgain, startBackoff } from "../pod/Retry.ts"
import { follow, type RunningPod, withinStartTime } from "../pod/RunningPod.ts"
import { Cluster } from "../ports/Cluster.ts"
import type { Pod, PodManifest, PodRef } from "../ports/Pod.ts"
import { clusterSentence } from "../session/Sentences.ts"
import { persistentPodName } from "../template/PodName.ts"
import { podManifest } from "../template/PodTemplate.ts"
import { readOrAbsent } from "./Linger.ts"
import { hasEnded } from "./UserPod.ts"

/** Between two looks at a pod that is going, to be made anew. */
const lookAgain = Schedule.min([Schedule.exponential("100 millis", 1.5), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered
)

const refused = (ref: PodRef, detail: string): PodStartError =>
  new PodStartError({ pod: ref.name, reason: new Unusable({ detail }) })

const missing = (ref: PodRef): PodStartError =>
  refused(
    ref,
    `there is no pod called ${ref.name} in namespace ${ref.namespace}; ` +
      "the administrator has to create it, or to set pod.createMissingPods"
  )

const goingAway = (ref: PodRef): PodStartError =>
  refused(ref, `pod ${ref.name} is being deleted; the administrator has to create it again`)

const noContainer = (ref: PodRef, container: string): PodStartError =>
  refused(
    ref,
    `pod ${ref.name} has no container called ${container}; the administrator has to name one in pod.consoleContainer`
  )

const ended = (pod: Pod, container: string): PodStartError => {
  const { name } = pod.metadata
  const readiness = podReadiness(pod, container)
  const fault = readiness._tag === "Failed" ? readiness : { reason: "Ended", detail: `pod ${name} has ended` }
  const advice = `pod ${name} stays until the administrator deletes it`
  return new PodStartError({
    pod: name,
    reason: new PodFailed({ reason: fault.reason, detail: `${fault.detail.replace(/[.\s]+$/, "")}; ${advice}` })
  })
}

/** The pod under this name: found or, where that is allowed, made. */
const findOrMake = Effect.fnUntraced(function*(
  config: Config,
  ref: PodRef,
  manifest: PodManifest,
  activity: SubscriptionRef.SubscriptionRef<string>
) {
  const cluster = yield* Cluster
  const { createMissingPods } = config.pod
  const container = consoleContainer(config.pod).name
  /** `undefined` where another look has to follow. */
  const step = Effect.gen(function*() {
    const found = yield* readOrAbsent(ref)
    if (found === undefined) {
      if (!createMissingPods) return yield* missing(ref)
      // A lost answer, or another connection that was faster: the name tells. It is found the next time.
      return yield* cluster.createPod(manifest).pipe(
        Effect.tap(() => Effect.logInfo("pod created")),
        Effect.catchIf(({ reason }) => reason._tag === "AlreadyExists", () => Effect.succeed(undefined))
      )
    }
    if (found.metadata.deletionTimestamp !== undefined) {
      if (!createMissingPods) return yield* goingAway(ref)
      yield* SubscriptionRef.set(activity, `waiting until pod ${ref.name}, which is being deleted, is gone`)
      return undefined
    }
    if (hasEnded(found)) return yield* ended(found, container)
    if (found.spec?.containers.some(({ name }) => name === container) === false) {
      return yield* noContainer(ref, container)
    }
    return found
  }).pipe(Effect.retry({
    schedule: startBackoff,
    while: (error) =>
      error._tag === "ClusterError" && mayCreateAgain(error)
        ? Effect.as(SubscriptionRef.set(activity, clusterSentence(error)), true)
        : Effect.succeed(false)
  }))
  return yield* step.pipe(
    Effect.repeat({ schedule: lookAgain, until: (pod) => pod !== undefined }),
    Effect.flatMap((pod) => pod === undefined ? Effect.never : Effect.succeed(pod)),
    Effect.catchTag(
      "ClusterError",
      (error) => Effect.fail(new PodStartError({ pod: ref.name, reason: new Refused({ error }) }))
    )
  )
})

/**
 * The pod of `pod.name`, when it is ready. Whoever may put up or take down pods of that name decides what users get: any
 * pod counts, whoever made it. Nobody is told of it (`onPod`), since nobody deletes it.
 */
export const source = (config: Config): PodSource =>
  Effect.fn("PersistentPod.source")(function*(
    { activity, identity }: PodRequest
  ): Effect.fn.Return<RunningPod, PodStartError, Cluster | Scope.Scope> {
    const name = persistentPodName(config, identity)
    const ref: PodRef = { namespace: config.pod.namespace, name }
    const start = findOrMake(config, ref, podManifest(config, identity, name), activity).pipe(
      Effect.flatMap((pod) => follow(pod, consoleContainer(config.pod).name, activity)),
      Effect.annotateLogs({ pod: name })
    )
    return yield* withinStartTime(start, { pod: name, timeout: startTimeout(config), activity })
  })
