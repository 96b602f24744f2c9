/** A client of the API that costs as little as it can: calls over a few connections, and watches of one each. */
import { Data, Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type IncomingMessage } from "node:http"
import { Agent, request } from "node:https"
import { StringDecoder } from "node:string_decoder"

/** The API server answered with something else than success, or not at all. */
export class ApiCallError extends Data.TaggedError("ApiCallError")<{ readonly message: string }> {}

export interface ApiClient {
  /** Any 2xx answer's body. A PATCH is a merge patch. */
  readonly call: (method: string, path: string, body?: object) => Effect.Effect<string, ApiCallError>
  /** Gives every piece of the answer's body as it comes, for as long as the scope. */
  readonly watch: (
    path: string,
    onBytes: (bytes: Buffer) => void
  ) => Effect.Effect<void, ApiCallError, Scope.Scope>
}

/** As many as a busy controller keeps open. */
const connections = 16

const field = (kubeconfig: string, name: string) => new RegExp(`${name}: (\\S+)`).exec(kubeconfig)?.[1] ?? ""

/** For the kubeconfig that a cluster of ours writes: one server, one bearer token. */
export const makeApiClient = (kubeconfig: string): Effect.Effect<ApiClient, never, Scope.Scope> =>
  Effect.gen(function*() {
    const server = field(kubeconfig, "server")
    const ca = Buffer.from(field(kubeconfig, "certificate-authority-data"), "base64")
    const authorization = `Bearer ${field(kubeconfig, "token")}`
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ ca, keepAlive: true, maxSockets: connections })),
      (agent) => Effect.sync(() => agent.destroy())
    )
    const open = (method: string, path: string, body: object | undefined, agent: Agent) =>
      Effect.callback<IncomingMessage, ApiCallError>((resume) => {
        const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json"
        const sent = request(`${server}${path}`, {
          method,
          agent,
          headers: { authorization, "content-type": contentType }
        })
        sent.once("response", (response) => resume(Effect.succeed(response)))
        sent.on("error", ({ message }) => resume(new ApiCallError({ message: `${method} ${path}: ${message}` })))
        sent.end(body === undefined ? undefined : JSON.stringify(body))
        return Effect.sync(() => sent.destroy())
      })
    return {
      call: Effect.fnUntraced(function*(method, path, body) {
        const response = yield* open(method, path, body, agent)
        const text = yield* Effect.tryPromise({
          try: async () => Buffer.concat(await response.toArray()).toString(),
          catch: () => new ApiCallError({ message: `${method} ${path}: the answer was cut off` })
        })
        const { statusCode = 0 } = response
        return statusCode >= 200 && statusCode < 300
          ? text
          : yield* new ApiCallError({ message: `${method} ${path}: ${statusCode} ${text}` })
      }),
      watch: Effect.fnUntraced(function*(path, onBytes) {
        const own = new Agent({ ca, keepAlive: false })
        const response = yield* Effect.acquireRelease(
          open("GET", path, undefined, own),
          (response) => Effect.sync(() => response.destroy())
        )
        response.on("error", () => {})
        response.on("data", onBytes)
      })
    }
  })

/** Puts pieces of a body together to lines. */
export const lines = (onLine: (line: string) => void): (bytes: Buffer) => void => {
  const decoder = new StringDecoder("utf8")
  let rest = ""
  return (bytes) => {
    const [...all] = `${rest}${decoder.write(bytes)}`.split("\n")
    rest = all.pop() ?? ""
    all.forEach(onLine)
  }
}

/** How many lines end in a piece. */
export const countLines = (bytes: Buffer): number => {
  let count = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++
  return count
}
