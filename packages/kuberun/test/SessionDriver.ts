/**
 * One session channel of one connection over a fake cluster, for tests under TestClock.
 */
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Sink, Stream } from "effect"
import { type Config, decodeConfig, type ExecProcess, Kuberun, type Output, type TerminalSize } from "kuberun"

export const encoder = new TextEncoder()
export const stdout = (text: string): Output => ({ _tag: "Stdout", bytes: encoder.encode(text) })
export const size = (columns: number, rows: number): TerminalSize => ({ columns, rows })
export const terminal = { _tag: "Terminal", term: "xterm", size: size(80, 24), modes: new Map() } as const

/** One connection over a fake cluster, with a channel open on it and the pod up. */
export const connect = Effect.fn(function*(plan: Partial<FakeCluster.FakeClusterPlan> = {}, options: {
  readonly config?: unknown
  readonly read?: Effect.Effect<void>
  readonly identity?: Parameters<typeof FakeSsh.makeConnection>[0]
} = {}) {
  const settings: Config = yield* Effect.orDie(decodeConfig(options.config ?? {}))
  const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, ...plan })
  const connection = yield* FakeSsh.makeConnection(options.identity)
  const client = yield* FakeSsh.makeClient(options.read)
  const fiber = yield* Kuberun.use((kuberun) => kuberun.handle(connection.connection)).pipe(
    Effect.provide(Kuberun.layer(settings)),
    Effect.provide(layer),
    Effect.forkChild({ startImmediately: true })
  )
  yield* connection.open(client.channel)
  return { client, connection, fiber, world }
})

/** A program that writes `outputs` and ends with `code`, never reading its stdin. */
export const writing = (outputs: ReadonlyArray<Output>, code = 0): Effect.Effect<ExecProcess> =>
  Effect.succeed({
    stdin: Sink.forEach(() => Effect.never),
    output: Stream.fromIterable(outputs),
    resize: () => Effect.void,
    exit: Effect.succeed({ _tag: "Exited", code })
  })

export const settled = Time.pass("100 millis")

export const statuses = (client: FakeSsh.FakeClient) =>
  Effect.map(client.exits, (exits) => exits.map(({ status }) => status))
