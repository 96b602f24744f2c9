import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { ContainerState } from "kuberun"
import { notRunning } from "../src/pod/ContainerRun.ts"
import { podReadiness } from "../src/pod/PodReadiness.ts"
import { ended, failure, isReady, pod, running, scheduled, waiting } from "./ReadinessDriver.ts"

describe("a pod that runs", () => {
  it("is ready when its console container runs, in whatever order the statuses stand", () => {
    const statuses = [{ name: "proxy", state: running }, { name: "shell", state: running }]
    for (const containerStatuses of [statuses, statuses.toReversed()]) {
      assert.strictEqual(
        podReadiness(pod({ phase: "Running", conditions: [scheduled, isReady], containerStatuses }), "shell")._tag,
        "Ready"
      )
    }
  })

  it("is ready beside a sidecar among the init containers, and after init containers that ended", () => {
    assert.strictEqual(
      podReadiness(
        pod({
          phase: "Running",
          conditions: [scheduled, isReady],
          initContainerStatuses: [{ name: "prepare", state: ended(0, "Completed") }, { name: "mesh", state: running }],
          containerStatuses: [{ name: "shell", state: running }]
        }),
        "shell"
      )._tag,
      "Ready"
    )
  })

  it("is leaving as soon as somebody deletes it, whatever its containers do", () => {
    const leaving = { deletionTimestamp: "2026-01-01T00:00:00Z" }
    for (const phase of ["Pending", "Running", "Failed", "Succeeded"]) {
      assert.deepStrictEqual(
        podReadiness(
          pod({ phase, conditions: [isReady], containerStatuses: [{ name: "shell", state: running }] }, leaving),
          "shell"
        ),
        { _tag: "Leaving" }
      )
    }
  })

  it("has ended in the phases Failed and Succeeded, with Kubernetes' own reason or the last exit code", () => {
    assert.strictEqual(
      failure(pod({ phase: "Failed", reason: "Evicted", message: "The node was low on memory." })),
      "Evicted: The node was low on memory."
    )
    assert.strictEqual(
      failure(
        pod({
          phase: "Succeeded",
          containerStatuses: [{ name: "proxy", state: ended(1) }, { name: "shell", state: ended(0, "Completed") }]
        })
      ),
      "Completed: container shell has ended: its last run ended with exit code 0 (Completed)"
    )
    assert.strictEqual(
      failure(pod({ phase: "Failed", containerStatuses: [{ name: "shell", state: ended(2), lastState: ended(1) }] })),
      "Failed: container shell has ended: its last run ended with exit code 2"
    )
    assert.strictEqual(failure(pod({ phase: "Failed" })), "Failed: container shell has ended")
  })

  it("has ended for the cluster's reason where it has none of its own, and by the init container that failed", () => {
    const target = {
      type: "DisruptionTarget",
      status: "True",
      reason: "TerminationByKubelet",
      message: "Pod was terminated in response to imminent node shutdown."
    }
    assert.strictEqual(
      failure(pod({ phase: "Failed", conditions: [target] })),
      "TerminationByKubelet: Pod was terminated in response to imminent node shutdown."
    )
    assert.strictEqual(
      failure(pod({
        phase: "Failed",
        initContainerStatuses: [{ name: "check", state: ended(0, "Completed") }, { name: "prepare", state: ended(3) }],
        containerStatuses: [{ name: "shell", state: waiting("PodInitializing") }]
      })),
      "Failed: container prepare has ended: its last run ended with exit code 3"
    )
  })

  it("is leaving with the cluster's reason, where it was the cluster that deleted it", () => {
    const leaving = { deletionTimestamp: "2026-01-01T00:00:00Z" }
    const target = {
      type: "DisruptionTarget",
      status: "True",
      reason: "EvictionByEvictionAPI",
      message: "Eviction API"
    }
    assert.deepStrictEqual(podReadiness(pod({ conditions: [target] }, leaving), "shell"), {
      _tag: "Leaving",
      cause: { reason: "EvictionByEvictionAPI", detail: "Eviction API" }
    })
    assert.deepStrictEqual(podReadiness(pod({ conditions: [{ ...target, status: "False" }] }, leaving), "shell"), {
      _tag: "Leaving"
    })
  })

  const state = Schema.Literals(["running", "ended", "none", "creating", "pulling", "unknown"])
  const states: { readonly [Name in typeof state.Type]: ContainerState } = {
    running,
    ended: ended(1),
    none: {},
    creating: waiting("ContainerCreating"),
    pulling: waiting("ErrImagePull", "i/o timeout"),
    unknown: waiting("SomethingNew")
  }
  it.effect.prop(
    "is ready only if it runs, says so itself, its console container runs and nobody deletes it",
    {
      phase: Schema.Literals(["Pending", "Running", "Running", "Running", "Unknown", "Failed", "Succeeded"]),
      ready: Schema.Literals(["True", "True", "False", "Unknown"]),
      deleted: Schema.Literals([false, false, false, true]),
      containers: Schema.Array(Schema.Tuple([Schema.Literals(["shell", "proxy", "mesh"]), state])).check(
        Schema.isMaxLength(3)
      )
    },
    ({ containers, deleted, phase, ready }) =>
      Effect.sync(() => {
        const byName = new Map(containers)
        const subject = pod(
          {
            phase,
            conditions: [scheduled, { type: "Ready", status: ready }],
            containerStatuses: [...byName].map(([name, is]) => ({ name, state: states[is] }))
          },
          deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}
        )
        assert.strictEqual(
          podReadiness(subject, "shell")._tag === "Ready",
          phase === "Running" && ready === "True" && !deleted && byName.get("shell") === "running"
        )
      }),
    { arbitrary: { runs: 1000 } }
  )
})

describe("a container that a program was not started in", () => {
  const phase = { phase: "Running", conditions: [scheduled] }

  it("is told by its reason and its last exit code where it does not run", () => {
    const statuses = [{ name: "shell", state: waiting("CrashLoopBackOff"), lastState: ended(3) }]
    assert.deepStrictEqual(notRunning(pod({ ...phase, containerStatuses: statuses }), "shell"), {
      reason: "CrashLoopBackOff",
      detail: "container shell is not running: its last run ended with exit code 3"
    })
    const oom = [{ name: "shell", state: ended(137, "OOMKilled") }]
    assert.deepStrictEqual(notRunning(pod({ ...phase, containerStatuses: oom }), "shell"), {
      reason: "OOMKilled",
      detail: "container shell is not running: its last run ended with exit code 137 (OOMKilled)"
    })
  })

  it("is told by the cluster's reason where the cluster takes its pod away, which it says first", () => {
    const evicted = {
      type: "DisruptionTarget",
      status: "True",
      reason: "TerminationByKubelet",
      message: "low on memory"
    }
    const statuses = [{ name: "shell", state: ended(143) }]
    const status = { ...phase, conditions: [scheduled, evicted], containerStatuses: statuses }
    assert.deepStrictEqual(notRunning(pod(status), "shell"), {
      reason: "TerminationByKubelet",
      detail: "low on memory"
    })
  })

  it("is not at fault where it runs, or nothing is known of it", () => {
    const statuses = [{ name: "proxy", state: ended(1) }, { name: "shell", state: running }]
    assert.isUndefined(notRunning(pod({ ...phase, containerStatuses: statuses }), "shell"))
    assert.isUndefined(notRunning(pod(phase), "shell"))
  })
})
