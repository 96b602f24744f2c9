/** What the node is given, and what its pods share. */
import { type Effect, type Latch, type Semaphore } from "effect"
import { type Events } from "../api/Events.ts"
import { type Store } from "../api/Store.ts"
import { type Isolation } from "../runtime/Isolation.ts"
import { type VolumeOptions } from "../runtime/Volumes.ts"

export interface KubeletOptions extends Pick<VolumeOptions, "claims" | "hostPath" | "token" | "authority"> {
  readonly store: Store
  readonly events: Events
  readonly isolation: Isolation
  /** Where the pods' folders are made. */
  readonly directory: string
  /** What each container finds in its environment about the cluster. */
  readonly environment: Readonly<Record<string, string>>
}

/** What the node's workers share. */
export interface NodeContext extends KubeletOptions {
  /** Open while the API server can be reached. */
  readonly reachable: Latch.Latch
  /** A few containers at a time are started. */
  readonly starts: Semaphore.Semaphore
  /** Completes at the next change of an object in the namespace that a pod may wait for. */
  readonly objectChanged: (namespace: string) => Effect.Effect<void>
}
