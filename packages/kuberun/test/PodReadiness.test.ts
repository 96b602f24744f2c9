import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { ContainerState, ContainerStatus, Pod, PodStatus } from "kuberun"
import { notRunning } from "../src/ContainerRun.ts"
import { podReadiness } from "../src/PodReadiness.ts"

const running: ContainerState = { running: {} }
const waiting = (reason?: string, message?: string): ContainerState => ({
  waiting: { ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) }
})
const ended = (exitCode: number, reason = "Error"): ContainerState => ({ terminated: { exitCode, reason } })
const scheduled = { type: "PodScheduled", status: "True" }
const isReady = { type: "Ready", status: "True" }

const pod = (status: PodStatus, metadata: Partial<Pod["metadata"]> = {}): Pod => ({
  metadata: { name: "p", namespace: "default", ...metadata },
  spec: {
    containers: [{ name: "shell", image: "registry.example.com/geoffrey/temporary-shell:503" }, {
      name: "proxy",
      image: "envoy"
    }],
    initContainers: [{ name: "prepare", image: "busybox" }]
  },
  status
})

const pending = (state: ContainerState, name = "shell"): Pod =>
  pod({ phase: "Pending", conditions: [scheduled], containerStatuses: [{ name, state }] })

const failure = (subject: Pod): string => {
  const readiness = podReadiness(subject, "shell")
  assert.strictEqual(readiness._tag, "Failed", JSON.stringify(readiness))
  return readiness._tag === "Failed" ? `${readiness.reason}: ${readiness.detail}` : ""
}

const activity = (subject: Pod): string => {
  const readiness = podReadiness(subject, "shell")
  assert.strictEqual(readiness._tag, "Starting", JSON.stringify(readiness))
  return readiness._tag === "Starting" ? readiness.activity : ""
}

describe("a pod that starts", () => {
  for (
    const reason of [
      "InvalidImageName",
      "ErrImageNeverPull",
      "SignatureValidationFailed"
    ]
  ) {
    it(`has failed when a container waits with ${reason}`, () => {
      assert.strictEqual(failure(pending(waiting(reason, "its own sentence"))), `${reason}: its own sentence`)
      assert.strictEqual(failure(pending(waiting(reason))), `${reason}: container shell`)
    })
  }

  for (
    const [reason, message] of [
      ["CreateContainerConfigError", "configmap \"settings\" not found"],
      ["CreateContainerConfigError", "couldn't find key token in Secret default/s"],
      ["CreateContainerError", "context deadline exceeded"],
      ["RunContainerError", "failed to start shim"],
      ["PostStartHookError", "Exec lifecycle hook failed"]
    ] as const
  ) {
    it(`tells of ${reason} (${message}), which may heal, and what it would fail with`, () => {
      assert.deepStrictEqual(podReadiness(pending(waiting(reason, message)), "shell"), {
        _tag: "Starting",
        activity: `container shell cannot be started yet (${message})`,
        fault: { reason, detail: message }
      })
    })
  }

  for (
    const [reason, message] of [
      ["CreateContainerConfigError", "container has runAsNonRoot and image will run as root"],
      ["RunContainerError", "exec: \"/bin/sh\": stat /bin/sh: no such file or directory"],
      ["RunContainerError", "exec: \"sh\": executable file not found in $PATH"],
      ["CreateContainerError", "exec /run.sh: exec format error"]
    ] as const
  ) {
    it(`has failed at once with ${reason} (${message}), which only another image or template mends`, () => {
      assert.strictEqual(failure(pending(waiting(reason, message))), `${reason}: ${message}`)
    })
  }

  it("does not take a back-off without a word of its cause for the end of it", () => {
    const readiness = podReadiness(pending(waiting("ImagePullBackOff", `Back-off pulling image "${image}"`)), "shell")
    assert.strictEqual(readiness._tag === "Starting" && readiness.fault?.reason, "ImagePullBackOff")
    const passing = podReadiness(pending(waiting("ErrImagePull", "i/o timeout")), "shell")
    assert.isUndefined(passing._tag === "Starting" ? passing.fault : "not starting")
  })

  const image = "registry.example.com/geoffrey/temporary-shell:503"
  for (
    const [kind, message] of [
      ["not found", `failed to resolve reference "${image}": ${image}: not found`],
      ["unauthorized", `failed to pull "${image}": 401 Unauthorized`],
      ["denied", "pull access denied, repository does not exist or may require authorization"],
      ["manifest unknown", `manifest for ${image} not found: manifest unknown`]
    ] as const
  ) {
    it(`has failed at once when a pull says ${kind}, whatever words the image's name is made of`, () => {
      assert.strictEqual(failure(pending(waiting("ErrImagePull", message))), `ErrImagePull: ${message}`)
      assert.strictEqual(failure(pending(waiting("ImagePullBackOff", message))), `ImagePullBackOff: ${message}`)
    })
  }

  for (
    const message of [
      "dial tcp 192.0.2.1:443: i/o timeout",
      "net/http: TLS handshake timeout",
      "context deadline exceeded",
      "unexpected status from HEAD request: 503 Service Unavailable",
      "502 Bad Gateway",
      "toomanyrequests: You have reached your pull rate limit",
      "429 Too Many Requests",
      "read: connection reset by peer",
      "connect: connection refused",
      "unexpected EOF",
      "Temporary failure in name resolution",
      "request timed out"
    ]
  ) {
    it(`waits on when a pull says "${message}"`, () => {
      assert.strictEqual(
        activity(pending(waiting("ErrImagePull", message))),
        `image ${image} cannot be pulled yet (${message})`
      )
    })
  }

  it("has failed when a container keeps ending, and tells with which exit code", () => {
    const looping: ContainerStatus = {
      name: "shell",
      state: waiting("CrashLoopBackOff", "back-off 10s restarting failed container"),
      lastState: ended(126)
    }
    const status = (of: ContainerStatus): Pod =>
      pod({ phase: "Running", conditions: [scheduled], containerStatuses: [of] })
    assert.strictEqual(
      failure(status(looping)),
      "CrashLoopBackOff: container shell keeps ending: its last run ended with exit code 126"
    )
    assert.match(failure(status({ ...looping, lastState: ended(137, "OOMKilled") })), /exit code 137 \(OOMKilled\)$/)
    const { lastState: _, ...unknown } = looping
    assert.strictEqual(failure(status(unknown)), "CrashLoopBackOff: container shell keeps ending")
  })

  it("does not give up at once on another container that keeps ending: it may wait for something", () => {
    const looping = { state: waiting("CrashLoopBackOff", "back-off"), lastState: ended(1) }
    for (
      const statuses of [
        { initContainerStatuses: [{ name: "prepare", ...looping }] },
        { containerStatuses: [{ name: "shell", state: running }, { name: "proxy", ...looping }] }
      ]
    ) {
      const readiness = podReadiness(pod({ phase: "Pending", conditions: [scheduled], ...statuses }), "shell")
      assert.strictEqual(readiness._tag, "Starting")
      if (readiness._tag === "Starting") {
        assert.match(
          readiness.activity,
          /^trying again \(container \w+ keeps ending: its last run ended with exit code 1\)$/
        )
        assert.strictEqual(readiness.fault?.reason, "CrashLoopBackOff")
      }
    }
  })

  it("tells a fault that may not heal before one that only takes its time", () => {
    const statuses = [
      { name: "proxy", state: waiting("ErrImagePull", "i/o timeout") },
      { name: "shell", state: waiting("CreateContainerConfigError", "secret \"s\" not found") }
    ]
    const readiness = podReadiness(pod({ phase: "Pending", containerStatuses: statuses }), "shell")
    assert.strictEqual(readiness._tag === "Starting" && readiness.fault?.reason, "CreateContainerConfigError")
  })

  it("waits for a node with the scheduler's sentence", () => {
    const message = "0/3 nodes are available: 3 Insufficient cpu."
    const unschedulable = { type: "PodScheduled", status: "False", reason: "Unschedulable", message }
    assert.strictEqual(
      activity(pod({ phase: "Pending", conditions: [unschedulable] })),
      `waiting for a node (${message})`
    )
    const gated = { type: "PodScheduled", status: "False", reason: "SchedulingGated", message: "Scheduling is blocked" }
    assert.strictEqual(
      activity(pod({ phase: "Pending", conditions: [gated] })),
      "waiting to be let to a node (Scheduling is blocked)"
    )
    assert.strictEqual(activity(pod({ phase: "Pending" })), "waiting for a node")
    assert.strictEqual(activity(pod({})), "waiting for a node")
    assert.strictEqual(activity({ metadata: { name: "p", namespace: "default" } }), "waiting for a node")
  })

  it("says what it is doing: init container, image, readiness, or a word that is not known", () => {
    assert.strictEqual(
      activity(pod({
        phase: "Pending",
        conditions: [scheduled],
        initContainerStatuses: [{ name: "prepare", state: running }],
        containerStatuses: [{ name: "shell", state: waiting("PodInitializing") }]
      })),
      "running init container prepare"
    )
    assert.strictEqual(activity(pending(waiting("ContainerCreating"))), `creating container with image ${image}`)
    assert.strictEqual(activity(pending(waiting("SomethingNew"))), "container shell: SomethingNew")
    assert.strictEqual(
      activity(
        pod({ phase: "Running", conditions: [scheduled], containerStatuses: [{ name: "shell", state: running }] })
      ),
      "waiting until it is ready"
    )
  })

  it("does not take a sidecar for an init container that it waits for, and tells what is not ready", () => {
    const subject = pod({
      phase: "Pending",
      conditions: [scheduled],
      initContainerStatuses: [{ name: "mesh", state: running }],
      containerStatuses: [{ name: "shell", state: waiting("PodInitializing") }]
    })
    const sidecar = {
      ...subject,
      spec: { containers: [], initContainers: [{ name: "mesh", restartPolicy: "Always" }] }
    }
    assert.strictEqual(activity(subject), "running init container mesh")
    assert.strictEqual(activity(sidecar), "creating container with image shell")
    const message = "containers with unready status: [proxy]"
    assert.strictEqual(
      activity(pod({
        phase: "Running",
        conditions: [scheduled, { type: "Ready", status: "False", reason: "ContainersNotReady", message }],
        containerStatuses: [{ name: "shell", state: running }]
      })),
      `waiting until it is ready (${message})`
    )
  })

  it("looks at no ephemeral container: kubectl debug does it no harm", () => {
    const debugged = {
      phase: "Running",
      conditions: [scheduled, isReady],
      containerStatuses: [{ name: "shell", state: running }],
      ephemeralContainerStatuses: [{ name: "debugger", state: waiting("ErrImagePull", "denied") }]
    }
    assert.strictEqual(podReadiness(pod(debugged), "shell")._tag, "Ready")
  })

  it("has failed when an init container or a sidecar can never run", () => {
    const failing = { name: "prepare", state: waiting("ErrImagePull", "pull access denied") }
    assert.match(
      failure(pod({
        phase: "Pending",
        conditions: [scheduled],
        initContainerStatuses: [failing],
        containerStatuses: [{ name: "shell", state: waiting("PodInitializing") }]
      })),
      /^ErrImagePull: pull access denied$/
    )
    assert.match(
      failure(pod({
        phase: "Pending",
        conditions: [scheduled],
        containerStatuses: [{ name: "shell", state: running }, { ...failing, name: "proxy" }]
      })),
      /^ErrImagePull/
    )
  })

  it("names the fault that ends the wait before one that may pass", () => {
    const statuses = [
      { name: "proxy", state: waiting("ErrImagePull", "i/o timeout") },
      { name: "shell", state: waiting("ErrImagePull", "denied") }
    ]
    assert.strictEqual(
      failure(pod({ phase: "Pending", conditions: [scheduled], containerStatuses: statuses })),
      "ErrImagePull: denied"
    )
  })
})

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

  it("is not at fault where it runs, or nothing is known of it", () => {
    const statuses = [{ name: "proxy", state: ended(1) }, { name: "shell", state: running }]
    assert.isUndefined(notRunning(pod({ ...phase, containerStatuses: statuses }), "shell"))
    assert.isUndefined(notRunning(pod(phase), "shell"))
  })
})
