/**
 * The objects of a cluster in memory, with what makes writes of several replicas safe in Kubernetes: identities,
 * versions, and preconditions on both.
 */
import { Clock, Effect, Option, SubscriptionRef } from "effect"
import {
  AlreadyExists,
  type ClaimManifest,
  ClusterError,
  type ClusterErrorReason,
  Conflict,
  type LabelQuery,
  type Lease,
  type LeaseManifest,
  type MetadataPatch,
  NotFound,
  type Pod,
  type PodManifest,
  type Precondition
} from "kuberun"

export interface StoredPod {
  readonly pod: Pod
  /** Made by somebody else than the library. */
  readonly foreign: boolean
}

export interface StoreState {
  readonly pods: ReadonlyMap<string, StoredPod>
  readonly leases: ReadonlyMap<string, Lease>
  readonly claims: ReadonlyMap<string, ClaimManifest>
  /** Of the last write; every write has its own. */
  readonly version: number
}

export const fail = (operation: string, reason: ClusterErrorReason) =>
  Effect.fail(new ClusterError({ operation, reason }))

const absent = (operation: string) => fail(operation, new NotFound({ detail: "not found" }))

const matches = (labels: Readonly<Record<string, string>> | undefined, query: LabelQuery): boolean =>
  Object.entries(query.labels).every(([key, value]) => labels?.[key] === value)

const merged = (
  before: Readonly<Record<string, string>> | undefined,
  patch: Readonly<Record<string, string | null>> | undefined
): Readonly<Record<string, string>> => {
  const after = { ...before }
  for (const [key, value] of Object.entries(patch ?? {})) {
    if (value === null) delete after[key]
    else after[key] = value
  }
  return after
}

const holds = (metadata: Pod["metadata"], precondition: Precondition | undefined): boolean =>
  (precondition?.uid === undefined || precondition.uid === metadata.uid) &&
  (precondition?.resourceVersion === undefined || precondition.resourceVersion === metadata.resourceVersion)

const conflict = (operation: string) =>
  fail(operation, new Conflict({ detail: "the object has been modified; the precondition does not hold" }))

const taken = (operation: string, name: string) =>
  fail(operation, new AlreadyExists({ detail: `"${name}" already exists` }))

/** `metav1.Time`: whole seconds. */
const creationTimestamp = Effect.map(
  Clock.currentTimeMillis,
  (now) => new Date(now).toISOString().replace(/\.\d+Z$/, "Z")
)

/** A change of the state with an answer, or a refusal. */
type Step<A> = (now: StoreState, version: number) => Effect.Effect<readonly [A, StoreState], ClusterError>

export const make = Effect.gen(function*() {
  const state = yield* SubscriptionRef.make<StoreState>({
    pods: new Map(),
    leases: new Map(),
    claims: new Map(),
    version: 0
  })
  const write = <A>(step: Step<A>) =>
    SubscriptionRef.modifyEffect(
      state,
      (now) =>
        Effect.map(step(now, now.version + 1), ([answer, next]) =>
          [answer, { ...next, version: now.version + 1 }] as const)
    )
  const versioned = <O extends { readonly metadata: Pod["metadata"] }>(object: O, version: number): O => ({
    ...object,
    metadata: { ...object.metadata, resourceVersion: String(version) }
  })
  const stored = (operation: string, now: StoreState, name: string) =>
    Effect.fromOption(Option.fromUndefinedOr(now.pods.get(name))).pipe(Effect.catch(() => absent(operation)))
  const withPod = (now: StoreState, name: string, pod: StoredPod | undefined): StoreState => {
    const pods = new Map(now.pods)
    if (pod === undefined) pods.delete(name)
    else pods.set(name, pod)
    return { ...now, pods }
  }

  return {
    state,
    createPod: (manifest: PodManifest, foreign: boolean) =>
      write<Pod>((now, version) =>
        Effect.flatMap(creationTimestamp, (created) => {
          const { name } = manifest.metadata
          if (now.pods.has(name)) return taken("create pod", name)
          const pod: Pod = versioned({
            metadata: { ...manifest.metadata, uid: `uid-${version}`, creationTimestamp: created },
            spec: manifest.spec,
            status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }] }
          }, version)
          return Effect.succeed([pod, withPod(now, name, { pod, foreign })])
        })
      ),
    readPod: (name: string) =>
      SubscriptionRef.get(state).pipe(
        Effect.flatMap((now) => stored("read pod", now, name)),
        Effect.map(({ pod }) => pod)
      ),
    /** Changes a pod if it is still the one with this identity. */
    changePod: (name: string, uid: string, change: (pod: Pod) => Pod) =>
      write<void>((now, version) => {
        const found = now.pods.get(name)
        return found === undefined || found.pod.metadata.uid !== uid
          ? Effect.succeed([undefined, now])
          : Effect.succeed([undefined, withPod(now, name, { ...found, pod: versioned(change(found.pod), version) })])
      }).pipe(Effect.orDie),
    patchPod: (name: string, patch: MetadataPatch, precondition: Precondition | undefined) =>
      write<Pod>((now, version) =>
        Effect.flatMap(stored("change pod", now, name), (found) => {
          const { metadata } = found.pod
          if (!holds(metadata, precondition)) return conflict("change pod")
          const pod = versioned({
            ...found.pod,
            metadata: {
              ...metadata,
              labels: merged(metadata.labels, patch.labels),
              annotations: merged(metadata.annotations, patch.annotations)
            }
          }, version)
          return Effect.succeed([pod, withPod(now, name, { ...found, pod })])
        })
      ),
    /** Deletes it and answers its identity. */
    deletePod: (name: string, precondition: Precondition | undefined) =>
      write<string>((now) =>
        Effect.flatMap(stored("delete pod", now, name), ({ pod }) =>
          holds(pod.metadata, precondition)
            ? Effect.succeed([pod.metadata.uid ?? "", withPod(now, name, undefined)])
            : conflict("delete pod"))
      ),
    pods: (query: LabelQuery) =>
      Effect.map(
        SubscriptionRef.get(state),
        (now) =>
          [...now.pods.values()].map(({ pod }) => pod).filter((pod) =>
            pod.metadata.namespace === query.namespace && matches(pod.metadata.labels, query)
          )
      ),
    createClaim: (claim: ClaimManifest) =>
      write<void>((now) => {
        const { name } = claim.metadata
        return now.claims.has(name)
          ? taken("create claim", name)
          : Effect.succeed([undefined, { ...now, claims: new Map(now.claims).set(name, claim) }])
      }),
    createLease: (manifest: LeaseManifest) =>
      write<Lease>((now, version) => {
        const { name } = manifest.metadata
        if (now.leases.has(name)) return taken("create lease", name)
        const lease = versioned({ ...manifest, metadata: { ...manifest.metadata, uid: `uid-${version}` } }, version)
        return Effect.succeed([lease, { ...now, leases: new Map(now.leases).set(name, lease) }])
      }),
    updateLease: (lease: Lease) =>
      write<Lease>((now, version) => {
        const before = now.leases.get(lease.metadata.name)
        if (before === undefined) return absent("renew lease")
        if (!holds(before.metadata, lease.metadata)) return conflict("renew lease")
        const next = versioned(lease, version)
        return Effect.succeed([next, { ...now, leases: new Map(now.leases).set(lease.metadata.name, next) }])
      }),
    leases: (query: LabelQuery) =>
      Effect.map(
        SubscriptionRef.get(state),
        (now) => [...now.leases.values()].filter((lease) => matches(lease.metadata.labels, query))
      ),
    deleteLease: (name: string, precondition: Precondition | undefined) =>
      write<void>((now) => {
        const before = now.leases.get(name)
        if (before === undefined) return absent("delete lease")
        if (!holds(before.metadata, precondition)) return conflict("delete lease")
        const leases = new Map(now.leases)
        leases.delete(name)
        return Effect.succeed([undefined, { ...now, leases }])
      })
  }
})
