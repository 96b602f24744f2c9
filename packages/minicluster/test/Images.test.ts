import { assert, it, layer } from "@effect/vitest"
import { layer as clusterLayer, type Minicluster, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { imageBehaviour } from "../src/runtime/Images.ts"
import { at, call, exec, follow, listAt, podBody, pods, runningPod, textAt, until } from "./support/Client.ts"

const create = (cluster: Minicluster, name: string, image: string, spec: object = {}) =>
  call(cluster, "POST", pods, { body: podBody(name, "exec sleep 1000", spec, image) })
const waitingReason = (body: unknown) => textAt(body, "status", "containerStatuses", 0, "state", "waiting", "reason")
const waitingMessage = (body: unknown) => textAt(body, "status", "containerStatuses", 0, "state", "waiting", "message")
const condition = (body: unknown, type: string) =>
  listAt(body, "status", "conditions").find((one) => textAt(one, "type") === type)
const reasonsOf = (cluster: Minicluster, name: string) =>
  Effect.map(
    call(
      cluster,
      "GET",
      `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D${name},involvedObject.kind%3DPod`
    ),
    ({ body }) => listAt(body, "items").map((item) => textAt(item, "reason"))
  )

layer(clusterLayer(), { excludeTestServices: true })("an image", (it) => {
  it.effect("that is ordinary leads to a running pod, with the kubelet's status, conditions and events in order", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* create(cluster, "ordinary", "busybox:1.36")
      const { body } = yield* until(
        cluster,
        `${pods}/ordinary`,
        ({ body }) => textAt(body, "status", "phase") === "Running"
      )
      for (const type of ["PodScheduled", "Initialized", "PodReadyToStartContainers", "ContainersReady", "Ready"]) {
        assert.strictEqual(textAt(condition(body, type), "status"), "True", type)
        assert.match(textAt(condition(body, type), "lastTransitionTime"), /Z$/)
      }
      const status = at(body, "status", "containerStatuses", 0)
      assert.match(textAt(status, "containerID"), /^containerd:\/\/[0-9a-f]{64}$/)
      assert.deepStrictEqual([at(status, "ready"), at(status, "started"), at(status, "restartCount")], [true, true, 0])
      assert.notStrictEqual(textAt(status, "state", "running", "startedAt"), "")
      assert.deepStrictEqual(
        ["podIP", "hostIP", "qosClass"].map((key) => textAt(body, "status", key)),
        ["127.0.0.1", "127.0.0.1", "BestEffort"]
      )
      yield* call(cluster, "DELETE", `${pods}/ordinary?gracePeriodSeconds=1`)
      yield* until(cluster, `${pods}/ordinary`, ({ code }) => code === 404)
      assert.deepStrictEqual(yield* reasonsOf(cluster, "ordinary"), [
        "Scheduled",
        "Pulling",
        "Pulled",
        "Created",
        "Started",
        "Killing"
      ])
    }))

  for (
    const [image, words] of [
      ["kuberun.test/missing:v1", "kuberun.test/missing:v1: not found"],
      ["registry.invalid/team/app", "registry.invalid/team/app:latest: not found"],
      ["kuberun.test/unauthorized", "401 Unauthorized"]
    ] as const
  ) {
    it.effect(`that cannot be pulled (${image}) is told with its reason, and then backed off from`, () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        const name = `pull-${image.replaceAll(/[^a-z]/g, "")}`
        yield* create(cluster, name, image)
        const first = yield* until(cluster, `${pods}/${name}`, ({ body }) => waitingReason(body) === "ErrImagePull")
        assert.include(waitingMessage(first.body), words)
        assert.strictEqual(textAt(first.body, "status", "phase"), "Pending")
        assert.strictEqual(textAt(condition(first.body, "Ready"), "reason"), "ContainersNotReady")
        const second = yield* until(
          cluster,
          `${pods}/${name}`,
          ({ body }) => waitingReason(body) === "ImagePullBackOff"
        )
        assert.include(waitingMessage(second.body), `Back-off pulling image "${image}"`)
        assert.deepStrictEqual(yield* reasonsOf(cluster, name), [
          "Scheduled",
          "Pulling",
          "Failed",
          "Failed",
          "BackOff",
          "Failed"
        ])
      }))
  }

  it.effect("that is slow keeps its pod in ContainerCreating, and then runs", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const watch = yield* follow(cluster, `${pods}?watch=true&fieldSelector=metadata.name%3Dslow`)
      yield* create(cluster, "slow", "kuberun.test/slow-500ms")
      yield* watch.until((events) => events.some((event) => textAt(event, "object", "status", "phase") === "Running"))
      assert.isTrue(watch.events().some((event) => waitingReason(at(event, "object")) === "ContainerCreating"))
    }))

  it.effect("that crashes is restarted at once and then put into CrashLoopBackOff", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* create(cluster, "crash", "kuberun.test/crash:v2")
      const { body } = yield* until(cluster, `${pods}/crash`, ({ body }) => waitingReason(body) === "CrashLoopBackOff")
      assert.match(
        waitingMessage(body),
        /^back-off 10s restarting failed container=main pod=crash_default\([0-9a-f-]+\)$/
      )
      const status = at(body, "status", "containerStatuses", 0)
      assert.deepStrictEqual([at(status, "restartCount"), at(status, "lastState", "terminated", "exitCode")], [1, 1])
      assert.strictEqual(textAt(body, "status", "phase"), "Running")
      assert.include(yield* reasonsOf(cluster, "crash"), "BackOff")
    }))

  it.effect("that exits with 0 completes its pod", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* create(cluster, "exits", "kuberun.test/exit-0", { restartPolicy: "Never" })
      const { body } = yield* until(cluster, `${pods}/exits`, ({ body }) =>
        textAt(body, "status", "phase") === "Succeeded")
      assert.strictEqual(textAt(condition(body, "Ready"), "reason"), "PodCompleted")
    }))

  it.effect("without a shell runs, and answers an exec of one as runc does", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("noshell", "irrelevant", {}, "kuberun.test/noshell"))
      for (
        const [shell, words] of [["sh", "executable file not found in $PATH"], [
          "/bin/bash",
          "stat /bin/bash: no such file or directory"
        ]] as const
      ) {
        const { status } = yield* Effect.flatMap(exec(cluster, "noshell", [shell, "-c", "true"]), ({ end }) => end)
        assert.include(textAt(status, "message"), words)
      }
      const other = yield* Effect.flatMap(exec(cluster, "noshell", ["true"]), ({ end }) => end)
      assert.strictEqual(textAt(other.status, "status"), "Success")
    }))

  it.effect("that no node takes leaves its pod Pending with the scheduler's sentence, as too large requests do", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const sentence = Effect.fnUntraced(function*(name: string, image: string, spec: object) {
        yield* create(cluster, name, image, spec)
        const { body } = yield* until(
          cluster,
          `${pods}/${name}`,
          ({ body }) => condition(body, "PodScheduled") !== undefined
        )
        const scheduled = condition(body, "PodScheduled")
        assert.deepStrictEqual([
          textAt(body, "status", "phase"),
          textAt(scheduled, "status"),
          textAt(scheduled, "reason")
        ], ["Pending", "False", "Unschedulable"])
        assert.deepStrictEqual(yield* reasonsOf(cluster, name), ["FailedScheduling"])
        return textAt(scheduled, "message")
      })
      const affinity =
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
      assert.strictEqual(yield* sentence("nonode", "kuberun.test/unschedulable", {}), affinity)
      assert.strictEqual(yield* sentence("selector", "busybox", { nodeSelector: { disk: "ssd" } }), affinity)
      const requests = (cpu: string, memory: string) => ({
        containers: [{ name: "main", image: "busybox", resources: { requests: { cpu, memory } } }]
      })
      assert.match(
        yield* sentence("cpu", "busybox", requests("100000", "1Ki")),
        /^0\/1 nodes are available: 1 Insufficient cpu\. preemption: /
      )
      assert.include(
        yield* sentence("both", "busybox", requests("1e9", "900Pi")),
        "1 Insufficient cpu, 1 Insufficient memory."
      )
      const { body } = yield* runningPod(cluster, podBody("fits", "", requests("10m", "1Mi")))
      assert.strictEqual(textAt(body, "status", "qosClass"), "Burstable")
    }))
})

it("an image's name counts without its tag and digest", () => {
  assert.deepStrictEqual(imageBehaviour("kuberun.test/slow-2m:a@sha256:00"), { _tag: "Slow", millis: 120_000 })
  assert.deepStrictEqual(imageBehaviour("localhost:5000/kuberun.test/crash"), { _tag: "Ordinary" })
  assert.deepStrictEqual(imageBehaviour("kuberun.test/crash:latest"), { _tag: "Exits", code: 1 })
})
