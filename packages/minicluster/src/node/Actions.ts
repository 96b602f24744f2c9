/** What hooks and probes do: run a program in the container, ask by HTTP, connect, or wait. */
import { Data, Effect } from "effect"
import { Buffer } from "node:buffer"
import { type IncomingMessage, request as requestHttp } from "node:http"
import { request as requestHttps } from "node:https"
import { connect } from "node:net"
import { type ByteSource } from "../runtime/Bytes.ts"
import { type RunningContainer } from "../runtime/Container.ts"
import { type Action, type Container } from "../shapes/Objects.ts"
import { nodeAddress } from "./Node.ts"

/** The action did not succeed; `message` is worded as the kubelet's probes word it. */
export class ActionFailed extends Data.TaggedError("ActionFailed")<{
  readonly message: string
  /** It could not even be done, and so says nothing about the container. */
  readonly undone?: true
}> {}

/** As much of a program's output as the kubelet keeps. */
const outputLimit = 10 * 1024

const outputOf = Effect.fnUntraced(function*(sources: ReadonlyArray<ByteSource | undefined>) {
  const pieces: Array<Uint8Array> = []
  let size = 0
  const drain = Effect.fnUntraced(function*(source: ByteSource) {
    for (let bytes = yield* source.read; bytes !== undefined; bytes = yield* source.read) {
      if (size < outputLimit) pieces.push(bytes)
      size += bytes.length
    }
  })
  const present = sources.flatMap((source) => source ?? [])
  yield* Effect.forEach(present, drain, { concurrency: "unbounded", discard: true })
  return Buffer.concat(pieces).subarray(0, outputLimit).toString()
})

const exec = (container: RunningContainer, argv: ReadonlyArray<string>): Effect.Effect<void, ActionFailed> =>
  Effect.scoped(Effect.gen(function*() {
    const program = yield* container.exec({ argv, stdin: false, stdout: true, stderr: true, terminal: undefined })
    // One that is waited for no longer is ended, as the runtime ends it.
    yield* Effect.addFinalizer(() => program.kill)
    const [exitCode, output] = yield* Effect.all(
      [program.exitCode, outputOf([program.stdout, program.stderr])],
      { concurrency: "unbounded" }
    )
    if (exitCode !== 0) return yield* new ActionFailed({ message: output })
  })).pipe(Effect.catchTag(
    "RuntimeError",
    ({ message }) => new ActionFailed({ message: `rpc error: code = Unknown desc = ${message}`, undone: true })
  ))

/** A port by its number, or by the name that the container gives it. */
const portOf = (spec: Container, port: number | string): Effect.Effect<number, ActionFailed> => {
  const number = typeof port === "number" || /^\d+$/.test(port)
    ? Number(port)
    : spec.ports?.find(({ name }) => name === port)?.containerPort
  return number === undefined
    ? Effect.fail(new ActionFailed({ message: `strconv.Atoi: parsing "${port}": invalid syntax`, undone: true }))
    : Effect.succeed(number)
}

/** Node's error of a connection in Go's words. */
const dialError = (address: string, error: Error): string => {
  const code = "code" in error ? String(error.code) : ""
  if (code === "ECONNREFUSED") return `dial tcp ${address}: connect: connection refused`
  if (code === "ECONNRESET") return `read tcp ${address}: read: connection reset by peer`
  return code === "ENOTFOUND" ? `dial tcp: lookup ${address}: no such host` : error.message
}

const httpGet = Effect.fnUntraced(function*(spec: Container, get: NonNullable<Action["httpGet"]>) {
  const port = yield* portOf(spec, get.port)
  const host = get.host ?? nodeAddress
  const scheme = (get.scheme ?? "HTTP").toLowerCase()
  const path = get.path ?? "/"
  const url = `${scheme}://${host}:${port}${path.startsWith("/") ? path : `/${path}`}`
  const given = (get.httpHeaders ?? []).map(({ name, value }) => [name, value] as const)
  const status = yield* Effect.callback<number, ActionFailed>((resume) => {
    const options = {
      agent: false,
      headers: { "User-Agent": "kube-probe/1.32", Accept: "*/*", Connection: "close", ...Object.fromEntries(given) },
      // A probe asks whether something answers, not who: the kubelet checks no certificate either.
      rejectUnauthorized: false
    }
    const answered = (response: IncomingMessage) => {
      response.destroy()
      resume(Effect.succeed(response.statusCode ?? 0))
    }
    const call = scheme === "https" ? requestHttps(url, options, answered) : requestHttp(url, options, answered)
    call.on("error", (error) => {
      resume(new ActionFailed({ message: `Get "${url}": ${dialError(`${host}:${port}`, error)}` }))
    })
    call.end()
    return Effect.sync(() => call.destroy())
  }).pipe(Effect.catchDefect((defect) => new ActionFailed({ message: `Get "${url}": ${String(defect)}` })))
  if (status < 200 || status >= 400) {
    return yield* new ActionFailed({ message: `HTTP probe failed with statuscode: ${status}` })
  }
})

const tcpSocket = Effect.fnUntraced(function*(spec: Container, target: NonNullable<Action["tcpSocket"]>) {
  const port = yield* portOf(spec, target.port)
  const host = target.host ?? nodeAddress
  yield* Effect.callback<void, ActionFailed>((resume) => {
    const socket = connect({ host, port })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.on("error", (error) => resume(new ActionFailed({ message: dialError(`${host}:${port}`, error) })))
    return Effect.sync(() => socket.destroy())
  })
})

/** Does it, however long that takes. */
export const act = (
  action: Action,
  spec: Container,
  container: RunningContainer
): Effect.Effect<void, ActionFailed> => {
  if (action.exec !== undefined) return exec(container, action.exec.command ?? [])
  if (action.httpGet !== undefined) return httpGet(spec, action.httpGet)
  if (action.tcpSocket !== undefined) return tcpSocket(spec, action.tcpSocket)
  return action.sleep === undefined
    ? Effect.fail(new ActionFailed({ message: "missing handler" }))
    : Effect.sleep(`${action.sleep.seconds} seconds`)
}

const timeoutMessage = (action: Action, seconds: number): string => {
  if (action.exec !== undefined) {
    return `command timed out: "${(action.exec.command ?? []).join(" ")}" timed out after ${seconds}s`
  }
  return action.httpGet === undefined
    ? "dial tcp: i/o timeout"
    : "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
}

/** Does it within so many seconds. */
export const actWithin = (
  action: Action,
  seconds: number,
  spec: Container,
  container: RunningContainer
): Effect.Effect<void, ActionFailed> =>
  Effect.timeoutOrElse(act(action, spec, container), {
    duration: `${seconds} seconds`,
    orElse: () => new ActionFailed({ message: timeoutMessage(action, seconds) })
  })
