import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cpus, release, totalmem } from "node:os"
import { makeNode, nodeRoom } from "../src/node/Node.ts"
import { demand, unschedulable } from "../src/node/Scheduler.ts"
import { type Pod } from "../src/shapes/Objects.ts"
import { conditionOf, container, isReady, makeTestNode, makeTestNodeWith, podOf, stateOf } from "./support/TestNode.ts"

const asking = (name: string, cpu: number, more: object = {}) =>
  container(name, undefined, { resources: { requests: { cpu: String(cpu) } }, ...more })
const why = (pod: Pod) => conditionOf(pod, "PodScheduled")?.message ?? ""
const notScheduled = (pod: Pod) => conditionOf(pod, "PodScheduled")?.status === "False"

describe("the scheduler", () => {
  it("counts what runs at once: the containers and sidecars, or an init container with the sidecars before it", () => {
    const sidecar = asking("side", 2, { restartPolicy: "Always" })
    const cpu = (initContainers: ReadonlyArray<ReturnType<typeof container>>) =>
      demand(podOf("pod", { initContainers, containers: [asking("a", 1), asking("b", 0.5)] })).cpu
    assert.strictEqual(cpu([]), 1.5)
    assert.strictEqual(cpu([sidecar]), 3.5)
    assert.strictEqual(cpu([asking("init", 5)]), 5)
    assert.strictEqual(cpu([sidecar, asking("init", 5)]), 7)
    assert.strictEqual(cpu([asking("init", 5), sidecar]), 5)
  })

  it("says what keeps a pod from the node", () => {
    const nothing = { cpu: 0, memory: 0, pods: 0 }
    const taints = [{ key: "gpu", value: "yes", effect: "NoSchedule" }]
    const tolerations = [{ key: "gpu", operator: "Equal", value: "yes", effect: "NoSchedule" }]
    const said = (pod: Pod, node: object, used = nothing) =>
      unschedulable(pod, node, used)?.replace(/\. preemption.*/, "")
    assert.strictEqual(
      said(podOf("pod", {}), { unschedulable: true }),
      "0/1 nodes are available: 1 node(s) were unschedulable"
    )
    assert.strictEqual(
      said(podOf("pod", {}), { taints }),
      "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}"
    )
    assert.isUndefined(said(podOf("pod", { tolerations }), { taints }))
    assert.strictEqual(
      said(podOf("pod", { containers: [asking("main", 1)] }), {}, {
        cpu: nodeRoom.cpu,
        memory: 0,
        pods: nodeRoom.pods
      }),
      "0/1 nodes are available: 1 Too many pods, 1 Insufficient cpu"
    )
  })

  it.live("gives a pod its place when another's end makes room", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      const all = { containers: [asking("main", nodeRoom.cpu)] }
      yield* node.create("first", all)
      yield* node.until("first", isReady)
      yield* node.create("second", all)
      const second = yield* node.until("second", notScheduled)
      assert.include(why(second), "1 Insufficient cpu.")
      assert.deepStrictEqual(yield* node.eventsOf("second"), [`FailedScheduling ${why(second)}`])
      yield* node.forceRemove("first")
      yield* node.until("second", isReady)
      yield* node.forceRemove("second")
    }))

  it.live("places a pod once, also when it hears late of what the pod was before", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      const feed = yield* Effect.orDie(Effect.flatMap(node.store.version, node.store.follow))
      // While the scheduler writes about one pod, another comes and is changed: it reads of both afterwards.
      yield* Effect.forkScoped(
        feed.next.pipe(
          Effect.repeat({
            until: (changes) =>
              changes.some(({ object, resource }) => resource === "pods" && (object as Pod).spec.nodeName !== undefined)
          }),
          Effect.andThen(node.create("late")),
          Effect.andThen(node.change("late", (pod) => ({ ...pod, spec: { ...pod.spec, priority: 1 } })))
        ),
        { startImmediately: true }
      )
      yield* node.create("early")
      for (const name of ["early", "late"]) yield* node.until(name, isReady)
      const { items } = yield* node.store.list("events", "default")
      assert.deepStrictEqual(items.filter(({ reason }) => reason === "Scheduled").map(({ count }) => count), [1, 1])
      for (const name of ["early", "late"]) yield* node.forceRemove(name)
    }))

  it.live("waits for gates, for claims and for a node that takes pods", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      const cordon = (unschedulable: boolean) =>
        node.store.update("nodes", "", node.nodeName, (current) => ({ ...current, spec: { unschedulable } }))
      yield* node.create("gated", { schedulingGates: [{ name: "example.com/quota" }] })
      const gated = yield* node.until("gated", notScheduled)
      assert.deepStrictEqual([conditionOf(gated, "PodScheduled")?.reason, why(gated)], [
        "SchedulingGated",
        "Scheduling is blocked due to non-empty scheduling gates"
      ])
      const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "data" } }]
      yield* node.create("claiming", { volumes })
      const claiming = yield* node.until("claiming", notScheduled)
      assert.include(why(claiming), `persistentvolumeclaim "data" not found`)
      yield* cordon(true)
      yield* node.create("cordoned")
      assert.include(why(yield* node.until("cordoned", notScheduled)), "1 node(s) were unschedulable")
      yield* cordon(false)
      yield* node.until("cordoned", isReady)
      const { schedulingGates: _gates, ...spec } = gated.spec
      yield* node.change("gated", (pod) => ({ ...pod, spec }))
      yield* node.until("gated", isReady)
      const { spec: _spec, status: _status, ...claim } = podOf("data", {})
      yield* node.store.create("persistentvolumeclaims", { ...claim, kind: "PersistentVolumeClaim" })
      yield* node.until("claiming", (pod) => pod.spec.nodeName !== undefined)
      for (const name of ["gated", "cordoned", "claiming"]) yield* node.forceRemove(name)
    }))

  it.live("leaves alone what names its node or another scheduler", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      yield* node.create("elsewhere", { nodeName: "elsewhere" })
      yield* node.create("other", { schedulerName: "other" })
      yield* node.create("here", { nodeName: node.nodeName })
      yield* node.until("here", isReady)
      assert.notInclude((yield* node.eventsOf("here")).join(), "Scheduled")
      for (const name of ["elsewhere", "other"]) {
        const pod = yield* node.get(name)
        assert.deepStrictEqual([pod.status.phase, pod.status.conditions], ["Pending", undefined])
      }
      yield* node.forceRemove("here")
    }))
})

describe("the node", () => {
  it("is this machine", () => {
    const { metadata, status } = makeNode(0)
    const { capacity, conditions, nodeInfo } = status as {
      readonly capacity: Record<string, string>
      readonly conditions: ReadonlyArray<Record<string, string>>
      readonly nodeInfo: Record<string, string>
    }
    assert.deepStrictEqual([capacity["cpu"], capacity["memory"]], [
      String(cpus().length),
      `${Math.floor(totalmem() / 1024)}Ki`
    ])
    assert.deepStrictEqual([nodeInfo["kernelVersion"], nodeInfo["kubeletVersion"]], [release(), "v1.32.0"])
    assert.deepStrictEqual(conditions.map(({ status, type }) => `${type} ${status}`), [
      "MemoryPressure False",
      "DiskPressure False",
      "PIDPressure False",
      "Ready True"
    ])
    assert.strictEqual(metadata.labels?.["kubernetes.io/hostname"], "minicluster")
  })

  it.live("that falls behind the changes looks at everything anew", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNodeWith(2)
      const names = Array.from({ length: 12 }, (_, index) => `pod-${index}`)
      yield* node.create("gone")
      yield* node.until("gone", isReady)
      const gone = yield* node.get("gone")
      // In one step, so that nobody can follow.
      yield* Effect.andThen(node.forceRemove("gone"), Effect.forEach(names, (name) => node.create(name)))
      for (const name of names) yield* node.until(name, isReady)
      yield* node.eventually(
        Effect.sync(() => node.kubelet.running(gone, "main")),
        (running) => running === undefined,
        "the end of a pod whose deletion was not seen"
      )
      for (const name of names) yield* node.forceRemove(name)
    }))

  it.live("that is lost reports nothing, keeps its containers, and catches up when it is back", () =>
    Effect.gen(function*() {
      const node = yield* makeTestNode
      const nodeReady = Effect.map(node.store.get("nodes", "", node.nodeName), (object) => {
        const { conditions } = (object as ReturnType<typeof makeNode>).status as {
          readonly conditions: ReadonlyArray<Record<string, string>>
        }
        return conditions.find(({ type }) => type === "Ready")?.["status"]
      })
      yield* node.create("stays", {
        restartPolicy: "Never",
        containers: [container("main", "while [ ! -e end ]; do sleep 0.05; done")]
      })
      yield* node.create("deleted")
      const stays = yield* node.until("stays", isReady)
      const deleted = yield* node.until("deleted", isReady)
      yield* node.kubelet.setNodeLost(true)
      assert.isTrue(node.kubelet.isLost())
      assert.strictEqual(yield* nodeReady, "Unknown")
      assert.isFalse(isReady(yield* node.get("stays")))
      assert.include(yield* node.eventsOf("stays"), "NodeNotReady Node is not ready")
      yield* node.remove("deleted", 1)
      yield* node.create("late")
      assert.include(
        why(yield* node.until("late", notScheduled)),
        "had untolerated taint {node.kubernetes.io/unreachable: }"
      )
      const running = node.kubelet.running(stays, "main")
      assert.isDefined(running)
      if (running !== undefined) {
        yield* running.exec({ argv: ["touch", "end"], stdin: false, stdout: false, stderr: false, terminal: undefined })
        yield* node.eventually(
          Effect.sync(() => node.kubelet.running(stays, "main")),
          (still) => still === undefined,
          "the node's notice of the end"
        )
      }
      assert.isDefined(node.kubelet.running(deleted, "main"))
      assert.strictEqual(stateOf(yield* node.get("stays"), "main"), "running")
      yield* node.kubelet.setNodeLost(false)
      yield* node.gone("deleted")
      assert.strictEqual(yield* nodeReady, "True")
      yield* node.until("stays", ({ status }) => status.phase === "Succeeded")
      yield* node.until("late", isReady)
      yield* node.forceRemove("late")
    }))
})
