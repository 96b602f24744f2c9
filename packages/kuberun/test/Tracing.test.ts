import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Fiber, Option, Tracer } from "effect"
import { defaultConfig, Kuberun } from "kuberun"
import { apply } from "../src/policy/Policy.ts"
import { trace } from "../src/Tracing.ts"
import { exec } from "./PolicyDriver.ts"

/** A tracer that keeps its spans. */
const keeping = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

describe("a connection's span", () => {
  it.effect("says whose it is, has what happens as its descendants, and ends with it", () =>
    Effect.gen(function*() {
      const { spans, tracer } = keeping()
      const { layer } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, startMillis: 1000 })
      const { connection, end, open } = yield* FakeSsh.makeConnection({
        username: "alice",
        clientVersion: "OpenSSH_9.9"
      })
      const serving = yield* Kuberun.use(({ handle }) => apply(handle, trace)(connection)).pipe(
        Effect.withSpan("the server"),
        Effect.provide(Kuberun.layer(defaultConfig)),
        Effect.provide(layer),
        Effect.withTracer(tracer),
        Effect.forkChild
      )
      const client = yield* FakeSsh.makeClient()
      yield* open(client.channel)
      yield* client.request(exec("cat"))
      yield* Time.pass("5 seconds")
      yield* client.eof
      yield* Time.settle
      const own = spans.find(({ name }) => name === "kuberun.connection")
      assert.isDefined(own)
      assert.strictEqual(own.status._tag, "Started")
      assert.strictEqual(
        Option.getOrUndefined(own.parent)?.spanId,
        spans.find(({ name }) => name === "the server")?.spanId
      )
      assert.deepStrictEqual(Object.fromEntries(own.attributes), {
        "kuberun.connection.id": connection.id,
        "user.name": "alice",
        "client.address": "127.0.0.1",
        "client.port": 50_000,
        "server.address": "127.0.0.1",
        "server.port": 2222,
        "user_agent.original": "OpenSSH_9.9"
      })
      yield* end
      yield* Time.pass("1 minute")
      yield* Fiber.join(serving)
      assert.strictEqual(own.status._tag, "Ended")
      const byId = new Map(spans.map((span) => [span.spanId, span]))
      const isBelow = (span: Tracer.NativeSpan): boolean => {
        const parent = byId.get(Option.getOrUndefined(span.parent)?.spanId ?? "")
        return parent !== undefined && (parent === own || isBelow(parent))
      }
      const names = spans.filter(isBelow).map(({ name }) => name)
      for (const step of ["Kuberun.handle", "PodLifetime.acquire", "Session.serve", "ExecLaunch.launch"]) {
        assert.include(names, step)
      }
    }))
})
