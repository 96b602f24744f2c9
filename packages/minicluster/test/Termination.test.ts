import { assert, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { ActionFailed } from "../src/node/Actions.ts"
import { stopContainer, turnOf } from "../src/node/Lifecycle.ts"
import { conditionOf, container, idle, isReady, isUp, makeTestNode, stateOf } from "./support/TestNode.ts"

const upTo = (most: number) => Schema.Int.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThanOrEqualTo(most))

it.effect.prop(
  "SIGTERM comes after the hook, SIGKILL at the end of the grace period and 2 s after SIGTERM at the least",
  {
    hook: upTo(20),
    hookFails: Schema.Boolean,
    grace: upTo(20),
    /** How long the program takes to end after SIGTERM. */
    stubborn: upTo(20)
  },
  ({ grace, hook, hookFails, stubborn }) =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const exit = yield* Deferred.make<number>()
      const tell = (what: string) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          told.push(`${now / 1000} ${what}`)
        })
      const fiber = yield* Effect.forkChild(stopContainer({
        container: {
          exitCode: Deferred.await(exit),
          terminate: Effect.andThen(
            tell("TERM"),
            Effect.asVoid(
              Effect.forkDetach(Effect.andThen(Effect.sleep(`${stubborn} seconds`), Deferred.succeed(exit, 0)))
            )
          ),
          kill: Effect.suspend(() =>
            Deferred.isDoneUnsafe(exit) ? Effect.void : Effect.andThen(tell("KILL"), Deferred.succeed(exit, 137))
          )
        },
        preStop: Effect.andThen(
          Effect.sleep(`${hook} seconds`),
          hookFails ? new ActionFailed({ message: "secret" }) : Effect.void
        ),
        expired: Effect.sleep(`${grace} seconds`),
        turn: Effect.void,
        note: (_type, reason, message) => tell(`${reason} ${message}`),
        why: "Stopping container main"
      }))
      yield* TestClock.adjust("2 minutes")
      assert.isDefined(fiber.pollUnsafe())
      const term = Math.min(hook, grace)
      const kill = Math.max(term + 2, grace)
      const says = (prefix: string) => told.filter((line) => line.includes(prefix))
      assert.deepStrictEqual(says("Killing"), ["0 Killing Stopping container main"])
      assert.deepStrictEqual(says("TERM"), [`${term} TERM`])
      if (term + stubborn !== kill) assert.deepStrictEqual(says("KILL"), term + stubborn > kill ? [`${kill} KILL`] : [])
      if (hook !== grace) {
        assert.deepStrictEqual(
          says("PreStop"),
          hookFails && hook < grace ? [`${hook} FailedPreStopHook PreStopHook failed`] : []
        )
      }
    }),
  { arbitrary: { runs: 200 } }
)

it.effect("a sidecar's turn comes after the main containers and the sidecars that started after it", () =>
  Effect.gen(function*() {
    const ends = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>(), Deferred.make<void>()])
    const order: Array<number> = []
    const containers = ends.map((end, index) => ({ sidecar: index < 2, ended: Deferred.await(end) }))
    const turns = yield* Effect.forEach(ends, (end, index) =>
      Effect.forkChild(Effect.gen(function*() {
        yield* turnOf(containers, index)
        order.push(index)
        yield* Deferred.succeed(end, undefined)
      })))
    yield* Effect.forEach(turns, Fiber.join)
    assert.deepStrictEqual(order, [2, 1, 0])
  }))

it.live("a deletion runs the hook, tells how each container ended, and takes sidecars last", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const history = yield* node.history("pod", (pod) => `${stateOf(pod, "sidecar")} ${stateOf(pod, "main")}`)
    const hooked = (name: string, code: number, hook: string, more: object) =>
      container(name, idle(name, code), { lifecycle: { preStop: { exec: { command: isUp(name, hook) } }, ...more } })
    yield* node.create("pod", {
      terminationGracePeriodSeconds: 20,
      initContainers: [{ ...hooked("sidecar", 0, "true", {}), restartPolicy: "Always" }],
      containers: [hooked("main", 5, "exit 1", { postStart: { sleep: { seconds: 0 } } })]
    })
    yield* node.until("pod", isReady)
    yield* node.remove("pod", 20)
    yield* node.gone("pod")
    assert.deepStrictEqual(history.slice(-4), [
      "running running",
      "running terminated:Error:5",
      "terminated:Completed:0 terminated:Error:5",
      "gone"
    ])
    const events = yield* node.eventsOf("pod")
    assert.sameMembers(events.slice(-3), [
      "Killing Stopping container sidecar",
      "Killing Stopping container main",
      "FailedPreStopHook PreStopHook failed"
    ])
  }))

it.live("a deletion is hastened by a second one", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    yield* node.create("pod", { containers: [container("main", "trap '' TERM; while :; do sleep 0.1; done")] })
    yield* node.until("pod", isReady)
    yield* node.remove("pod", 600)
    yield* node.eventually(
      node.eventsOf("pod"),
      (events) => events.includes("Killing Stopping container main"),
      "an event of the end"
    )
    yield* node.remove("pod", 1)
    yield* node.gone("pod")
  }))

it.live("a failed postStart hook ends the container, which never counted as running", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const history = yield* node.history("pod", (pod) => stateOf(pod, "main"))
    const lifecycle = { postStart: { exec: { command: isUp("main", "exit 1") } } }
    yield* node.create("pod", { restartPolicy: "Never", containers: [container("main", undefined, { lifecycle })] })
    yield* node.until("pod", ({ status }) => status.phase === "Succeeded")
    assert.notInclude(history, "running")
    const events = yield* node.eventsOf("pod")
    assert.deepStrictEqual(events.slice(-2), [
      "FailedPostStartHook PostStartHook failed",
      "Killing FailedPostStartHook"
    ])
  }))

it.live("a pod is active no longer than its deadline, also when that is set while it runs", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const history = yield* node.history("early", ({ status }) => status.phase)
    yield* node.create("early", { activeDeadlineSeconds: 1, terminationGracePeriodSeconds: 1 })
    yield* node.create("late", { terminationGracePeriodSeconds: 1 })
    yield* node.until("late", isReady)
    yield* node.change("late", (pod) => ({ ...pod, spec: { ...pod.spec, activeDeadlineSeconds: 1 } }))
    for (const name of ["early", "late"]) {
      const { status } = yield* node.until(name, ({ status }) => status.phase === "Failed")
      assert.deepStrictEqual([status.reason, status.message], [
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline"
      ])
      assert.include(yield* node.eventsOf(name), `DeadlineExceeded ${status.message}`)
    }
    assert.deepStrictEqual(history, ["Pending", "Running", "Failed"])
    // The object stays until somebody deletes it.
    yield* node.forceRemove("early")
  }))

it.live("an evicted pod fails, with the node's reason and the mark of a disruption", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    yield* node.create("pod")
    const pod = yield* node.until("pod", isReady)
    const message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi. "
    yield* node.kubelet.evict(pod, message)
    const evicted = yield* node.until("pod", ({ status }) => status.phase === "Failed")
    assert.deepStrictEqual([evicted.status.reason, evicted.status.message], ["Evicted", message])
    assert.strictEqual(conditionOf(evicted, "DisruptionTarget")?.reason, "TerminationByKubelet")
    assert.match(stateOf(evicted, "main"), /^terminated/)
    assert.include(yield* node.eventsOf("pod"), `Evicted ${message}`)
  }))
