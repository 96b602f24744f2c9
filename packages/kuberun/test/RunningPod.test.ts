import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Clock, Duration, Effect, Fiber, Result, Schema, SubscriptionRef } from "effect"
import { Cluster, type ContainerStatus, decodeConfig, type Pod, type PodStatus } from "kuberun"
import type { PodEnded } from "../src/pod/PodStartError.ts"
import { faultPatience, follow, newsPatience } from "../src/pod/RunningPod.ts"
import { podSentence } from "../src/session/Sentences.ts"
import { podManifest } from "../src/template/PodTemplate.ts"

const identity = {
  connectionId: "c",
  username: "alice",
  remoteAddress: "192.0.2.1",
  remotePort: 1,
  localAddress: "",
  localPort: 0,
  metadata: {}
}

/** A pod called `p` in a cluster in memory that does nothing by itself, followed in a fiber. */
const followed = Effect.gen(function*() {
  const { layer, world } = yield* FakeCluster.make({ ...FakeCluster.calmPlan, start: "never" })
  const activity = yield* SubscriptionRef.make("")
  const fiber = yield* Effect.gen(function*() {
    const cluster = yield* Cluster
    const pod = yield* cluster.createPod(podManifest(yield* decodeConfig({}), identity, "p"))
    return yield* follow(pod, "shell", activity)
  }).pipe(Effect.provide(layer), Effect.result, Effect.forkScoped({ startImmediately: true }))
  yield* Time.settle
  const change = (to: (pod: Pod) => Pod) => Effect.andThen(world.changePod("p", to), Time.settle)
  const status = (to: PodStatus) => change((pod) => ({ ...pod, status: to }))
  const shell = (to: Omit<ContainerStatus, "name">, phase = "Running") =>
    status({
      phase,
      conditions: [{ type: "PodScheduled", status: "True" }, { type: "Ready", status: "True" }],
      containerStatuses: [{ name: "other", state: {} }, { name: "shell", ...to }]
    })
  return { activity, change, fiber, shell, status, world }
})

const running = (restartCount: number, startedAt?: string): Omit<ContainerStatus, "name"> => ({
  restartCount,
  state: { running: startedAt === undefined ? {} : { startedAt } }
})

const oom = { exitCode: 137, reason: "OOMKilled" }

/** A pod that is ready, and how the cluster's ways with it go on. */
const ready = Effect.gen(function*() {
  const world = yield* followed
  yield* world.shell(running(0, "2026-01-01T00:00:00Z"))
  const pod = yield* Effect.fromResult(yield* Fiber.join(world.fiber))
  return { ...world, pod }
})

/** What a user would read, or nothing where the check succeeds. */
const told = (check: Effect.Effect<void, PodEnded>): Effect.Effect<string> =>
  Effect.match(check, { onFailure: podSentence, onSuccess: () => "" })

describe("a pod that is waited for", () => {
  const state = Schema.Literals(["none", "missing", "crash", "pull", "passing"])
  const waiting: { readonly [Name in typeof state.Type]: ContainerStatus } = {
    none: { name: "shell", state: { waiting: { reason: "ContainerCreating" } } },
    missing: {
      name: "shell",
      state: { waiting: { reason: "CreateContainerConfigError", message: "secret \"s\" not found" } }
    },
    crash: { name: "other", state: { waiting: { reason: "CrashLoopBackOff" } } },
    pull: { name: "shell", state: { waiting: { reason: "ImagePullBackOff", message: "Back-off pulling image" } } },
    passing: { name: "shell", state: { waiting: { reason: "ErrImagePull", message: "i/o timeout" } } }
  }
  const faults: ReadonlySet<typeof state.Type> = new Set(["missing", "crash", "pull"])

  it.effect.prop(
    "has failed when faults that may heal have lasted for their time without a break, and not before",
    {
      stretches: Schema.Array(
        Schema.Tuple([state, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))])
      ).check(Schema.isMaxLength(6))
    },
    ({ stretches }) =>
      Effect.scoped(Effect.gen(function*() {
        const { fiber, status } = yield* followed
        const limit = Duration.toMillis(faultPatience)
        let now = 0
        let since: number | undefined
        let failsAt: number | undefined
        for (const [name, steps] of stretches) {
          yield* status({ phase: "Pending", containerStatuses: [waiting[name]] })
          since = faults.has(name) ? since ?? now : undefined
          for (let step = 0; step < steps && failsAt === undefined; step++) {
            yield* Time.pass("5 seconds")
            now += 5000
            if (since !== undefined && now - since >= limit) failsAt = now
            assert.strictEqual(fiber.pollUnsafe() !== undefined, failsAt !== undefined, `${name} at ${now}`)
          }
          if (failsAt !== undefined) break
        }
        if (failsAt === undefined) return assert.isUndefined(fiber.pollUnsafe())
        const failure = yield* Fiber.join(fiber)
        assert.isTrue(Result.isFailure(failure) && failure.failure._tag === "PodStartError")
      })),
    { arbitrary: { runs: 300 } }
  )

  it.effect("tells what holds it up, and is ready all the same when that heals in time", () =>
    Effect.scoped(Effect.gen(function*() {
      const { activity, fiber, shell } = yield* followed
      yield* shell(waiting.missing, "Pending")
      yield* Time.pass("15 seconds")
      assert.strictEqual(
        yield* SubscriptionRef.get(activity),
        "container shell cannot be started yet (secret \"s\" not found)"
      )
      yield* shell(running(0))
      assert.isTrue(Result.isSuccess(yield* Fiber.join(fiber)))
    })))

  it.effect("does not end of an earlier fault when it is ready, though its container has one again just then", () =>
    Effect.scoped(Effect.gen(function*() {
      const { fiber, shell } = yield* followed
      yield* shell(waiting.missing, "Pending")
      yield* Time.pass("15 seconds")
      yield* shell(running(0))
      const pod = yield* Effect.fromResult(yield* Fiber.join(fiber))
      yield* shell(waiting.missing)
      yield* Time.pass("10 seconds")
      yield* shell(running(1))
      assert.strictEqual(yield* told(pod.check), "")
    })))

  it.effect("is told with its last fault, in words", () =>
    Effect.scoped(Effect.gen(function*() {
      const { fiber, shell } = yield* followed
      yield* shell(waiting.pull, "Pending")
      yield* Time.pass("10 seconds")
      yield* shell(waiting.missing, "Pending")
      yield* Time.pass("10 seconds")
      const failure = yield* Fiber.join(fiber)
      assert.isTrue(Result.isFailure(failure))
      if (Result.isFailure(failure) && failure.failure._tag === "PodStartError") {
        assert.strictEqual(
          podSentence(failure.failure),
          "Your pod could not be started: secret \"s\" not found (CreateContainerConfigError)."
        )
      }
    })))

  it.effect("knows when it was created, by the API server's clock", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod, world } = yield* ready
      const [stored] = yield* world.pods
      assert.strictEqual(pod.created, Date.parse(stored?.metadata.creationTimestamp ?? ""))
    })))
})

describe("a program's check", () => {
  it.effect("finds nothing where the container has run all the time", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod } = yield* ready
      const check = yield* pod.programCheck
      const before = yield* Clock.currentTimeMillis
      assert.strictEqual(yield* told(check()), "")
      assert.strictEqual(yield* Clock.currentTimeMillis, before)
    })))

  it.effect("tells of a container that was started again, and why it had ended", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod, shell } = yield* ready
      const check = yield* pod.programCheck
      yield* shell({ ...running(1, "2026-01-01T00:01:00Z"), lastState: { terminated: oom } })
      assert.strictEqual(
        yield* told(check()),
        "Your pod p: container shell was restarted (OOMKilled, exit code 137), and your program ended with it."
      )
      // It runs: who asks for the pod only hears nothing, and so does the next program.
      assert.strictEqual(yield* told(pod.check), "")
      assert.strictEqual(yield* told((yield* pod.programCheck)()), "")
    })))

  it.effect("tells of a run that is another by its beginning only", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod, shell } = yield* ready
      const check = yield* pod.programCheck
      yield* shell(running(0, "2026-01-01T00:09:00Z"))
      assert.strictEqual(
        yield* told(check()),
        "Your pod p: container shell was restarted, and your program ended with it."
      )
    })))

  it.effect("tells of a container that is not running", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod, shell } = yield* ready
      const check = yield* pod.programCheck
      yield* shell({ restartCount: 0, state: { terminated: oom } })
      for (const asked of [check(), pod.check]) {
        assert.strictEqual(
          yield* told(asked),
          "Your pod p has ended under this session: container shell is not running: its last run ended with exit code 137 (OOMKilled)."
        )
      }
    })))

  it.effect("waits for news as long as it may, and no longer", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod, shell } = yield* ready
      const check = yield* pod.programCheck
      const late = yield* Effect.forkChild(told(check(newsPatience)), { startImmediately: true })
      yield* Time.pass("1 second")
      assert.isUndefined(late.pollUnsafe())
      yield* shell({ ...running(1), lastState: { terminated: oom } })
      assert.include(yield* Fiber.join(late), "was restarted (OOMKilled, exit code 137)")

      const again = yield* pod.programCheck
      const silent = yield* Effect.forkChild(told(again(newsPatience)), { startImmediately: true })
      yield* Time.pass("1999 millis")
      assert.isUndefined(silent.pollUnsafe())
      yield* Time.pass("1 millis")
      assert.strictEqual(yield* Fiber.join(silent), "")
    })))

  it.effect("tells of a pod that goes while it waits for news", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod, world } = yield* ready
      const check = yield* pod.programCheck
      const waits = yield* Effect.forkChild(told(check(newsPatience)), { startImmediately: true })
      yield* Time.pass("1 second")
      yield* world.removePod
      yield* Time.settle
      assert.strictEqual(yield* Fiber.join(waits), "Your pod p was deleted, so this session ends.")
    })))
})

describe("a pod that is taken from under its sessions", () => {
  const disrupted = (reason: string, message?: string) => ({
    type: "DisruptionTarget",
    status: "True",
    reason,
    ...(message === undefined ? {} : { message })
  })

  it.effect("is told with the cluster's reason, whether its deletion was seen or only that it is gone", () =>
    Effect.gen(function*() {
      for (const seen of [true, false]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { change, pod, world } = yield* ready
          yield* change((before) => ({
            ...before,
            status: {
              ...before.status,
              conditions: [disrupted("PreemptionByScheduler", "preempting to accommodate a pod")]
            }
          }))
          assert.strictEqual(yield* told(pod.check), "")
          yield* seen
            ? change(({ metadata, ...rest }) => ({
              ...rest,
              metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" }
            }))
            : Effect.andThen(world.removePod, Time.settle)
          assert.strictEqual(
            yield* told(pod.ended),
            "Your pod p was deleted, so this session ends: a pod of higher priority took its place (preempting to accommodate a pod)."
          )
        }))
      }
    }))

  it.effect("is told as evicted, with the kubelet's sentence", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pod, status } = yield* ready
      yield* status({ phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory. " })
      assert.strictEqual(
        yield* told(pod.ended),
        "Your pod p has ended under this session: it was evicted from its node: The node was low on resource: memory (Evicted)."
      )
    })))

  it.effect("is gone when another one has its name, though nobody saw it go", () =>
    Effect.gen(function*() {
      const { change, pod } = yield* ready
      const ended = yield* Effect.forkChild(Effect.flip(pod.ended))
      yield* change((before) => ({ ...before, metadata: { ...before.metadata, uid: "another" } }))
      assert.isDefined(ended.pollUnsafe())
      assert.match(podSentence(yield* Fiber.join(ended)), /was deleted/)
    }))
})
