/**
 * What Kubernetes' garbage collector and namespace controller do: dependents go with their owners, and a namespace's
 * content with the namespace.
 */
import { Clock, Effect, type Scope } from "effect"
import { type Propagation } from "../shapes/Decode.ts"
import { withoutEmpty } from "../shapes/ObjectMeta.ts"
import { type KubeObject, type ObjectMeta, type Pod, timestamp } from "../shapes/Objects.ts"
import { type Resource, resourceTypes } from "../shapes/Resources.ts"
import { inform } from "./Informer.ts"
import { type ApiError } from "./Status.ts"
import { type Change, type Store } from "./Store.ts"

const finalizerOf: Readonly<Record<Propagation, string | undefined>> = {
  Background: undefined,
  Foreground: "foregroundDeletion",
  Orphan: "orphan"
}

/**
 * Begins an object's end: with no grace and no finalizers it is gone at once. A grace period in seconds can be
 * shortened by asking again, and not put off.
 */
export const markDeleted = Effect.fnUntraced(function*(
  store: Store,
  resource: Resource,
  object: KubeObject,
  grace: number,
  propagation: Propagation
): Effect.fn.Return<KubeObject, ApiError> {
  const { name, namespace = "", uid } = object.metadata
  const now = yield* Clock.currentTimeMillis
  const finalizer = finalizerOf[propagation]
  const isNamespace = resource === "namespaces"
  if (grace === 0 && finalizer === undefined && !isNamespace) return yield* store.remove(resource, namespace, name, uid)
  return yield* store.update(resource, namespace, name, (current) => {
    const before = current.metadata.deletionGracePeriodSeconds
    // What another fiber replaced meanwhile is not ours to delete.
    if (current.metadata.uid !== uid || (before !== undefined && before <= grace)) return current
    const finalizers = current.metadata.finalizers ?? []
    const more = finalizer === undefined || finalizers.includes(finalizer) ? [] : [finalizer]
    return {
      ...current,
      ...(isNamespace ? { status: { phase: "Terminating" } } : {}),
      metadata: {
        ...current.metadata,
        ...(finalizers.length + more.length === 0 ? {} : { finalizers: [...finalizers, ...more] }),
        deletionTimestamp: timestamp(now + grace * 1000),
        // The namespace's own finalizer stands in its spec: a grace of one keeps the object until its content is gone.
        deletionGracePeriodSeconds: isNamespace ? 1 : grace
      }
    }
  })
})

const resources = Object.keys(resourceTypes) as ReadonlyArray<Resource>

interface Known {
  readonly resource: Resource
  readonly object: KubeObject
}

/** Runs until its scope closes. */
export const runCollector = (store: Store): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    /** By an owner's uid, its dependents by theirs. */
    const dependents = new Map<string, Map<string, Known>>()
    /** By a namespace's name, its content by uid. */
    const content = new Map<string, Map<string, Known>>()
    const ending = new Map<string, KubeObject>()

    const put = (index: Map<string, Map<string, Known>>, key: string, known: Known) => {
      const group = index.get(key) ?? new Map<string, Known>()
      group.set(known.object.metadata.uid, known)
      index.set(key, group)
    }
    const drop = (index: Map<string, Map<string, Known>>, key: string, uid: string) => {
      const group = index.get(key)
      group?.delete(uid)
      if (group?.size === 0) index.delete(key)
    }
    const owners = new Map<string, Known>()
    const ownersOf = (object: KubeObject | undefined) => object?.metadata.ownerReferences ?? []
    /** An owner is in the same namespace as what it owns, or in none. */
    const isOwned = ({ metadata: { namespace } }: KubeObject, uid: string) => {
      const owner = owners.get(uid)?.object.metadata
      return owner !== undefined && (owner.namespace ?? namespace) === namespace
    }
    const learn = (known: Known) => {
      const { namespace, uid } = known.object.metadata
      owners.set(uid, known)
      if (namespace !== undefined) put(content, namespace, known)
      for (const owner of ownersOf(known.object)) put(dependents, owner.uid, known)
    }

    const end = ({ object, resource }: Known) => {
      const pod = object as Pod
      const grace = resource === "pods" && pod.spec.nodeName !== undefined ? pod.spec.terminationGracePeriodSeconds : 0
      const isOver = resource === "pods" && ["Failed", "Succeeded"].includes(pod.status.phase)
      return Effect.ignore(markDeleted(store, resource, object, isOver ? 0 : grace, "Background"))
    }
    /** Whoever has taken the object's name meanwhile stays as they are. */
    const change = ({ object, resource }: Known, of: (metadata: ObjectMeta) => Partial<ObjectMeta>) =>
      Effect.ignore(store.update(resource, object.metadata.namespace ?? "", object.metadata.name, (current) => {
        const { metadata } = current
        return metadata.uid === object.metadata.uid
          ? { ...current, metadata: withoutEmpty({ ...metadata, ...of(metadata) }) }
          : current
      }))
    const withoutFinalizer = (known: Known, finalizer: string) =>
      change(known, ({ finalizers = [] }) => ({ finalizers: finalizers.filter((one) => one !== finalizer) }))
    const disown = (known: Known, owner: string) =>
      change(known, ({ ownerReferences = [] }) => ({
        ownerReferences: ownerReferences.filter(({ uid }) => uid !== owner)
      }))

    /** A namespace that is ending goes once nothing is in it. */
    const finishNamespace = (name: string) => {
      const namespace = ending.get(name)
      if (namespace === undefined || content.has(name)) return Effect.void
      ending.delete(name)
      return Effect.ignore(store.remove("namespaces", "", name, namespace.metadata.uid))
    }

    /** An owner in deletion: its dependents are let go, or end before it. */
    const finishOwner = Effect.fnUntraced(function*(known: Known) {
      const { finalizers = [], uid } = known.object.metadata
      const own = Array.from(dependents.get(uid)?.values() ?? [])
      if (finalizers.includes("orphan")) {
        yield* Effect.forEach(own, (dependent) => disown(dependent, uid), { discard: true })
        yield* withoutFinalizer(known, "orphan")
      } else if (finalizers.includes("foregroundDeletion")) {
        const blocking = own.filter(({ object }) =>
          ownersOf(object).some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true)
        )
        yield* Effect.forEach(own, end, { discard: true })
        if (blocking.length === 0) yield* withoutFinalizer(known, "foregroundDeletion")
      }
    })

    const observe = Effect.fnUntraced(function*({ object, previous, resource, type }: Change) {
      const { deletionTimestamp, namespace, uid } = object.metadata
      const known = { resource, object }
      for (const owner of ownersOf(previous)) drop(dependents, owner.uid, uid)
      if (type === "DELETED") {
        owners.delete(uid)
        if (namespace !== undefined) drop(content, namespace, uid)
        yield* Effect.forEach(dependents.get(uid)?.values() ?? [], (dependent) => {
          const others = ownersOf(dependent.object).filter((owner) => owner.uid !== uid)
          return others.some((owner) => isOwned(dependent.object, owner.uid)) ? disown(dependent, uid) : end(dependent)
        }, { discard: true })
        for (const owner of ownersOf(object)) {
          const waiting = owners.get(owner.uid)
          if (waiting?.object.metadata.deletionTimestamp !== undefined) yield* finishOwner(waiting)
        }
        return namespace === undefined ? undefined : yield* finishNamespace(namespace)
      }
      learn(known)
      if (deletionTimestamp !== undefined) yield* finishOwner(known)
      // An owner that was never there, or is gone already, leaves its dependents nobody to wait for.
      const isLost = ownersOf(object).length > 0 && !ownersOf(object).some((owner) => isOwned(object, owner.uid))
      if (isLost && deletionTimestamp === undefined) yield* end(known)
      if (resource === "namespaces" && deletionTimestamp !== undefined) {
        ending.set(object.metadata.name, object)
        yield* Effect.forEach(content.get(object.metadata.name)?.values() ?? [], end, { discard: true })
        yield* finishNamespace(object.metadata.name)
      } else if (namespace !== undefined && ending.has(namespace) && deletionTimestamp === undefined) {
        yield* end(known)
      }
    })

    const relist = Effect.gen(function*() {
      for (const index of [dependents, content, ending, owners]) index.clear()
      const all = yield* Effect.forEach(resources, (resource) =>
        Effect.map(store.list(resource, undefined), ({ items }) =>
          items.map((object) => ({ resource, object }))))
      // Who owns what must be known before any of them is judged.
      all.flat().forEach(learn)
      for (const known of all.flat()) {
        yield* observe({ ...known, version: 0, type: "ADDED", previous: undefined })
      }
    })
    yield* inform(store, { relist, change: observe })
  })
