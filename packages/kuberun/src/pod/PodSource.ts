/**
 * Where a connection's pod comes from: the shape that the modes share, and the mode of kuberun v0.9.3.
 */
import { Effect, Random, type Scope, type SubscriptionRef } from "effect"
import { type Config, consoleContainer, startTimeout, stopTimeout } from "../config/Config.ts"
import type { Cluster } from "../ports/Cluster.ts"
import type { Identity } from "../ports/Identity.ts"
import type { PodRef } from "../ports/Pod.ts"
import { nameAlphabet } from "../template/Fingerprint.ts"
import { podManifest } from "../template/PodTemplate.ts"
import * as PodLifetime from "./PodLifetime.ts"
import type { PodStartError } from "./PodStartError.ts"
import type { RunningPod } from "./RunningPod.ts"

/** Whose pod is asked for, and who is told what. */
export interface PodRequest {
  readonly identity: Identity
  /** Told what the pod is doing while it starts. */
  readonly activity: SubscriptionRef.SubscriptionRef<string>
  /** Told of a pod whose deletion is this connection's duty, before it is created; and, by the scope, when it is through. */
  readonly onPod: (pod: PodRef) => Effect.Effect<void, never, Scope.Scope>
  /** Told, after the scope has closed, of a pod that could not be deleted, or may still appear. */
  readonly onLeftBehind: (pod: PodRef) => Effect.Effect<void>
}

/**
 * Gives a pod that is ready, to be used as long as the scope is open. What the scope's end means to the pod is the
 * source's affair.
 */
export type PodSource = (request: PodRequest) => Effect.Effect<RunningPod, PodStartError, Cluster | Scope.Scope>

const nameSuffixLength = 20

/** A name that no other pod has. */
export const randomPodName = (prefix: string): Effect.Effect<string> =>
  Random.nextIntBetween(0, nameAlphabet.length, { halfOpen: true }).pipe(
    Effect.replicateEffect(nameSuffixLength),
    Effect.map((places) => `${prefix}${places.map((place) => nameAlphabet[place]).join("")}`)
  )

/** Mode `connection`: a pod of the connection's own, created now and deleted with the scope. */
export const ownPod = (config: Config): PodSource =>
  Effect.fnUntraced(function*({ activity, identity, onLeftBehind, onPod }: PodRequest) {
    const manifest = podManifest(config, identity, yield* randomPodName(config.pod.namePrefix))
    const ref: PodRef = { namespace: manifest.metadata.namespace, name: manifest.metadata.name }
    yield* onPod(ref)
    return yield* PodLifetime.acquire({
      manifest,
      container: consoleContainer(config.pod).name,
      startTimeout: startTimeout(config),
      stopTimeout: stopTimeout(config),
      onLeftBehind: onLeftBehind(ref),
      activity
    })
  })
