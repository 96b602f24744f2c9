/** Where a request goes. */
import { Effect } from "effect"
import { type IncomingMessage } from "node:http"
import { type ApiError, badRequest } from "./Status.ts"

export const urlOf = (request: IncomingMessage): URL => new URL(request.url ?? "/", "https://minicluster")

/** The path's parts, decoded. */
export const decodePath = (url: URL): Effect.Effect<ReadonlyArray<string>, ApiError> =>
  Effect.try({
    try: () => url.pathname.split("/").filter((part) => part !== "").map(decodeURIComponent),
    catch: () => badRequest("the path is not well encoded")
  })
