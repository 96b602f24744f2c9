import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { podPhase, podStatus, type PodView, qosClass } from "../src/node/PodStatus.ts"
import { type ContainerState, type ContainerStatus, type Pod, type PodPhase, timestamp } from "../src/shapes/Objects.ts"
import { conditionOf, container, idle, makeTestNode, podOf, stateOf, statusOf } from "./support/TestNode.ts"

const terminated = (exitCode: number): ContainerState => ({
  terminated: { exitCode, reason: "", startedAt: null, finishedAt: "", containerID: "" }
})

/** What a container can be in, by name. */
const states = {
  waiting: { state: { waiting: { reason: "ContainerCreating" } }, lastState: {} },
  running: { state: { running: { startedAt: "" } }, lastState: {} },
  succeeded: { state: terminated(0), lastState: {} },
  failed: { state: terminated(1), lastState: {} },
  crashing: { state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: terminated(1) }
} satisfies Record<string, { readonly state: ContainerState; readonly lastState: ContainerState }>
type StateName = keyof typeof states
const stateNames: ReadonlyArray<StateName> = ["waiting", "running", "succeeded", "failed", "crashing"]

const status = (name: string, state: StateName, role: "init" | "other" = "other"): ContainerStatus => ({
  name,
  ...states[state],
  ready: role === "init" ? state === "succeeded" : state === "running",
  started: state === "running",
  restartCount: 0,
  image: "",
  imageID: ""
})

const viewOf = (pod: Pod, named: Readonly<Record<string, StateName>>, more: Partial<PodView> = {}): PodView => ({
  init: (pod.spec.initContainers ?? []).map(({ name, restartPolicy }) =>
    status(name, named[name] ?? "waiting", restartPolicy === "Always" ? "other" : "init")
  ),
  main: pod.spec.containers.map(({ name }) => status(name, named[name] ?? "waiting")),
  ephemeral: [],
  sandbox: true,
  ended: false,
  failure: undefined,
  ...more
})

const pod = (restartPolicy: string, more: Partial<Pod["spec"]> = {}) =>
  podOf("pod", { restartPolicy, containers: [container("a"), container("b")], ...more })
const phase = (of: Pod, named: Readonly<Record<string, StateName>>) => podPhase(of.spec, viewOf(of, named))

describe("a pod's phase", () => {
  it("is counted from its containers and its restart policy", () => {
    const table: ReadonlyArray<
      readonly [StateName, StateName, always: PodPhase, onFailure: PodPhase, never: PodPhase]
    > = [
      ["waiting", "running", "Pending", "Pending", "Pending"],
      ["running", "running", "Running", "Running", "Running"],
      ["running", "failed", "Running", "Running", "Running"],
      ["succeeded", "succeeded", "Running", "Succeeded", "Succeeded"],
      ["succeeded", "failed", "Running", "Running", "Failed"],
      ["crashing", "succeeded", "Running", "Running", "Failed"],
      ["crashing", "running", "Running", "Running", "Running"]
    ]
    for (const [a, b, ...phases] of table) {
      const counted = ["Always", "OnFailure", "Never"].map((policy) => phase(pod(policy), { a, b }))
      assert.deepStrictEqual(counted, phases, `${a} and ${b}`)
    }
  })

  it("is the init containers' before the others have started, and a sidecar's after", () => {
    const withInit = pod("Never", { initContainers: [container("init")] })
    assert.strictEqual(phase(withInit, { init: "running" }), "Pending")
    assert.strictEqual(phase(withInit, { init: "failed" }), "Failed")
    assert.strictEqual(phase(withInit, { init: "succeeded", a: "running", b: "running" }), "Running")
    const again = pod("Always", { initContainers: [container("init")] })
    assert.strictEqual(phase(again, { init: "failed" }), "Pending")
    const sidecar = pod("Never", { initContainers: [{ ...container("side"), restartPolicy: "Always" }] })
    assert.strictEqual(phase(sidecar, { side: "running", a: "succeeded", b: "succeeded" }), "Running")
    assert.strictEqual(phase(sidecar, { side: "crashing", a: "running", b: "running" }), "Running")
    assert.strictEqual(phase(sidecar, { side: "failed", a: "succeeded", b: "succeeded" }), "Succeeded")
  })

  it.effect.prop("is final once all is over, whatever the policy; and never final while something runs", {
    a: Schema.Literals(stateNames),
    b: Schema.Literals(stateNames),
    policy: Schema.Literals(["Always", "OnFailure", "Never"])
  }, ({ a, b, policy }) =>
    Effect.sync(() => {
      const running = a === "running" || b === "running"
      const { main, ...view } = viewOf(pod(policy), { a, b })
      if (running) assert.include(["Pending", "Running"], podPhase(pod(policy).spec, { main, ...view }))
      if (running || a === "waiting" || b === "waiting") return
      assert.strictEqual(
        podPhase(pod(policy).spec, { main, ...view }, true),
        a === "succeeded" && b === "succeeded" ? "Succeeded" : "Failed"
      )
    }))

  it("is Failed for a pod that the node ended, and not before its containers have", () => {
    const failure = { reason: "Evicted", message: "The node was low on resource: memory. " }
    const ended = podStatus(
      pod("Always"),
      viewOf(pod("Always"), { a: "succeeded", b: "succeeded" }, {
        ended: true,
        failure
      }),
      0
    )
    assert.deepStrictEqual([ended.phase, ended.reason, ended.message], ["Failed", "Evicted", failure.message])
    const ending = podStatus(pod("Always"), viewOf(pod("Always"), { a: "running", b: "running" }, { failure }), 0)
    assert.deepStrictEqual([ending.phase, ending.reason], ["Running", undefined])
    const over = { a: "succeeded", b: "succeeded" } as const
    assert.strictEqual(podStatus(pod("Never"), viewOf(pod("Never"), over), 0).phase, "Pending")
    assert.strictEqual(podStatus(pod("Never"), viewOf(pod("Never"), over, { ended: true }), 0).phase, "Succeeded")
  })
})

describe("a pod's conditions", () => {
  const conditions = (of: Pod, named: Readonly<Record<string, StateName>>, more?: Partial<PodView>) => {
    const written = podStatus(of, viewOf(of, named, more), 0)
    return (type: string) => {
      const { message, reason, status } = conditionOf({ ...of, status: written }, type) ?? {}
      return [status, reason, message].filter((part) => part !== undefined).join(" ")
    }
  }

  it("say what is missing, and what is over", () => {
    const of = pod("Never", {
      initContainers: [container("init"), { ...container("side"), restartPolicy: "Always" }]
    })
    const early = conditions(of, { init: "running" })
    assert.strictEqual(
      early("Initialized"),
      "False ContainersNotInitialized containers with incomplete status: [init side]"
    )
    assert.strictEqual(early("Ready"), "False ContainersNotReady containers with unready status: [side a b]")
    const up = conditions(of, { init: "succeeded", side: "running", a: "running", b: "running" })
    assert.deepStrictEqual(["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(up), [
      "True",
      "True",
      "True",
      "True"
    ])
    const over = conditions(of, { init: "succeeded", side: "failed", a: "succeeded", b: "succeeded" }, { ended: true })
    assert.deepStrictEqual(["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"].map(over), [
      "False",
      "True PodCompleted",
      "False PodCompleted",
      "False PodCompleted"
    ])
  })

  it("heed readiness gates", () => {
    const of = pod("Always", { readinessGates: [{ conditionType: "example.com/lb" }] })
    const ready = { a: "running", b: "running" } as const
    assert.strictEqual(
      conditions(of, ready)("Ready"),
      `False ReadinessGatesNotReady corresponding condition of pod readiness gate "example.com/lb" does not exist.`
    )
    assert.strictEqual(conditions(of, ready)("ContainersReady"), "True")
    const gate = { type: "example.com/lb", lastProbeTime: null, lastTransitionTime: "" }
    const closed: Pod = { ...of, status: { phase: "Pending", conditions: [{ ...gate, status: "False" }] } }
    assert.strictEqual(
      conditions(closed, ready)("Ready"),
      `False ReadinessGatesNotReady the status of pod readiness gate "example.com/lb" is not "True", but False`
    )
    const open: Pod = { ...of, status: { phase: "Pending", conditions: [{ ...gate, status: "True" }] } }
    assert.strictEqual(conditions(open, ready)("Ready"), "True")
    assert.strictEqual(conditions(open, ready)("example.com/lb"), "True")
  })

  it("keep the time of their last transition while they stay as they are", () => {
    const of = pod("Always")
    const first: Pod = { ...of, status: podStatus(of, viewOf(of, {}), 0) }
    const second: Pod = { ...of, status: podStatus(first, viewOf(of, { a: "running", b: "running" }), 5000) }
    assert.strictEqual(conditionOf(second, "Initialized")?.lastTransitionTime, timestamp(0))
    assert.strictEqual(conditionOf(second, "Ready")?.lastTransitionTime, timestamp(5000))
    assert.strictEqual(second.status.startTime, timestamp(0))
  })
})

it("a pod's quality of service follows its requests and limits", () => {
  const of = (resources: object) => ({ ...container("main"), resources })
  const both = { cpu: "1", memory: "1Gi" }
  assert.strictEqual(qosClass([of({})]), "BestEffort")
  assert.strictEqual(qosClass([of({ limits: both }), of({ limits: both, requests: both })]), "Guaranteed")
  assert.strictEqual(qosClass([of({ limits: both }), of({})]), "Burstable")
})

it.live("a pod is written only when there is something new to say", () =>
  Effect.gen(function*() {
    const node = yield* makeTestNode
    const versions: Array<string> = []
    const feed = yield* Effect.flatMap(node.store.version, node.store.follow)
    yield* Effect.forkScoped(Effect.forever(Effect.map(feed.next, (changes) => {
      for (const { object, resource, type } of changes) {
        if (resource !== "pods") continue
        const { metadata, ...content } = object
        versions.push(type === "DELETED" ? "gone" : JSON.stringify([metadata.deletionTimestamp, content]))
      }
    })))
    const script = `[ -e before ] || { touch before; exit 1; }; ${idle("main")}`
    yield* node.create("pod", { readinessGates: [{ conditionType: "gate" }], containers: [container("main", script)] })
    yield* node.until("pod", (pod) => statusOf(pod, "main")?.restartCount === 1 && stateOf(pod, "main") === "running")
    yield* node.remove("pod", 1)
    yield* node.gone("pod")
    yield* node.eventually(Effect.sync(() => versions.at(-1)), (last) => last === "gone", "the pod's last version")
    versions.forEach((version, index) => assert.notStrictEqual(version, versions[index + 1]))
  }))
