import { assert, describe, it } from "@effect/vitest"
import type { ContainerStatus, Pod } from "kuberun"
import { podReadiness } from "../src/pod/PodReadiness.ts"
import { activity, ended, failure, isReady, pending, pod, running, scheduled, waiting } from "./ReadinessDriver.ts"

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
