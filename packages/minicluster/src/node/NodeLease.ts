/** The kubelet's heartbeat: a Lease in `kube-node-lease` that it renews while it lives (KEP-589). */
import { Clock, Effect, Schedule, type Scope } from "effect"
import { makeObject } from "../api/Controllers.ts"
import { type Store } from "../api/Store.ts"
import { type KubeObject } from "../shapes/Objects.ts"
import { type Kubelet } from "./Kubelet.ts"
import { nodeName } from "./Node.ts"

const namespace = "kube-node-lease"
/** `nodeLeaseDurationSeconds`; it is renewed four times in it. */
const leaseSeconds = 40
const renewEvery = "10 seconds"

interface Lease extends KubeObject {
  readonly spec: object
}

/** `metav1.MicroTime` */
const microTime = (millis: number): string => new Date(millis).toISOString().replace("Z", "000Z")

/** Runs until its scope closes. A lost node renews nothing. */
export const keepNodeLease = (
  store: Store,
  kubelet: Pick<Kubelet, "isLost">
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const renew = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (kubelet.isLost()) return Effect.void
      const spec = { holderIdentity: nodeName, leaseDurationSeconds: leaseSeconds, renewTime: microTime(now) }
      return store.update("leases", namespace, nodeName, (lease): Lease => ({ ...lease, spec })).pipe(
        // It is made at the start, and again when somebody has deleted it.
        Effect.catch(() => makeObject(store, "leases", nodeName, namespace, { spec }))
      )
    })
    yield* renew
    yield* renew.pipe(Effect.delay(renewEvery), Effect.repeat(Schedule.forever), Effect.forkScoped)
  })
