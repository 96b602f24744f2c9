/** watch: the changes of a resource from a version on, as lines of JSON. */
import { Clock, Effect, Stream } from "effect"
import { type Faults } from "../faults/Faults.ts"
import { type KubeObject } from "../shapes/Objects.ts"
import { groupVersion, type Resource, resourceTypes } from "../shapes/Resources.ts"
import { type Selector } from "../shapes/Selectors.ts"
import { type ApiRequest, type ApiResponse, CutOff } from "./Http.ts"
import { selectorOf } from "./ListWatch.ts"
import { flag, wholeNumber } from "./RequestPath.ts"
import { type ApiError, badRequest, invalid } from "./Status.ts"
import { type Change, type Store } from "./Store.ts"
import { table, wantsTable } from "./Table.ts"

/** About what a real server does; a client may rely on none of it. */
const bookmarkEvery = 60_000
/** A watch without `timeoutSeconds` ends after 30 to 60 minutes, so that clients do not all come back at once. */
const defaultWatch = () => 1_800_000 + Math.random() * 1_800_000

type WatchType = Change["type"] | "BOOKMARK" | "ERROR"

/** What a watcher that selects sees of a change: an object that leaves the selection is deleted, as it was within it. */
const seenAs = (select: Selector, { object, previous, type }: Change): [Change["type"], KubeObject] | undefined => {
  const before = previous !== undefined && select(previous)
  if (type !== "DELETED" && select(object)) return [before ? "MODIFIED" : "ADDED", object]
  if (!before) return undefined
  const { resourceVersion } = object.metadata
  return ["DELETED", type === "DELETED" ? object : { ...previous, metadata: { ...previous.metadata, resourceVersion } }]
}

/** An object is written once for all who watch it. */
const written = new WeakMap<KubeObject, string>()
const write = (object: KubeObject): string => {
  const before = written.get(object)
  if (before !== undefined) return before
  const text = JSON.stringify(object)
  written.set(object, text)
  return text
}

const encode = (text: string) => new TextEncoder().encode(text)

/** `ListOptions` of a watch, judged as `ValidateListOptions` does. */
const optionsOf = Effect.fnUntraced(function*(query: URLSearchParams) {
  const from = query.get("resourceVersion") ?? ""
  if (!/^\d*$/.test(from)) {
    return yield* badRequest(
      `resourceVersion: Invalid value: "${from}": strconv.ParseUint: parsing "${from}": invalid syntax`
    )
  }
  const match = query.get("resourceVersionMatch")
  const asked = query.has("sendInitialEvents")
  const initial = flag(query, "sendInitialEvents")
  const forbidden = (field: string, what: string) =>
    invalid("ListOptions.meta.k8s.io", "", [{
      reason: "FieldValueForbidden",
      field,
      message: `Forbidden: ${what}`
    }])
  if (asked && match !== "NotOlderThan") {
    return yield* forbidden(
      "resourceVersionMatch",
      "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    )
  }
  if (!asked && match !== null) {
    return yield* forbidden(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    )
  }
  const seconds = (yield* wholeNumber(query, "timeoutSeconds")) ?? 0
  const bookmarks = flag(query, "allowWatchBookmarks")
  return {
    from: Number(from),
    // Without a version, or with 0, what there is comes first.
    withInitial: asked ? initial : Number(from) === 0,
    marksInitial: initial && bookmarks,
    ends: (yield* Clock.currentTimeMillis) + (seconds === 0 ? defaultWatch() : seconds * 1000),
    bookmarks,
    withObject: query.get("includeObject")
  }
})

/** `namespace` undefined means all of them, or a resource that has none. Fails with 410 when the history is shorter. */
export const watch = Effect.fnUntraced(
  function*(
    store: Store,
    faults: Faults,
    resource: Resource,
    namespace: string | undefined,
    { accept, query }: ApiRequest
  ) {
    const select = yield* selectorOf(resource, namespace, query)
    const { bookmarks, ends, from, marksInitial, withInitial, withObject } = yield* optionsOf(query)
    const fault = yield* faults.watch(resource)
    const asTable = wantsTable(accept)
    const type = resourceTypes[resource]
    let columns = true
    let seen = 0
    let isCut = false
    const line = (type: WatchType, object: KubeObject, now: number) => {
      const version = object.metadata.resourceVersion
      const shown = asTable
        ? JSON.stringify(table(resource, [object], { version, now, columns, withObject }))
        : write(object)
      columns = false
      return `{"type":"${type}","object":${shown}}\n`
    }

    const initial = withInitial ? yield* store.list(resource, namespace) : undefined
    const since = initial?.version ?? (from === 0 ? yield* store.version : from)
    const body = Stream.unwrap(Effect.gen(function*() {
      const feed = yield* store.follow(since)
      let nextBookmark = (yield* Clock.currentTimeMillis) + bookmarkEvery
      let over = false
      const until = (time: () => number) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Math.max(0, time() - now)))
      const bookmark = (version: number, annotations: object) =>
        `${
          JSON.stringify({
            type: "BOOKMARK",
            object: {
              kind: type.kind,
              apiVersion: groupVersion(type),
              metadata: { resourceVersion: String(version), creationTimestamp: null, ...annotations }
            }
          })
        }\n`
      const periodic = Effect.gen(function*() {
        nextBookmark = (yield* Clock.currentTimeMillis) + bookmarkEvery
        return bookmarks && !asTable ? [bookmark(yield* store.version, {})] : []
      })
      const changes = Effect.gen(function*() {
        const batch = yield* feed.next
        const now = yield* Clock.currentTimeMillis
        return batch.flatMap((change) => {
          const seen = change.resource === resource ? seenAs(select, change) : undefined
          return seen === undefined ? [] : [line(...seen, now)]
        })
      })
      const next: Effect.Effect<ReadonlyArray<string> | undefined, CutOff> = Effect.suspend((): Effect.Effect<
        ReadonlyArray<string> | undefined,
        CutOff | ApiError
      > =>
        isCut ? Effect.fail(new CutOff()) : over ? Effect.succeed(undefined) : Effect.raceAllFirst([
          changes,
          Effect.andThen(until(() => nextBookmark), periodic),
          Effect.as(until(() => ends), undefined)
        ])
      ).pipe(
        Effect.catchTag("ApiError", ({ status }) => {
          over = true
          return Effect.succeed([`${JSON.stringify({ type: "ERROR", object: status })}\n`])
        })
      )
      /** A fault lets so many lines pass, and then does what it is there for. */
      const faulty = (lines: ReadonlyArray<string>) =>
        Effect.gen(function*() {
          const before = seen
          seen += lines.length
          if (fault === undefined || seen <= fault.after) return lines.join("")
          const passing = lines.slice(0, Math.max(0, fault.after - before)).join("")
          if (fault._tag === "Cut") {
            isCut = true
            return passing
          }
          if (fault._tag === "Silent") return passing === "" ? yield* Effect.never : passing
          yield* Effect.sleep(fault.millis)
          return lines.join("")
        })
      const now = yield* Clock.currentTimeMillis
      const first = (initial?.items ?? []).filter(select).map((object) => line("ADDED", object, now))
      const mark = marksInitial
        ? [bookmark(since, { annotations: { "k8s.io/initial-events-end": "true" } })]
        : []
      return Stream.concat(
        Stream.make([...first, ...mark]),
        Stream.fromEffectRepeat(next).pipe(Stream.takeWhile((lines) => lines !== undefined))
      ).pipe(Stream.mapEffect(faulty), Stream.filter((lines) => lines !== ""), Stream.map(encode))
    }))
    // A version that is too old is refused before the stream begins, as an HTTP status.
    yield* Effect.scoped(store.follow(since))
    const answer: ApiResponse = {
      _tag: "Stream",
      contentType: "application/json",
      body: Stream.catchTag(body, "ApiError", (error) => Stream.die(error))
    }
    return answer
  }
)
