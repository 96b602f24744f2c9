/**
 * List, then watch from where the list ended (Kubernetes API concepts, "Efficient detection of changes").
 */
import { Duration, Effect, Stream } from "effect"
import { type ClusterError, type ClusterErrorReason, ProtocolViolation, StreamLost } from "kuberun"
import type { ApiCall } from "./ApiCall.ts"
import { failed, faultOfAnswer, isRecord, parseJson, statusBody } from "./ApiFault.ts"
import * as JsonLines from "./JsonLines.ts"
import { query, type Selector } from "./Selector.ts"

/** An object of the API as it came: nothing is left out, nothing is converted. */
export type ApiObject = Readonly<Record<string, unknown>>

export type WatchEvent =
  | { readonly _tag: "Put"; readonly object: ApiObject }
  | { readonly _tag: "Removed"; readonly object: ApiObject }

/** The state at the beginning, then what happens after it. */
export interface Watched {
  readonly initial: ReadonlyArray<ApiObject>
  readonly changes: Stream.Stream<WatchEvent, ClusterError>
}

/**
 * After this much silence the connection counts as dead. Bookmarks come about once a minute, so two have been missed;
 * a server that sends none is asked again two and a half minutes later, at the price of one list.
 */
export const SILENCE_LIMIT = Duration.seconds(150)

/**
 * How long the server is asked to keep a watch open, spread so that many do not end together. client-go asks for 5 to
 * 10 minutes.
 */
const WATCH_SECONDS = { least: 300, spread: 300 }

/** The longest line. An object is stored in at most 1.5 MiB, and JSON says it in about as much. */
const LINE_LIMIT_BYTES = 4 * 1024 * 1024

type Line = WatchEvent | { readonly _tag: "Bookmark" } | { readonly _tag: "Fault"; readonly reason: ClusterErrorReason }

const violation = (detail: string): Line => ({ _tag: "Fault", reason: new ProtocolViolation({ detail }) })

/** What one line of a watch says. */
export const readLine = (line: string): Line => {
  const event = parseJson(line)
  if (!isRecord(event)) return violation("a line of the watch is not a JSON object")
  const object = event["object"]
  if (!isRecord(object)) return violation("an event of the watch has no object")
  switch (event["type"]) {
    case "ADDED":
    case "MODIFIED":
      return { _tag: "Put", object }
    case "DELETED":
      return { _tag: "Removed", object }
    case "BOOKMARK":
      return { _tag: "Bookmark" }
    case "ERROR":
      return {
        _tag: "Fault",
        reason: faultOfAnswer({ code: statusBody(object)?.code ?? 500, body: JSON.stringify(object) })
      }
    default:
      return violation(`the watch has an event of the unknown type ${JSON.stringify(event["type"])}`)
  }
}

/** The items of a list, and the version that it shows. */
export const listed = (operation: string, value: unknown) => {
  const items = isRecord(value) ? value["items"] : undefined
  const metadata = isRecord(value) ? value["metadata"] : undefined
  const version = isRecord(metadata) ? metadata["resourceVersion"] : undefined
  // `null` is how Go writes an empty list that nobody filled.
  const objects = items === null ? [] : items
  return Array.isArray(objects) && objects.every(isRecord) && typeof version === "string"
    ? Effect.succeed({ items: objects, version })
    : Effect.fail(failed(operation)(new ProtocolViolation({ detail: "the API server's answer is not a list" })))
}

/** Lines out of the stream of bytes; a line that is begun and not ended means that the connection was cut. */
const lines = (
  operation: string,
  bytes: Stream.Stream<Uint8Array, ClusterError>
): Stream.Stream<string, ClusterError> =>
  Stream.suspend(() => {
    const splitter = JsonLines.make()
    return bytes.pipe(
      Stream.mapEffect((chunk) => {
        const complete = splitter.push(chunk)
        return splitter.pending() > LINE_LIMIT_BYTES
          ? Effect.fail(
            failed(operation)(
              new ProtocolViolation({ detail: `a line of the watch is longer than ${LINE_LIMIT_BYTES} bytes` })
            )
          )
          : Effect.succeed(complete)
      }),
      Stream.flattenIterable,
      Stream.concat(Stream.suspend(() =>
        splitter.pending() === 0
          ? Stream.empty
          : Stream.fail(failed(operation)(new StreamLost({ detail: "the watch was cut in the middle of a line" })))
      ))
    )
  })

/**
 * Lists the collection at `path` and prepares the watch of everything after. The changes end when the server ends the
 * watch; they fail with `Expired` when it has forgotten the beginning, and with `StreamLost` when the connection
 * breaks or says nothing for too long.
 */
export const watch = Effect.fn("Watch.watch")(function*(
  api: ApiCall,
  operation: string,
  path: string,
  selector: Selector
): Effect.fn.Return<Watched, ClusterError> {
  const list = yield* api.json(operation, { method: "GET", path: `${path}?${query(selector)}` })
  const { items, version } = yield* listed(operation, list)
  const changes = Stream.suspend(() => {
    const timeoutSeconds = WATCH_SECONDS.least + Math.floor(Math.random() * WATCH_SECONDS.spread)
    const parameters = query({
      watch: "true",
      ...selector,
      resourceVersion: version,
      allowWatchBookmarks: "true",
      timeoutSeconds: String(timeoutSeconds)
    })
    const bytes = api.bytes(operation, { method: "GET", path: `${path}?${parameters}` }).pipe(
      Stream.timeoutOrElse({
        duration: SILENCE_LIMIT,
        orElse: () => {
          const detail = `the watch was silent for ${Duration.format(SILENCE_LIMIT)}`
          return Stream.fail(failed(operation)(new StreamLost({ detail })))
        }
      })
    )
    return lines(operation, bytes).pipe(
      Stream.mapEffect((line) => {
        const event = readLine(line)
        if (event._tag === "Fault") return Effect.fail(failed(operation)(event.reason))
        return Effect.succeed<ReadonlyArray<WatchEvent>>(event._tag === "Bookmark" ? [] : [event])
      }),
      Stream.flattenIterable
    )
  })
  return { initial: items, changes }
})
