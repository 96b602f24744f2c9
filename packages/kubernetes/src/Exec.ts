/**
 * The streams of a program in a container: the port's `exec` and `attach` over `ExecSocket`.
 */
import { Duration, Effect, type Scope, Sink, Stream } from "effect"
import {
  type AttachRequest,
  CallTimedOut,
  type ClusterError,
  type ExecProcess,
  type ExecRequest,
  type TerminalSize,
  Unsupported
} from "kuberun"
import type { ApiAccess } from "./ApiAccess.ts"
import type { ApiCallOptions } from "./ApiCall.ts"
import { failed } from "./ApiFault.ts"
import * as ExecSocket from "./ExecSocket.ts"
import * as ExecWire from "./ExecWire.ts"
import * as Liveness from "./Liveness.ts"

/**
 * After the status, servers close at once. One that does not, and sends nothing more for this long, has said all: the
 * close is then ours.
 */
export const QUIET_AFTER_STATUS = Duration.seconds(5)

/** Waits for the status and then for silence; completes when we should end what the server does not. */
const quietAfterStatus = (socket: ExecSocket.ExecSocket) =>
  Effect.gen(function*() {
    yield* socket.told
    let before = -1
    // While the reader is behind, more may be on its way to us.
    while (socket.output.isPaused() || socket.received() !== before) {
      before = socket.received()
      yield* Effect.sleep(QUIET_AFTER_STATUS)
    }
  })

const heartbeat = (socket: ExecSocket.ExecSocket) =>
  Effect.sync(() => socket.beat()).pipe(Effect.delay(Liveness.PING_INTERVAL), Effect.forever)

/** What to open, and what for. */
interface StreamsRequest {
  readonly url: string
  readonly operation: string
  readonly terminal?: TerminalSize | undefined
}

/**
 * stdin as a sink. When the program ends first, it completes early: the rest is for nobody. Its end closes the
 * program's stdin, which only v5 can say; a terminal has no such end, the other programs would wait for ever.
 */
const stdinOf = (
  socket: ExecSocket.ExecSocket,
  subprotocol: string,
  request: StreamsRequest,
  operation: string
): ExecProcess["stdin"] =>
  Sink.forEachWhileArray<Uint8Array, ClusterError, never>(socket.write).pipe(
    Sink.mapEffect(() => {
      if (subprotocol === ExecWire.V5) return socket.send(ExecWire.closeStdin())
      if (request.terminal !== undefined) return Effect.void
      const detail = "this cluster is too old to be told the end of standard input (it needs Kubernetes 1.30)"
      return Effect.fail(failed(operation)(new Unsupported({ detail })))
    })
  )

/** Opens the streams at `url`. */
const open = Effect.fn("Exec.open")(function*(
  access: ApiAccess,
  options: ApiCallOptions,
  request: StreamsRequest
): Effect.fn.Return<ExecProcess, ClusterError, Scope.Scope> {
  const { operation } = request
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const tellUnknownChannel = (channel: number) => {
    run(Effect.logWarning(`the cluster sent a message on the unknown channel ${channel}; it is skipped`))
  }
  yield* options.turn(operation)
  const { socket, subprotocol } = yield* Effect.gen(function*() {
    const socketAccess = yield* access.forSocket(operation)
    const socket = yield* ExecSocket.make(request.url, socketAccess, operation, tellUnknownChannel)
    return { socket, subprotocol: yield* socket.opened }
  }).pipe(
    Effect.tapError((error) => error.reason._tag === "Unauthorized" ? access.refused : Effect.void),
    Effect.timeoutOrElse({
      duration: options.timeout,
      orElse: () => {
        const detail = `the API server did not accept the stream within ${Duration.format(options.timeout)}`
        return Effect.fail(failed(operation)(new CallTimedOut({ detail })))
      }
    })
  )
  const resize = (size: TerminalSize) => {
    const message = request.terminal === undefined ? undefined : ExecWire.resizeMessage(size)
    if (message !== undefined) socket.post(message)
  }
  if (request.terminal !== undefined) resize(request.terminal)
  yield* Effect.raceFirst(heartbeat(socket), quietAfterStatus(socket)).pipe(
    Effect.andThen(Effect.sync(() => socket.finish())),
    Effect.forkScoped
  )
  return {
    stdin: stdinOf(socket, subprotocol, request, operation),
    output: Stream.fromPull(Effect.succeed(socket.output.pull)),
    resize: (size) => Effect.sync(() => resize(size)),
    exit: socket.exit
  }
})

/** As the port says it. */
export const exec = (access: ApiAccess, options: ApiCallOptions, request: ExecRequest) =>
  open(access, options, {
    url: ExecWire.execUrl(access.server, request),
    operation: `run a program in pod ${request.pod.namespace}/${request.pod.name}, container ${request.container}`,
    terminal: request.terminal
  })

/** As the port says it. */
export const attach = (access: ApiAccess, options: ApiCallOptions, request: AttachRequest) =>
  open(access, options, {
    url: ExecWire.attachUrl(access.server, request),
    operation: `connect with pod ${request.pod.namespace}/${request.pod.name}, container ${request.container}`,
    terminal: request.terminal
  })
