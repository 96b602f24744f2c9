/**
 * Policies in front of a handler without pods, for tests under TestClock.
 */
import { FakeHandler, FakeSsh } from "@kuberun/testkit"
import { Effect, type Fiber } from "effect"
import { apply, type Policy } from "../src/policy/Policy.ts"
import type { SshConnection } from "../src/ports/Ssh.ts"

export const terminal = { _tag: "Terminal", term: "xterm", size: { columns: 80, rows: 24 }, modes: new Map() } as const
export const shell = { _tag: "Shell" } as const
export const exec = (command: string) => ({ _tag: "Exec", command }) as const
export const environment = (name: string, value: string) => ({ _tag: "Environment", name, value }) as const

/** A connection that is served behind the policies. */
export const behind = Effect.fn(function*(policies: ReadonlyArray<Policy>, identity: Partial<SshConnection> = {}) {
  const handler = yield* FakeHandler.make
  const { connection, end, open } = yield* FakeSsh.makeConnection(identity)
  const serving: Fiber.Fiber<void> = yield* apply(handler.handle, ...policies)(connection).pipe(
    Effect.forkChild({ startImmediately: true })
  )
  let opened = 0
  /** Opens a channel, whose client reads when `read` lets it. */
  const client = Effect.fnUntraced(function*(read?: Effect.Effect<void>) {
    const made = yield* FakeSsh.makeClient(read, opened++)
    yield* open(made.channel)
    return made
  })
  const isOver = Effect.sync(() => serving.pollUnsafe() !== undefined)
  return { handler, client, end, serving, isOver }
})

export const statuses = (client: FakeSsh.FakeClient) =>
  Effect.map(client.exits, (exits) => exits.map(({ status }) => status))

export const failure = { _tag: "Exited", code: 255 } as const
