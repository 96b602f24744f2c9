/**
 * Mode `user`: one pod for each user, shared by all the user's connections of all replicas, made with the first of them
 * and deleted `linger` after the last.
 *
 * Its name is the lock by which it is made once; its annotations say who holds it (`Holders.ts`).
 */
import { Duration, Effect, type Scope } from "effect"
import { type Config, consoleContainer, startTimeout } from "../config/Config.ts"
import type { PodRequest, PodSource } from "../pod/PodSource.ts"
import { follow, withinStartTime } from "../pod/RunningPod.ts"
import type { Cluster } from "../ports/Cluster.ts"
import type { PodRef } from "../ports/Pod.ts"
import { userPodName } from "../template/PodName.ts"
import { podManifest, userClaim } from "../template/PodTemplate.ts"
import { holderKey } from "./Holders.ts"
import * as Linger from "./Linger.ts"
import { take } from "./PodHold.ts"
import * as PodHolds from "./PodHolds.ts"
import type { Replica } from "./Replica.ts"
import * as Sweeper from "./Sweeper.ts"
import { onOurClock } from "./SweepPlan.ts"

/**
 * The pods of an installation's users, as this replica serves them. When the scope closes, pods whose linger is not over
 * stay for the other replicas, or for the next start; connections have to be closed before.
 *
 * A connection that ends gives its hold up before its scope has closed. Without `linger` the last one also deletes the
 * pod, and is told of it as `PodRequest` says; with it, the pod is nobody's duty but the installation's.
 */
export const make = Effect.fn("UserPods.make")(function*(
  config: Config,
  replica: Replica
): Effect.fn.Return<PodSource, never, Cluster | Scope.Scope> {
  const holds = yield* PodHolds.make(config, replica, yield* Linger.make(config))
  yield* Effect.forkScoped(Sweeper.run(holds))
  const container = consoleContainer(config.pod).name
  const lastDeletes = Duration.isZero(config.pod.linger)

  return Effect.fn("UserPods.source")(function*({ activity, identity, onLeftBehind, onPod }: PodRequest) {
    const { username } = identity
    const name = userPodName(config, username)
    const ref: PodRef = { namespace: config.pod.namespace, name }
    if (lastDeletes) yield* onPod(ref)
    const start = Effect.gen(function*() {
      yield* replica.registered
      const pod = yield* take(holds, {
        username,
        container,
        key: holderKey(identity.connectionId),
        manifest: podManifest(config, identity, name),
        claim: userClaim(config, username),
        activity,
        onLeftBehind: lastDeletes ? onLeftBehind(ref) : Effect.void
      })
      const running = yield* follow(pod, container, activity)
      // As the sweeper counts: an end that another clock says would come while the pod lives on.
      return { ...running, created: onOurClock(running.created, yield* replica.clockLead) ?? running.created }
    }).pipe(Effect.annotateLogs({ pod: name }))
    return yield* withinStartTime(start, { pod: name, timeout: startTimeout(config), activity })
  })
})
