import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  conditionOf,
  container,
  idle,
  isReady,
  isUp,
  makeTestNode,
  podOf,
  stateOf,
  statusOf
} from "./support/TestNode.ts"

it.live("init containers run one after the other before the main ones, and are told as a kubelet tells them", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const history = yield* node.history(
      "pod",
      (pod) => ["one", "two", "main"].map((name) => stateOf(pod, name).replace("waiting:", "")).join(" ")
    )
    yield* node.create("pod", { initContainers: [container("one", "sleep 0.1"), container("two", "sleep 0.1")] })
    const pod = yield* node.until("pod", isReady)
    assert.deepStrictEqual(history.slice(1), [
      "PodInitializing PodInitializing PodInitializing",
      "running PodInitializing PodInitializing",
      "terminated:Completed:0 PodInitializing PodInitializing",
      "terminated:Completed:0 running PodInitializing",
      "terminated:Completed:0 terminated:Completed:0 PodInitializing",
      "terminated:Completed:0 terminated:Completed:0 running"
    ])
    assert.deepStrictEqual(pod.status.conditions?.map(({ status, type }) => `${type} ${status}`), [
      "PodReadyToStartContainers True",
      "Initialized True",
      "Ready True",
      "ContainersReady True",
      "PodScheduled True"
    ])
    assert.isTrue(statusOf(pod, "one")?.ready)
    assert.deepStrictEqual((yield* node.eventsOf("pod")).map((event) => event.replace(/ .*/, "")), [
      "Scheduled",
      "Pulling",
      // The image is there for the next ones.
      ...["one", "two", "main"].flatMap(() => ["Pulled", "Created", "Started"])
    ])
    const { items } = yield* node.store.list("events", "default")
    assert.deepStrictEqual(
      items.filter(({ reason }) => reason === "Started").map(({ involvedObject }) => involvedObject["fieldPath"]),
      ["spec.initContainers{one}", "spec.initContainers{two}", "spec.containers{main}"]
    )
  }))

it.live("a failing init container fails a pod that never restarts, and is tried again in others", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    yield* node.create("never", { restartPolicy: "Never", initContainers: [container("init", "exit 3")] })
    const failed = yield* node.until("never", ({ status }) => status.phase === "Failed")
    assert.deepStrictEqual([stateOf(failed, "init"), stateOf(failed, "main")], [
      "terminated:Error:3",
      "waiting:PodInitializing"
    ])
    const initialized = conditionOf(failed, "Initialized")
    assert.deepStrictEqual([initialized?.status, initialized?.reason, initialized?.message], [
      "False",
      "ContainersNotInitialized",
      "containers with incomplete status: [init]"
    ])
    yield* node.create("again", {
      initContainers: [container("init", "exit 3")],
      containers: [container("main", "exit 0")]
    })
    const again = yield* node.until("again", (pod) => stateOf(pod, "init") === "waiting:CrashLoopBackOff")
    assert.deepStrictEqual([again.status.phase, statusOf(again, "init")?.restartCount], ["Pending", 1])
    assert.match(
      statusOf(again, "init")?.state.waiting?.message ?? "",
      /^back-off 10s restarting failed container=init /
    )
    yield* node.forceRemove("again")
  }))

it.live("a sidecar starts before the containers after it, once its startup probe says so, and does not keep a pod up", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const startupProbe = { exec: { command: ["test", "-e", "up-sidecar"] }, periodSeconds: 1, failureThreshold: 30 }
    const sidecar = container("sidecar", `sleep 0.2; ${idle("sidecar")}`, {
      restartPolicy: "Always",
      startupProbe
    })
    yield* node.create("job", {
      restartPolicy: "Never",
      initContainers: [sidecar, container("after", "test -e up-sidecar")],
      containers: [container("main", "sleep 0.1")]
    })
    const starting = yield* node.until("job", (pod) => stateOf(pod, "sidecar") === "running")
    assert.deepStrictEqual(
      [starting.status.phase, statusOf(starting, "sidecar")?.started, stateOf(starting, "after")],
      ["Pending", false, "waiting:PodInitializing"]
    )
    const running = yield* node.until("job", ({ status }) => status.phase === "Running")
    assert.strictEqual(statusOf(running, "sidecar")?.started, true)
    const done = yield* node.until("job", ({ status }) => status.phase === "Succeeded")
    assert.strictEqual(stateOf(done, "sidecar"), "terminated:Completed:0")
    assert.strictEqual(conditionOf(done, "Ready")?.reason, "PodCompleted")
    assert.strictEqual(conditionOf(done, "PodReadyToStartContainers")?.status, "False")
    assert.include(yield* node.eventsOf("job"), "Killing Stopping container sidecar")
  }))

it.live("an ephemeral container joins a running pod, once", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    yield* node.create("pod")
    yield* node.until("pod", isReady)
    yield* node.change("pod", (pod) => ({
      ...pod,
      spec: { ...pod.spec, ephemeralContainers: [{ ...container("debugger", "exit 2"), targetContainerName: "main" }] }
    }))
    const pod = yield* node.until("pod", (pod) => stateOf(pod, "debugger").startsWith("terminated"))
    assert.strictEqual(stateOf(pod, "debugger"), "terminated:Error:2")
    assert.isTrue(isReady(pod))
    assert.strictEqual(pod.status.phase, "Running")
    yield* node.forceRemove("pod")
  }))

it.live("what a container is configured by may come later", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const env = [{ name: "KEY", valueFrom: { configMapKeyRef: { name: "late", key: "key" } } }]
    const volumes = [{ name: "config", configMap: { name: "late" } }]
    yield* node.create("env", { containers: [container("main", undefined, { env })] })
    yield* node.create("volume", { volumes })
    const waiting = yield* node.until("env", (pod) => stateOf(pod, "main") === "waiting:CreateContainerConfigError")
    assert.strictEqual(statusOf(waiting, "main")?.state.waiting?.message, `configmap "late" not found`)
    yield* node.eventually(
      node.eventsOf("volume"),
      (events) =>
        events.includes(`FailedMount MountVolume.SetUp failed for volume "config" : configmap "late" not found`),
      "an event of the mount"
    )
    assert.strictEqual(stateOf(yield* node.get("volume"), "main"), "waiting:ContainerCreating")
    assert.include(yield* node.eventsOf("env"), `Failed Error: configmap "late" not found`)
    yield* node.store.create("configmaps", {
      ...podOf("late", {}),
      kind: "ConfigMap",
      data: { key: "value" }
    })
    yield* node.until("env", isReady)
    yield* node.until("volume", isReady)
  }))

it.live("a container that gets another image starts again with it, and at once where it was waiting for the old one", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const setImage = (name: string, image: string) =>
      node.change(name, (pod) => ({
        ...pod,
        spec: { ...pod.spec, containers: pod.spec.containers.map((one) => ({ ...one, image })) }
      }))
    for (
      const [name, image, reason] of [
        ["missing", "kuberun.test/missing:v1", "ImagePullBackOff"],
        ["invalid", "BusyBox:1", "InvalidImageName"]
      ] as const
    ) {
      yield* node.create(name, { containers: [{ ...container("main"), image }] })
      yield* node.until(name, (pod) => stateOf(pod, "main") === `waiting:${reason}`)
      yield* setImage(name, "busybox:2")
      yield* node.until(name, isReady)
    }
    yield* node.create("running", { restartPolicy: "Never", terminationGracePeriodSeconds: 1 })
    yield* node.until("running", isReady)
    yield* setImage("running", "busybox:2")
    const again = yield* node.until("running", (pod) => statusOf(pod, "main")?.restartCount === 1 && isReady(pod))
    assert.strictEqual(statusOf(again, "main")?.image, "busybox:2")
    assert.include(yield* node.eventsOf("running"), "Killing Container main definition changed, will be restarted")
    for (const name of ["missing", "invalid", "running"]) yield* node.forceRemove(name)
  }))

it.live("a restart counts from the moment that the container runs again", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const history = yield* node.history(
      "again",
      (pod) => `${stateOf(pod, "main")} ${statusOf(pod, "main")?.restartCount}`
    )
    yield* node.create("again", { containers: [container("main", "sleep 0.1; exit 3")] })
    yield* node.until("again", (pod) => statusOf(pod, "main")?.restartCount === 1)
    const from = history.indexOf("running 0")
    assert.deepStrictEqual(history.slice(from, from + 3), ["running 0", "terminated:Error:3 0", "running 1"])
    yield* node.forceRemove("again")
  }))

it.live("the main containers are started one after the other, each with its hook", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const lifecycle = { postStart: { exec: { command: isUp("first", "sleep 0.2; touch hooked") } } }
    yield* node.create("pod", {
      restartPolicy: "Never",
      containers: [container("first", idle("first"), { lifecycle }), container("second", "test -e hooked")]
    })
    const pod = yield* node.until("pod", (pod) => stateOf(pod, "second").startsWith("terminated"))
    assert.strictEqual(stateOf(pod, "second"), "terminated:Completed:0")
    yield* node.forceRemove("pod")
  }))
