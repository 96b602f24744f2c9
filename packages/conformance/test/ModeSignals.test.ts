import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/Service.ts"
import { connect, run } from "./support/SshClient.ts"

/** Every way to come to a pod. */
const ways: Readonly<Record<string, { readonly pod?: Readonly<Record<string, unknown>>; readonly pool?: unknown }>> = {
  "mode session": { pod: { mode: "session" } },
  "mode persistent": { pod: { mode: "persistent", name: "desk", createMissingPods: true } },
  "mode user": { pod: { mode: "user" } },
  "a pool": { pool: { size: 1 } }
}

describe("signals, whichever pod a program runs in", () => {
  for (const [way, { pod, pool }] of Object.entries(ways)) {
    it.live(
      `${way}: end the program by their names, also on a terminal, or are its own affair`,
      () =>
        Effect.scoped(Effect.gen(function*() {
          const service = yield* start({
            ...(pod === undefined ? {} : { pod }),
            ...(pool === undefined ? {} : { config: { pool } })
          })
          const client = yield* connect(service)
          for (const name of ["TERM", "HUP", "KILL"]) {
            const program = yield* run(client, "echo ready; sleep 1000; echo not reached")
            yield* program.says(/ready/)
            assert.isTrue(yield* program.request("signal", name).pipe(Effect.timeout("20 seconds")))
            const { code, out, signal } = yield* program.ended
            assert.deepStrictEqual([name, code ?? undefined, out, signal], [name, undefined, "ready\n", name])
          }
          const screen = yield* run(client, "tty > /dev/null && echo ready; sleep 1000", { pty: true })
          yield* screen.says(/ready/)
          assert.isTrue(yield* screen.request("signal", "TERM").pipe(Effect.timeout("20 seconds")))
          assert.strictEqual((yield* screen.ended).signal, "TERM")
          const handling = yield* run(
            client,
            "trap 'echo caught; exit 5' USR1; echo ready; while :; do sleep 0.1; done"
          )
          yield* handling.says(/ready/)
          assert.isTrue(yield* handling.request("signal", "USR1").pipe(Effect.timeout("20 seconds")))
          const { code, out, signal } = yield* handling.ended
          assert.deepStrictEqual([code, out, signal], [5, "ready\ncaught\n", undefined])
        })),
      60_000
    )
  }
})
