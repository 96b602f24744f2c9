import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { ActionFailed, actWithin } from "../src/node/Actions.ts"
import { afterAttempt, healthBefore, runProbe, unhealthy } from "../src/node/Probes.ts"
import { type RunningContainer } from "../src/runtime/Container.ts"
import { conditionOf, container, idle, isReady, isUp, makeTestNode, stateOf, statusOf } from "./support/TestNode.ts"

const upTo = (most: number, least = 1) =>
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(least), Schema.isLessThanOrEqualTo(most))

describe("a probe", () => {
  it.effect.prop("changes its verdict at the attempt that completes the threshold, and tells it then", {
    outcomes: Schema.Array(Schema.Literals([true, false, "undone"])).check(Schema.isMaxLength(40)),
    initialDelaySeconds: upTo(20, 0),
    periodSeconds: upTo(10),
    failureThreshold: upTo(4),
    successThreshold: upTo(4)
  }, ({ outcomes, ...probe }) =>
    Effect.gen(function*() {
      const told: Array<readonly [number, boolean]> = []
      let attempts = 0
      const attempt = Effect.suspend(() => {
        const passed = outcomes[attempts++]
        if (passed === "undone") return new ActionFailed({ message: "no", undone: true })
        return passed === undefined ? Effect.never : passed ? Effect.void : new ActionFailed({ message: "no" })
      })
      yield* Effect.forkChild(runProbe({
        kind: "Readiness",
        probe,
        attempt,
        failed: () => Effect.void,
        decided: (verdict) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            told.push([now / 1000, verdict])
            return true
          })
      }))
      yield* TestClock.adjust("1 hour")
      // The verdict after each attempt, said without a streak: the last so many that say anything were all the same.
      const expected: Array<readonly [number, boolean]> = []
      let verdict = false
      outcomes.forEach((passed, index) => {
        if (passed === "undone") return
        const threshold = passed ? probe.successThreshold : probe.failureThreshold
        const last = outcomes.slice(0, index + 1).filter((one) => one !== "undone").slice(-threshold)
        if (last.length < threshold || last.some((one) => one !== passed) || passed === verdict) return
        verdict = passed
        expected.push([probe.initialDelaySeconds + index * probe.periodSeconds, passed])
      })
      assert.deepStrictEqual(told, expected)
    }), { arbitrary: { runs: 200 } })

  it("comes to no verdict before its threshold: alive, not ready, not decided whether started", () => {
    const once = (kind: keyof typeof healthBefore, passed: boolean) =>
      afterAttempt({ failureThreshold: 2, successThreshold: 2 }, healthBefore[kind], passed).verdict
    assert.deepStrictEqual([once("Liveness", false), once("Readiness", true), once("Startup", false)], [
      true,
      false,
      undefined
    ])
    assert.strictEqual(afterAttempt({}, healthBefore.Startup, true).verdict, true)
  })

  const nobody = {} as RunningContainer
  const spec = { name: "main", image: "busybox", ports: [{ name: "web", containerPort: 1 }] }
  const failureOf = (action: object, seconds = 5) =>
    Effect.map(Effect.flip(actWithin(action, seconds, spec, nobody)), (error) => unhealthy("Readiness", error))

  it.live("by HTTP and by TCP fails in the kubelet's words", () =>
    Effect.gen(function*() {
      const refused = "dial tcp 127.0.0.1:1: connect: connection refused"
      assert.strictEqual(yield* failureOf({ tcpSocket: { port: "web" } }), `Readiness probe failed: ${refused}`)
      assert.strictEqual(
        yield* failureOf({ tcpSocket: { port: "nosuch" } }),
        `Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "nosuch": invalid syntax`
      )
      assert.strictEqual(
        yield* failureOf({ httpGet: { path: "/x", port: 1 } }),
        `Readiness probe failed: Get "http://127.0.0.1:1/x": ${refused}`
      )
      const server = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const made = createServer((request, response) => {
            if (request.url === "/silent") return
            response.statusCode = request.headers["x-ask"] === "please" ? 204 : 503
            response.end()
          })
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) =>
          Effect.sync(() => {
            made.closeAllConnections()
            made.close()
          })
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      assert.strictEqual(
        yield* failureOf({ httpGet: { port } }),
        "Readiness probe failed: HTTP probe failed with statuscode: 503"
      )
      const httpHeaders = [{ name: "X-Ask", value: "please" }]
      yield* actWithin({ httpGet: { port, httpHeaders } }, 5, spec, nobody)
      yield* actWithin({ tcpSocket: { port } }, 5, spec, nobody)
      assert.include(
        yield* failureOf({ httpGet: { port, path: "/silent" } }, 0.1),
        "(Client.Timeout exceeded while awaiting headers)"
      )
    }))

  it.live("for readiness lets a pod become ready and unready, and says why", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      const readinessProbe = {
        exec: { command: ["sh", "-c", "echo not yet; test -e ready"] },
        periodSeconds: 1,
        failureThreshold: 1
      }
      yield* node.create("pod", {
        containers: [container("main", "sleep 0.5; touch ready; sleep 1.5; rm ready; exec sleep 1000", {
          readinessProbe
        })]
      })
      const running = yield* node.until("pod", (pod) => stateOf(pod, "main") === "running")
      assert.deepStrictEqual([statusOf(running, "main")?.ready, statusOf(running, "main")?.started], [false, true])
      assert.deepStrictEqual(
        [conditionOf(running, "Ready")?.reason, conditionOf(running, "Ready")?.message],
        ["ContainersNotReady", "containers with unready status: [main]"]
      )
      yield* node.until("pod", isReady)
      yield* node.until("pod", (pod) => !isReady(pod))
      assert.include(yield* node.eventsOf("pod"), "Unhealthy Readiness probe failed: not yet\n")
      yield* node.forceRemove("pod")
    }))

  it.live("for startup ends a container that does not come up, and holds the others back until then", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      const exec = { command: isUp("main", "false") }
      const startupProbe = { exec, timeoutSeconds: 20, failureThreshold: 2, periodSeconds: 1 }
      const livenessProbe = { exec: { command: ["sh", "-c", "echo too early; false"] }, periodSeconds: 1 }
      yield* node.create("pod", {
        restartPolicy: "Never",
        containers: [container("main", idle("main", 7), { livenessProbe, startupProbe })]
      })
      const pod = yield* node.until("pod", ({ status }) => status.phase === "Failed")
      assert.strictEqual(stateOf(pod, "main"), "terminated:Error:7")
      const events = yield* node.eventsOf("pod")
      assert.deepStrictEqual(events.slice(-2), [
        "Unhealthy Startup probe failed: ",
        "Killing Container main failed startup probe"
      ])
    }))

  it.live("for liveness ends a container, which starts again", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      const livenessProbe = { exec: { command: isUp("main", "false") }, timeoutSeconds: 20, failureThreshold: 1 }
      yield* node.create("pod", {
        containers: [container("main", idle("main", 7), { livenessProbe })]
      })
      const pod = yield* node.until("pod", (pod) => statusOf(pod, "main")?.restartCount === 1)
      assert.strictEqual(statusOf(pod, "main")?.lastState.terminated?.exitCode, 7)
      const events = yield* node.eventsOf("pod")
      assert.include(events, "Killing Container main failed liveness probe, will be restarted")
      yield* node.forceRemove("pod")
    }))
})
