/** A container's life on the node: pulled, started, watched, and started again as the pod's restart policy says. */
import { Clock, Effect } from "effect"
import { createHash } from "node:crypto"
import { type ContainerOptions, type RunningContainer, startContainer } from "./Container.ts"
import { type Events } from "./Events.ts"
import { imageBehaviour, pullError } from "./Images.ts"
import { type ContainerStatus, type Terminated, timestamp } from "./Objects.ts"

/** How the loop tells the pod about its container. */
export interface ContainerReporter {
  readonly status: () => ContainerStatus
  /** The pod is being deleted: an end is final. */
  readonly stopping: () => boolean
  readonly report: (change: Partial<ContainerStatus>, running: RunningContainer | undefined) => Effect.Effect<void>
}

/** The kubelet's: 10 s, doubled up to five minutes. */
const backOffStart = 10
const backOffLimit = 300
/** A container that ran this long starts over with the shortest back-off. */
const backOffForgotten = 600

const seconds = (duration: number): string =>
  duration < 60 ? `${duration}s` : `${Math.floor(duration / 60)}m${duration % 60}s`

const hash = (text: string): string => createHash("sha256").update(text).digest("hex")

/** Completes when the image is there. One that cannot be pulled is asked for again with growing pauses, for ever. */
const pull = Effect.fnUntraced(function*(options: ContainerOptions, reporter: ContainerReporter, events: Events) {
  const { pod, spec: { image, name } } = options
  const note = (type: "Normal" | "Warning", reason: string, message: string) =>
    events.record(pod, "kubelet", type, reason, message, name)
  const behaviour = imageBehaviour(image)
  const error = pullError(image)
  const failOnce = Effect.fnUntraced(function*(pause: number) {
    yield* note("Normal", "Pulling", `Pulling image "${image}"`)
    yield* note("Warning", "Failed", `Failed to pull image "${image}": ${error}`)
    yield* note("Warning", "Failed", "Error: ErrImagePull")
    yield* reporter.report({ state: { waiting: { reason: "ErrImagePull", message: error ?? "" } } }, undefined)
    // The kubelet looks again after a moment, and finds itself still within the pause.
    yield* Effect.sleep("1 second")
    yield* note("Normal", "BackOff", `Back-off pulling image "${image}"`)
    yield* note("Warning", "Failed", "Error: ImagePullBackOff")
    const message = `Back-off pulling image "${image}": ErrImagePull: ${error}`
    yield* reporter.report({ state: { waiting: { reason: "ImagePullBackOff", message } } }, undefined)
    yield* Effect.sleep(`${pause - 1} seconds`)
  })
  if (error !== undefined) {
    for (let pause = backOffStart;; pause = Math.min(pause * 2, backOffLimit)) yield* failOnce(pause)
  }
  yield* note("Normal", "Pulling", `Pulling image "${image}"`)
  const millis = behaviour._tag === "Slow" ? behaviour.millis : 0
  yield* Effect.sleep(`${millis} millis`)
  yield* note(
    "Normal",
    "Pulled",
    `Successfully pulled image "${image}" in ${millis}ms (${millis}ms including waiting). Image size: 0 bytes.`
  )
})

/** One run from start to end; interrupting it kills the container. */
const runOnce = (options: ContainerOptions, reporter: ContainerReporter, events: Events): Effect.Effect<Terminated> =>
  Effect.scoped(Effect.gen(function*() {
    const { pod, spec: { name } } = options
    const note = (type: "Normal" | "Warning", reason: string, message: string) =>
      events.record(pod, "kubelet", type, reason, message, name)
    yield* note("Normal", "Created", `Created container: ${name}`)
    const container = yield* startContainer(options)
    yield* note("Normal", "Started", `Started container ${name}`)
    const startedAt = timestamp(yield* Clock.currentTimeMillis)
    const containerID = `containerd://${container.id}`
    // The kubelet looks some time after the start: a container that ends at once it mostly sees ended, never ready.
    if (imageBehaviour(options.spec.image)._tag !== "Exits") {
      yield* reporter.report({ state: { running: { startedAt } }, ready: true, started: true, containerID }, container)
    }
    const exitCode = yield* container.exitCode
    const finishedAt = timestamp(yield* Clock.currentTimeMillis)
    return { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt, finishedAt, containerID }
  })).pipe(
    Effect.catchTag("RuntimeError", ({ message }) =>
      Effect.gen(function*() {
        yield* events.record(options.pod, "kubelet", "Warning", "Failed", `Error: ${message}`, options.spec.name)
        return {
          exitCode: 128,
          reason: "StartError",
          message,
          startedAt: "1970-01-01T00:00:00Z",
          finishedAt: timestamp(yield* Clock.currentTimeMillis),
          containerID: ""
        }
      }))
  )

/** Runs until the restart policy says that it is over. Interrupting it kills the container. */
export const containerLoop = Effect.fnUntraced(
  function*(options: ContainerOptions, reporter: ContainerReporter, events: Events) {
    const { pod, spec } = options
    yield* pull(options, reporter, events)
    yield* reporter.report({ imageID: `sha256:${hash(spec.image)}` }, undefined)
    let pause = backOffStart
    for (let run = 0;; run++) {
      const began = yield* Clock.currentTimeMillis
      const terminated = yield* runOnce(options, reporter, events)
      const ended = { ready: false, started: false }
      yield* reporter.report({ ...ended, state: { terminated }, containerID: terminated.containerID }, undefined)
      const policy = pod.spec.restartPolicy
      if (reporter.stopping() || policy === "Never" || (policy === "OnFailure" && terminated.exitCode === 0)) return
      if (((yield* Clock.currentTimeMillis) - began) / 1000 > backOffForgotten) pause = backOffStart
      // The first restart is at once; from the second on it waits.
      if (run > 0) {
        const who = `${pod.metadata.name}_${pod.metadata.namespace ?? ""}(${pod.metadata.uid})`
        const why = `restarting failed container=${spec.name} pod=${who}`
        yield* events.record(
          pod,
          "kubelet",
          "Warning",
          "BackOff",
          `Back-off ${why.replace("container=", "container ").replace("pod=", "in pod ")}`,
          spec.name
        )
        const message = `back-off ${seconds(pause)} ${why}`
        const lastState = { terminated }
        yield* reporter.report({ lastState, state: { waiting: { reason: "CrashLoopBackOff", message } } }, undefined)
        yield* Effect.sleep(`${pause} seconds`)
        pause = Math.min(pause * 2, backOffLimit)
      } else {
        // The kubelet needs a moment to notice, in which the end itself can be seen.
        yield* Effect.sleep("1 second")
      }
      const restartCount = reporter.status().restartCount + 1
      yield* reporter.report({ lastState: { terminated }, restartCount }, undefined)
    }
  }
)
