/**
 * The cluster's state, as etcd keeps it: one counter of versions over all objects, and a history of the last changes
 * from which watches are fed.
 *
 * A watcher holds no queue here. It holds the number of the last change that it has seen, reads on from the history and
 * learns of its loss (410 Expired) when it was too slow, so that memory does not grow with the number of watchers.
 */
import { Clock, Effect, PubSub, type Scope } from "effect"
import { type KubeObject, timestamp } from "../shapes/Objects.ts"
import { qualifiedName, type Resource, type Resources, resourceTypes } from "../shapes/Resources.ts"
import { alreadyExists, type ApiError, conflict, expired, notFound } from "./Status.ts"

export interface Change<R extends Resource = Resource> {
  readonly version: number
  readonly resource: R
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  /** The object after the change; for DELETED its last state under the version of the deletion. */
  readonly object: Resources[R]
  /** The object before the change, for a selector that it may have left. */
  readonly previous: Resources[R] | undefined
}

export interface Store {
  readonly version: Effect.Effect<number>
  readonly get: <R extends Resource>(
    resource: R,
    namespace: string,
    name: string
  ) => Effect.Effect<Resources[R], ApiError>
  /** All namespaces when `namespace` is undefined; `version` is what a watch goes on from. */
  readonly list: <R extends Resource>(
    resource: R,
    namespace: string | undefined
  ) => Effect.Effect<{ readonly version: number; readonly items: ReadonlyArray<Resources[R]> }>
  readonly create: <R extends Resource>(resource: R, object: Resources[R]) => Effect.Effect<Resources[R], ApiError>
  /** `change` is given the newest state and decides; answering the same object writes nothing. */
  readonly update: <R extends Resource>(
    resource: R,
    namespace: string,
    name: string,
    change: (current: Resources[R]) => Resources[R]
  ) => Effect.Effect<Resources[R], ApiError>
  /**
   * Ends an object's life: removed at once, or, while it has finalizers, marked as deleted (and then removed by the
   * update that takes the last of them). With a `uid`, only the object of that identity.
   */
  readonly remove: <R extends Resource>(
    resource: R,
    namespace: string,
    name: string,
    uid?: string
  ) => Effect.Effect<Resources[R], ApiError>
  /**
   * Opens a cursor on all changes after `version`. Each `next` answers at least one change, or fails with 410 when the
   * history no longer reaches back.
   */
  readonly follow: (
    version: number
  ) => Effect.Effect<{ readonly next: Effect.Effect<ReadonlyArray<Change>, ApiError> }, ApiError, Scope.Scope>
}

/** Some minutes of a busy little cluster: kubectl's `get -w` does not survive a 410, so it should be rare. */
const defaultHistory = 4096
/** Of the objects in it, as JSON: large ones are forgotten earlier. */
const historyBytes = 64 * 1024 * 1024

const keyOf = (namespace: string | undefined, name: string) => `${namespace ?? ""}/${name}`

export const makeStore = (historyLimit: number = defaultHistory): Effect.Effect<Store> =>
  Effect.gen(function*() {
    // Only `write` changes these, in one synchronous step each.
    let version = 1
    let forgotten = 1
    let history: Array<Change> = []
    let sizes: Array<number> = []
    let held = 0
    const objects = Object.fromEntries(
      Object.keys(resourceTypes).map((resource) => [resource, new Map()])
    ) as unknown as { readonly [R in Resource]: Map<string, Resources[R]> }
    const written = yield* PubSub.sliding<number>(1)

    const versioned = <A extends KubeObject>(object: A): A => ({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(version + 1) }
    })

    const forgetOldest = () => {
      let kept = Math.max(0, history.length - historyLimit)
      held = sizes.slice(kept).reduce((sum, size) => sum + size, 0)
      for (; held > historyBytes / 2 && kept < history.length - 1; kept++) held -= sizes[kept] ?? 0
      history = history.slice(kept)
      sizes = sizes.slice(kept)
    }

    const write = <R extends Resource>(
      type: Change["type"],
      resource: R,
      object: Resources[R],
      previous: Resources[R] | undefined
    ) => {
      version++
      const change = { version, resource, type, object, previous } as Change
      history.push(change)
      sizes.push(JSON.stringify(object).length)
      held += sizes.at(-1) ?? 0
      // Dropping half at a time keeps the cost of a write constant.
      if (history.length >= historyLimit * 2 || held > historyBytes) forgetOldest()
      forgotten = Math.max(forgotten, (history[Math.max(0, history.length - historyLimit)]?.version ?? version) - 1)
      const key = keyOf(object.metadata.namespace, object.metadata.name)
      if (type === "DELETED") objects[resource].delete(key)
      else objects[resource].set(key, object)
      PubSub.publishUnsafe(written, version)
      return object
    }

    const find = <R extends Resource>(resource: R, namespace: string, name: string): Resources[R] | undefined =>
      objects[resource].get(keyOf(resourceTypes[resource].namespaced ? namespace : undefined, name))

    const checked = (since: number) =>
      since < forgotten
        ? Effect.fail(expired(`too old resource version: ${since} (${forgotten})`))
        : Effect.sync(() => {
          // Versions follow each other without gaps, so a position is a subtraction.
          const oldest = history[0]?.version ?? version + 1
          return history.slice(Math.max(0, since + 1 - oldest))
        })

    return {
      version: Effect.sync(() => version),
      get: (resource, namespace, name) =>
        Effect.suspend(() => {
          const found = find(resource, namespace, name)
          return found === undefined ? notFound(qualifiedName(resource), name) : Effect.succeed(found)
        }),
      list: <R extends Resource>(resource: R, namespace: string | undefined) =>
        Effect.sync(() => ({
          version,
          items: Array.from(objects[resource].values()).filter((object) =>
            namespace === undefined || object.metadata.namespace === namespace
          )
        })),
      create: (resource, object) =>
        Effect.suspend(() => {
          const { name, namespace } = object.metadata
          if (find(resource, namespace ?? "", name) !== undefined) return alreadyExists(qualifiedName(resource), name)
          return Effect.succeed(write("ADDED", resource, versioned(object), undefined))
        }),
      update: (resource, namespace, name, change) =>
        Effect.suspend(() => {
          const current = find(resource, namespace, name)
          if (current === undefined) return notFound(qualifiedName(resource), name)
          const changed = change(current)
          if (changed === current) return Effect.succeed(current)
          const over = isOver(changed) ? "DELETED" : "MODIFIED"
          return Effect.succeed(write(over, resource, versioned(changed), current))
        }),
      remove: (resource, namespace, name, uid) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const current = find(resource, namespace, name)
          if (current === undefined) return notFound(qualifiedName(resource), name)
          if (uid !== undefined && uid !== current.metadata.uid) {
            return conflictOf(qualifiedName(resource), name, uid, current.metadata.uid)
          }
          const { deletionTimestamp = timestamp(now), ...metadata } = current.metadata
          const marked = { ...current, metadata: { ...metadata, deletionTimestamp, deletionGracePeriodSeconds: 0 } }
          if (isOver(marked)) return Effect.succeed(write("DELETED", resource, versioned(current), current))
          const before = current.metadata.deletionGracePeriodSeconds
          return Effect.succeed(before === 0 ? current : write("MODIFIED", resource, versioned(marked), current))
        }),
      follow: Effect.fnUntraced(function*(since: number) {
        const wake = yield* PubSub.subscribe(written)
        yield* checked(since)
        let seen = since
        const next: Effect.Effect<ReadonlyArray<Change>, ApiError> = Effect.suspend(() => checked(seen)).pipe(
          Effect.flatMap((changes) => {
            if (changes.length === 0) return Effect.andThen(PubSub.take(wake), next)
            seen = changes[changes.length - 1]?.version ?? seen
            return Effect.succeed(changes)
          })
        )
        return { next }
      })
    }
  })

/** Nobody waits for an object any more that is to go, has no grace left and nobody's finalizer. */
const isOver = ({ metadata }: KubeObject): boolean =>
  metadata.deletionTimestamp !== undefined && (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
  (metadata.finalizers ?? []).length === 0

/** The refusal of a precondition, worded as `storage.Preconditions` words it. */
export const conflictOf = (resource: string, name: string, wanted: string, actual: string): ApiError =>
  conflict(resource, name, `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${actual}`)
