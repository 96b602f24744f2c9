import { assert, it } from "@effect/vitest"
import { Arbitraries, FakeHandler, FakeSsh } from "@kuberun/testkit"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { allowCommand, apply } from "kuberun"

it.effect.prop(
  "lets through what is allowed and nothing else, whatever a client does in whatever order",
  { who: Arbitraries.connection, steps: Arbitraries.clientSteps },
  ({ steps, who }) =>
    Effect.gen(function*() {
      const handler = yield* FakeHandler.make
      const { connection, open } = yield* FakeSsh.makeConnection(who)
      yield* Effect.forkChild(apply(handler.handle, allowCommand(["uptime"]))(connection))
      const client = yield* FakeSsh.makeClient()
      yield* open(client.channel)
      yield* Arbitraries.drive(client, steps).pipe(Effect.forkChild)
      yield* TestClock.adjust("1 hour")
      for (const request of (yield* handler.sessions).flatMap(({ requests }) => requests)) {
        assert.notInclude(["Shell", "Subsystem"], request._tag)
        if (request._tag === "Exec") assert.strictEqual(request.command, "uptime")
      }
    }),
  { arbitrary: { runs: 300 } }
)
