/** get, list and watch, which are the same for every resource. */
import { Clock, Effect, Stream } from "effect"
import { type ApiRequest, type ApiResponse, json } from "./Http.ts"
import { type KubeObject } from "./Objects.ts"
import { fieldSelector, labelSelector, type Selector } from "./Selectors.ts"
import { type ApiError, badRequest, invalid } from "./Status.ts"
import { type Change, type Resource, type Store } from "./Store.ts"
import { table, wantsTable } from "./Table.ts"

const kinds: Readonly<Record<Resource, string>> = { pods: "Pod", events: "Event", namespaces: "Namespace" }

/** About what a real server does; a client may rely on none of it. */
const bookmarkEvery = 60_000
/** A watch without `timeoutSeconds` ends after 30 to 60 minutes, so that clients do not all come back at once. */
const defaultWatch = () => 1_800_000 + Math.random() * 1_800_000

export const getObject = Effect.fnUntraced(
  function*(store: Store, resource: Resource, namespace: string, name: string, request: ApiRequest) {
    const found = yield* store.get(resource, namespace, name)
    if (!wantsTable(request.accept)) return json(found)
    const { resourceVersion: version } = found.metadata
    const now = yield* Clock.currentTimeMillis
    return json(
      table(resource, [found], { version, now, columns: true, withObject: request.query.get("includeObject") })
    )
  }
)

const selectorOf = (resource: Resource, namespace: string | undefined, query: URLSearchParams) =>
  Effect.map(
    Effect.all([
      labelSelector(query.get("labelSelector") ?? ""),
      fieldSelector(resource, query.get("fieldSelector") ?? "")
    ]),
    (selectors): Selector => (object) =>
      (namespace === undefined || object.metadata.namespace === namespace) &&
      selectors.every((select) => select(object))
  )

/** `namespace` undefined means all of them, or a resource that has none. */
export const listOrWatch = Effect.fnUntraced(
  function*(store: Store, resource: Resource, namespace: string | undefined, request: ApiRequest) {
    const { accept, query } = request
    const select = yield* selectorOf(resource, namespace, query)
    if (["1", "true"].includes(query.get("watch") ?? "")) return yield* watch(store, resource, select, request)
    const all = yield* store.list(resource, namespace)
    const items = all.items.filter(select)
    const version = String(all.version)
    if (wantsTable(accept)) {
      const now = yield* Clock.currentTimeMillis
      return json(table(resource, items, { version, now, columns: true, withObject: query.get("includeObject") }))
    }
    return json({
      kind: `${kinds[resource]}List`,
      apiVersion: "v1",
      metadata: { resourceVersion: version },
      // An item of a typed list says its kind no more than the list does.
      items: items.map((item) => ({ ...item, apiVersion: undefined, kind: undefined }))
    })
  }
)

type WatchType = Change["type"] | "BOOKMARK" | "ERROR"

/** What a watcher that selects sees of a change: an object that leaves the selection is deleted for it. */
const seenAs = (select: Selector, { object, previous, type }: Change): Change["type"] | undefined => {
  const now = select(object)
  const before = previous !== undefined && select(previous)
  if (type === "DELETED") return now || before ? "DELETED" : undefined
  if (now) return before ? "MODIFIED" : "ADDED"
  return before ? "DELETED" : undefined
}

const watch = Effect.fnUntraced(
  function*(store: Store, resource: Resource, select: Selector, { accept, query }: ApiRequest) {
    if (query.get("sendInitialEvents") !== null) {
      return yield* invalid("ListOptions.meta.k8s.io", "", [{
        reason: "FieldValueForbidden",
        field: "sendInitialEvents",
        message: "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
      }])
    }
    const from = query.get("resourceVersion") ?? ""
    if (!/^\d*$/.test(from)) {
      return yield* badRequest(
        `resourceVersion: Invalid value: "${from}": strconv.ParseUint: parsing "${from}": invalid syntax`
      )
    }
    const seconds = Number(query.get("timeoutSeconds") ?? 0)
    const ends = (yield* Clock.currentTimeMillis) + (seconds > 0 ? seconds * 1000 : defaultWatch())
    const bookmarks = ["1", "true"].includes(query.get("allowWatchBookmarks") ?? "")
    const asTable = wantsTable(accept)
    const withObject = query.get("includeObject")
    let columns = true
    const line = (type: WatchType, object: KubeObject, now: number) => {
      const version = object.metadata.resourceVersion
      const shown = asTable ? table(resource, [object], { version, now, columns, withObject }) : object
      columns = false
      return `${JSON.stringify({ type, object: shown })}\n`
    }
    const encode = (text: string) => new TextEncoder().encode(text)

    const initial = from === "" || from === "0" ? yield* store.list(resource, undefined) : undefined
    const since = initial?.version ?? Number(from)
    const body = Stream.unwrap(Effect.gen(function*() {
      const feed = yield* store.follow(since)
      let nextBookmark = (yield* Clock.currentTimeMillis) + bookmarkEvery
      let over = false
      const untilNextBookmark = Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => Effect.sleep(Math.max(0, nextBookmark - now))
      )
      const untilEnd = Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Math.max(0, ends - now)))
      const bookmark = Effect.gen(function*() {
        nextBookmark = (yield* Clock.currentTimeMillis) + bookmarkEvery
        if (!bookmarks || asTable) return ""
        const resourceVersion = String(yield* store.version)
        const object = {
          kind: kinds[resource],
          apiVersion: "v1",
          metadata: { resourceVersion, creationTimestamp: null }
        }
        return `${JSON.stringify({ type: "BOOKMARK", object })}\n`
      })
      const changes = Effect.gen(function*() {
        const batch = yield* feed.next
        const now = yield* Clock.currentTimeMillis
        let lines = ""
        for (const change of batch) {
          const type = change.resource === resource ? seenAs(select, change) : undefined
          if (type !== undefined) lines += line(type, change.object, now)
        }
        return lines
      })
      const next = Effect.suspend(() =>
        over ? Effect.succeed(undefined) : Effect.raceAllFirst([
          changes,
          Effect.andThen(untilNextBookmark, bookmark),
          Effect.as(untilEnd, undefined)
        ])
      ).pipe(
        Effect.catch(({ status }) => {
          over = true
          return Effect.succeed(`${JSON.stringify({ type: "ERROR", object: status })}\n`)
        })
      )
      const now = yield* Clock.currentTimeMillis
      const first = (initial?.items ?? []).filter(select).map((object) => line("ADDED", object, now)).join("")
      return Stream.concat(
        Stream.make(first),
        Stream.fromEffectRepeat(next).pipe(Stream.takeWhile((lines) => lines !== undefined))
      ).pipe(Stream.filter((lines) => lines !== ""), Stream.map(encode))
    }))
    // A version that is too old is refused before the stream begins, as an HTTP status.
    yield* Effect.scoped(store.follow(since))
    const answer: ApiResponse = { _tag: "Stream", contentType: "application/json", body: Stream.orDie(body) }
    return answer
  }
)

/** Fails with 404 when the namespace does not exist. */
export const requireNamespace = (store: Store, namespace: string): Effect.Effect<unknown, ApiError> =>
  store.get("namespaces", "", namespace)
