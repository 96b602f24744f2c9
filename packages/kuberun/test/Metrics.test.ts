import { assert, describe, it } from "@effect/vitest"
import { FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Fiber, Metric, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Metrics from "../src/Metrics.ts"
import { NotReadyInTime, PodDeleted, PodFailed, PodStartError, Refused } from "../src/pod/PodStartError.ts"
import { maxSessions } from "../src/policy/MaxSessions.ts"
import type { ConnectionHandler } from "../src/policy/Policy.ts"
import { ClusterError, Forbidden } from "../src/ports/Cluster.ts"
import { stderr, stdout } from "../src/ports/Output.ts"
import type { ExitStatus } from "../src/ports/Ssh.ts"
import { behind, exec, shell, terminal } from "./PolicyDriver.ts"

/** What is counted so far: `name{key=value}` to the number. */
const counted = Effect.map(
  Metric.snapshot,
  (snapshots) =>
    Object.fromEntries(snapshots.flatMap(({ attributes = {}, id, state, type }) => {
      const pairs = Object.entries(attributes).map(([key, value]) => `${key}=${value}`)
      const name = pairs.length === 0 ? id : `${id}{${pairs.join(",")}}`
      switch (type) {
        case "Counter":
          return [[name, Number(state.count)]]
        case "Gauge":
          return [[name, Number(state.value)]]
        case "Histogram":
          return [[`${name}_count`, state.count], [`${name}_sum`, state.sum]]
        default:
          return []
      }
    }))
)

/** A registry of the test's own. */
const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

const bytes = (length: number) => new Uint8Array(length)

describe("metrics", () => {
  it.effect("count connections, sessions, programs, signals and bytes", () =>
    Effect.gen(function*() {
      const { client, end, serving } = yield* behind([Metrics.observe, maxSessions(2)])
      const [first, second, third] = [yield* client(), yield* client(), yield* client()]
      yield* first.request(terminal)
      yield* first.request(shell)
      yield* second.request(exec("cat"))
      yield* second.request(exec("twice"))
      yield* third.request({ _tag: "Subsystem", name: "sftp" })
      yield* first.request({ _tag: "Signal", name: "TERM" })
      yield* Time.settle
      yield* first.send(bytes(3))
      yield* first.send(bytes(4))
      yield* Time.settle
      const refusal = (yield* third.texts).stderr.length
      assert.deepStrictEqual(yield* counted, {
        "kuberun_connections_total": 1,
        "kuberun_connections_open": 1,
        "kuberun_sessions_open": 2,
        "kuberun_sessions_total{kind=shell}": 1,
        "kuberun_sessions_total{kind=exec}": 1,
        "kuberun_sessions_total{kind=subsystem}": 1,
        "kuberun_programs_ended_total{end=failure}": 1,
        "kuberun_signals_total{delivered=true}": 1,
        "kuberun_received_bytes_total": 7,
        "kuberun_sent_bytes_total": 7 + refusal
      })
      yield* second.eof
      yield* Time.settle
      yield* first.close
      yield* end
      yield* Fiber.join(serving)
      yield* Time.settle
      const after = yield* counted
      assert.strictEqual(after["kuberun_connections_open"], 0)
      assert.strictEqual(after["kuberun_sessions_open"], 0)
      assert.strictEqual(after["kuberun_programs_ended_total{end=success}"], 1)
      assert.strictEqual(after["kuberun_programs_ended_total{end=abandoned}"], 1)
    }).pipe(alone))

  it.effect("count each end once, by its kind, also when the connection ends first or is interrupted", () =>
    Effect.gen(function*() {
      const statuses: ReadonlyArray<ExitStatus> = [
        { _tag: "Exited", code: 0 },
        { _tag: "Exited", code: 1 },
        { _tag: "Signaled", signal: "KILL", message: "" }
      ]
      const handler: ConnectionHandler = ({ sessions }) =>
        Stream.runForEach(sessions, (channel) =>
          Effect.gen(function*() {
            yield* Stream.runForEach(Stream.take(channel.requests, 1), (request) => request.reply(true))
            const status = statuses[channel.id]
            if (status === undefined) return yield* Effect.never
            yield* Stream.run(Stream.make(stdout(bytes(2)), stderr(bytes(3))), channel.output).pipe(Effect.ignore)
            yield* channel.exit(status)
            yield* channel.exit(status)
          }))
      const { connection, open } = yield* FakeSsh.makeConnection()
      const serving = yield* Effect.forkChild(Metrics.observe(handler)(connection))
      for (const id of [0, 1, 2, 3]) {
        const client = yield* FakeSsh.makeClient(Effect.void, id)
        yield* open(client.channel)
        yield* client.request(shell)
      }
      yield* Fiber.interrupt(serving)
      const {
        kuberun_connections_open: connections,
        kuberun_sessions_open: sessions,
        kuberun_sent_bytes_total: sent,
        ...rest
      } = yield* counted
      assert.deepStrictEqual({ connections, sessions, sent }, { connections: 0, sessions: 0, sent: 15 })
      for (const end of ["success", "failure", "signal", "abandoned"]) {
        assert.strictEqual(rest[`kuberun_programs_ended_total{end=${end}}`], 1, end)
      }
    }).pipe(alone))

  it.effect("tell how long pods took to start, and why they did not", () =>
    Effect.gen(function*() {
      const failing = (reason: PodStartError["reason"]) =>
        Effect.ignore(Metrics.podStart(Effect.fail(new PodStartError({ pod: "x", reason }))))
      const starting = yield* Effect.forkChild(Metrics.podStart(Effect.as(Effect.sleep("1500 millis"), "pod")))
      const interrupted = yield* Effect.forkChild(Metrics.podStart(Effect.never))
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* Fiber.join(starting), "pod")
      yield* Fiber.interrupt(interrupted)
      const error = new ClusterError({ operation: "create pod", reason: new Forbidden({ detail: "quota" }) })
      yield* failing(new Refused({ error }))
      yield* failing(new PodFailed({ reason: "ErrImagePull", detail: "no such image" }))
      yield* failing(new PodFailed({ reason: "words of demo@192.0.2.1", detail: "" }))
      yield* failing(new PodDeleted())
      yield* failing(new NotReadyInTime({ seconds: 60, activity: "pulling" }))
      assert.deepStrictEqual(yield* counted, {
        "kuberun_pods_started_total": 1,
        "kuberun_pod_start_seconds_count": 1,
        "kuberun_pod_start_seconds_sum": 1.5,
        "kuberun_pod_start_failures_total{reason=Forbidden}": 1,
        "kuberun_pod_start_failures_total{reason=ErrImagePull}": 1,
        "kuberun_pod_start_failures_total{reason=PodFailed}": 1,
        "kuberun_pod_start_failures_total{reason=PodDeleted}": 1,
        "kuberun_pod_start_failures_total{reason=NotReadyInTime}": 1
      })
    }).pipe(alone))

  it.effect("tell what became of deletions and of claims, and how many pods wait", () =>
    Effect.gen(function*() {
      for (const gone of [true, true, false]) yield* Metrics.podDeletion(Effect.succeed(gone))
      for (const claimed of ["pod", undefined, undefined]) yield* Metrics.poolClaim(Effect.succeed(claimed))
      yield* Metrics.poolSize("default", 5)
      yield* Metrics.poolSize("staff", 2)
      yield* Metrics.poolSize("default", 4)
      assert.deepStrictEqual(yield* counted, {
        "kuberun_pods_deleted_total": 2,
        "kuberun_pods_left_total": 1,
        "kuberun_pool_claims_total{result=warm}": 1,
        "kuberun_pool_claims_total{result=cold}": 2,
        "kuberun_pool_free{class=default}": 4,
        "kuberun_pool_free{class=staff}": 2
      })
    }).pipe(alone))

  it.effect("never have a user's name, or anything else that has no end of values", () =>
    Effect.gen(function*() {
      const { client } = yield* behind([Metrics.observe], { username: "alice", remoteAddress: "192.0.2.9" })
      const one = yield* client()
      yield* one.request({ _tag: "Subsystem", name: "alice-192.0.2.9" })
      yield* one.request({ _tag: "Signal", name: "alice-192.0.2.9" })
      yield* one.send(bytes(1))
      yield* Time.settle
      assert.notMatch(JSON.stringify(yield* counted), /alice|192/)
    }).pipe(alone))
})
