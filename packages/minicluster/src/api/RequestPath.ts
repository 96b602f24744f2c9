/** Where a request goes, and what its query says. */
import { Effect } from "effect"
import { type IncomingMessage } from "node:http"
import { type ApiError, badRequest } from "./Status.ts"

const origin = "https://minicluster"

/** What follows two slashes is a path too, and no host; a target that is no URL at all is the root. */
export const urlOf = ({ url = "/" }: IncomingMessage): URL =>
  URL.parse(url.startsWith("/") ? `${origin}${url}` : url, origin) ?? new URL(origin)

/** `Convert_Slice_string_To_bool` of apimachinery: whatever is not said to be off is on. */
export const flag = (query: URLSearchParams, name: string): boolean =>
  !["false", "0"].includes(query.get(name)?.toLowerCase() ?? "false")

/** A whole number as Go reads one, or nothing for one that is not given. */
export const wholeNumber = (query: URLSearchParams, name: string): Effect.Effect<number | undefined, ApiError> => {
  const text = query.get(name)
  if (text === null || text === "") return Effect.undefined
  return /^[+-]?\d{1,15}$/.test(text)
    ? Effect.succeed(Number(text))
    : Effect.fail(badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`))
}

/** The path's parts, decoded. */
export const decodePath = (url: URL): Effect.Effect<ReadonlyArray<string>, ApiError> =>
  Effect.try({
    try: () => url.pathname.split("/").filter((part) => part !== "").map(decodeURIComponent),
    catch: () => badRequest("the path is not well encoded")
  })
