/**
 * What the kubelet says in Events, and nowhere else: that it is pulling an image.
 */
import { Deferred, Effect, Ref, Stream, SubscriptionRef } from "effect"
import { Cluster, type PodNotice } from "../ports/Cluster.ts"
import type { Pod } from "../ports/Pod.ts"
import type { PodStartError } from "./PodStartError.ts"

/** What an Event of the kubelet's says about the pull of an image; `undefined` where it says nothing about one. */
const pullActivity = ({ message, reason }: PodNotice): { readonly pulling: string | undefined } | undefined => {
  const image = /image "([^"]+)"/.exec(message)?.[1]
  if (reason === "Pulling" && image !== undefined) return { pulling: `pulling image ${image}` }
  return reason === "Pulled" || reason === "Failed" || reason === "BackOff" ? { pulling: undefined } : undefined
}

/**
 * Until the image is there, that it is being pulled goes before what the pod's status says. Without the right to see
 * Events nothing is lost. Runs until the pod is ready or has failed.
 */
export const pullNotices = (
  pod: Pod,
  activity: SubscriptionRef.SubscriptionRef<string>,
  pulling: Ref.Ref<string | undefined>,
  ready: Deferred.Deferred<void, PodStartError>
): Effect.Effect<void, never, Cluster> =>
  Cluster.use((cluster) =>
    cluster.podNotices({ ...pod.metadata, uid: pod.metadata.uid ?? "" }).pipe(
      Stream.runForEach(Effect.fnUntraced(function*(notice) {
        const said = pullActivity(notice)
        if (said === undefined) return
        yield* Ref.set(pulling, said.pulling)
        if (said.pulling !== undefined) yield* SubscriptionRef.set(activity, said.pulling)
      })),
      Effect.catch((error) => Effect.logDebug(error.message)),
      Effect.raceFirst(Effect.exit(Deferred.await(ready))),
      Effect.asVoid
    )
  )
