/**
 * Which pods this process has to delete, for whoever asks what is still there.
 */
import { Effect, Ref, type Scope } from "effect"
import type { PodRef } from "../ports/Pod.ts"

/** How many pods left behind are remembered, so that a cluster that refuses every deletion does not fill the memory. */
const mostLeftBehind = 1000

export interface PodLedger {
  /** Notes the pod until the scope closes. */
  readonly onPod: (pod: PodRef) => Effect.Effect<void, never, Scope.Scope>
  /** Notes a pod whose deletion failed. */
  readonly onLeftBehind: (pod: PodRef) => Effect.Effect<void>
  /** Pods that were asked for and whose deletion is not through, whether it is still to come or has failed. */
  readonly pods: Effect.Effect<ReadonlyArray<PodRef>>
}

export const make: Effect.Effect<PodLedger> = Effect.gen(function*() {
  const open = yield* Ref.make<ReadonlySet<PodRef>>(new Set())
  const left = yield* Ref.make<ReadonlyArray<PodRef>>([])
  return {
    onPod: (pod) =>
      Effect.acquireRelease(
        Ref.update(open, (before) => new Set([...before, pod])),
        () => Ref.update(open, (before) => new Set([...before].filter((other) => other !== pod)))
      ),
    onLeftBehind: (pod) => Ref.update(left, (before) => [...before, pod].slice(-mostLeftBehind)),
    pods: Effect.map(Effect.all([Ref.get(open), Ref.get(left)]), ([before, after]) => [...before, ...after])
  }
})
