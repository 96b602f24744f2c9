/** A container's life on the node: pulled, started, watched, and started again as its restart policy says. */
import { Clock, Effect, type Scope, type Semaphore } from "effect"
import { createHash } from "node:crypto"
import {
  type ContainerOptions,
  type RunningContainer,
  type RuntimeError,
  startContainer
} from "../runtime/Container.ts"
import { type ConfigError } from "../runtime/Environment.ts"
import { imageBehaviour } from "../runtime/Images.ts"
import { shortcomings } from "../runtime/Program.ts"
import { type ContainerStatus, type Pod, type Probe, type Terminated, timestamp } from "../shapes/Objects.ts"
import { act, actWithin } from "./Actions.ts"
import { ensureImage, type PullFailed } from "./ImagePull.ts"
import { stopContainer } from "./Lifecycle.ts"
import { type ProbeKind, runProbe, timeoutOf, unhealthy } from "./Probes.ts"
import { backOff, noBackOff, type Note, noteAbout, preStopOf, restarts, type Slot } from "./Slot.ts"

/** What a container's loop needs of its pod. */
export interface PodContext {
  /** As it is now. */
  readonly pod: () => Pod
  /** Nothing is started or restarted any more. */
  readonly stopping: () => boolean
  /** What the container is started with; asked anew for each start. */
  readonly options: (slot: Slot) => Effect.Effect<ContainerOptions, ConfigError | RuntimeError>
  readonly report: (slot: Slot, change: Partial<ContainerStatus>, running?: RunningContainer) => Effect.Effect<void>
  readonly note: Note
  /** Completes when it is worth trying again what failed for a missing object. */
  readonly retry: Effect.Effect<void>
  /** The images that its containers have had so far. */
  readonly images: Set<string>
  /** A pod's containers are started one after the other. */
  readonly turn: Semaphore.Semaphore
  /** A node starts a few containers at a time. */
  readonly starts: Semaphore.Semaphore
}

const duration = (seconds: number): string =>
  seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`

/** A pause before the next attempt, over at once when that will be another one. */
const waitFor = (slot: Slot, seconds: number): Effect.Effect<void> =>
  Effect.raceFirst(Effect.sleep(`${seconds} seconds`), slot.renewed.await)

/** Completes when nothing of the container is left, `seconds` from now at the latest. */
const stop = (context: PodContext, slot: Slot, container: RunningContainer, seconds: number, why: string) =>
  stopContainer({
    container,
    preStop: preStopOf(slot, container),
    expired: Effect.sleep(`${seconds} seconds`),
    turn: Effect.void,
    note: noteAbout(context.note, slot),
    why
  })

/** Ends a container whose image is no longer the one that its pod asks for: it starts again with the new one. */
export const restartChanged = (context: PodContext, slot: Slot): Effect.Effect<void> => {
  const { running } = slot
  if (running === undefined) return Effect.void
  const grace = context.pod().spec.terminationGracePeriodSeconds
  return stop(context, slot, running, grace, `Container ${slot.spec.name} definition changed, will be restarted`)
}

/** Runs the probes of a container that runs; reports what they say, and ends the container when they say so. */
const watchHealth = Effect.fnUntraced(function*(context: PodContext, slot: Slot, container: RunningContainer) {
  const { livenessProbe, name, readinessProbe, startupProbe } = slot.spec
  const run = (kind: ProbeKind, probe: Probe, decided: (verdict: boolean) => Effect.Effect<boolean>) =>
    runProbe({
      kind,
      probe,
      attempt: actWithin(probe, timeoutOf(probe), slot.spec, container),
      failed: (failure) => context.note("Warning", "Unhealthy", unhealthy(kind, failure), name),
      decided
    })
  const restart = (kind: ProbeKind, probe: Probe) => {
    // A container that is being stopped anyway is not stopped for its health.
    if (context.stopping()) return Effect.void
    const grace = probe.terminationGracePeriodSeconds ?? context.pod().spec.terminationGracePeriodSeconds
    const what = `Container ${name} failed ${kind.toLowerCase()} probe`
    const again = restarts(slot.role, context.pod().spec.restartPolicy, 1)
    return stop(context, slot, container, grace, again ? `${what}, will be restarted` : what)
  }
  if (startupProbe !== undefined) {
    let up = false
    yield* run("Startup", startupProbe, (verdict) => {
      up = verdict
      return Effect.succeed(false)
    })
    if (!up) return yield* restart("Startup", startupProbe)
    yield* context.report(slot, { started: true, ready: readinessProbe === undefined }, container)
  }
  yield* slot.started.open
  const probing = [
    ...(livenessProbe === undefined
      ? []
      : [run("Liveness", livenessProbe, () => Effect.as(restart("Liveness", livenessProbe), false))]),
    ...(readinessProbe === undefined
      ? []
      : [run("Readiness", readinessProbe, (ready) => Effect.as(context.report(slot, { ready }, container), true))])
  ]
  yield* Effect.all(probing, { concurrency: "unbounded", discard: true })
})

interface Started {
  readonly container: RunningContainer
  /** Its hook, if it has one, went well: it may count as running. */
  readonly hooked: boolean
}

/** Creates and starts it, and runs its postStart hook: `startContainer` of the kubelet. */
const start = (
  context: PodContext,
  slot: Slot
): Effect.Effect<Started, PullFailed | ConfigError | RuntimeError, Scope.Scope> =>
  context.turn.withPermit(Effect.gen(function*() {
    const { spec } = slot
    yield* slot.renewed.close
    const note = noteAbout(context.note, slot)
    yield* ensureImage(spec, context.images, note)
    const imageID = `sha256:${createHash("sha256").update(spec.image).digest("hex")}`
    yield* context.report(slot, { imageID })
    const options = yield* context.options(slot)
    for (const { message, reason } of shortcomings(options)) yield* note("Warning", reason, message)
    yield* note("Normal", "Created", `Created container: ${spec.name}`)
    const container = yield* context.starts.withPermit(startContainer(options))
    yield* note("Normal", "Started", `Started container ${spec.name}`)
    const hook = spec.lifecycle?.postStart
    if (hook === undefined) return { container, hooked: true }
    // It can be entered and stopped while its hook runs, and does not yet count as running.
    slot.running = container
    const hooked = yield* act(hook, spec, container).pipe(
      Effect.as(true),
      Effect.catchTag("ActionFailed", () => Effect.succeed(false)),
      Effect.raceFirst(Effect.as(container.exitCode, true))
    )
    if (!hooked) {
      const { terminationGracePeriodSeconds } = context.pod().spec
      yield* note("Warning", "FailedPostStartHook", "PostStartHook failed")
      yield* stop(context, slot, container, terminationGracePeriodSeconds, "FailedPostStartHook")
    }
    return { container, hooked }
  }))

/** As `start`, and again for what may heal: an image that comes, an object that appears. */
const startAtLast = (context: PodContext, slot: Slot) => {
  const { name } = slot.spec
  const wait = (reason: string, message: string) => context.report(slot, { state: { waiting: { reason, message } } })
  let pause = backOff(noBackOff, 0)
  const attempt: Effect.Effect<Started, RuntimeError, Scope.Scope> = Effect.suspend(() => start(context, slot))
    .pipe(
      Effect.catchTags({
        ConfigError: ({ message }) =>
          Effect.gen(function*() {
            yield* context.note("Warning", "Failed", `Error: ${message}`, name)
            yield* wait("CreateContainerConfigError", message)
            yield* context.retry
            return yield* attempt
          }),
        PullFailed: ({ message, reason }) =>
          Effect.gen(function*() {
            const { image } = slot.spec
            yield* context.note("Warning", "Failed", `Error: ${reason}`, name)
            yield* wait(reason, message)
            // The kubelet looks again after a moment, and finds itself still within the pause.
            yield* waitFor(slot, 1)
            if (reason === "ErrImagePull") {
              yield* context.note("Normal", "BackOff", `Back-off pulling image "${image}"`, name)
              yield* context.note("Warning", "Failed", "Error: ImagePullBackOff", name)
              yield* wait("ImagePullBackOff", `Back-off pulling image "${image}": ErrImagePull: ${message}`)
            }
            pause = backOff(pause, 0)
            yield* waitFor(slot, pause.wait - 1)
            return yield* attempt
          })
      })
    )
  return attempt
}

/** What a new run changes of the status: told together with its beginning. */
type News = Pick<ContainerStatus, "lastState" | "restartCount">

/** One run from start to end; interrupting it kills the container. */
const runOnce = (context: PodContext, slot: Slot, news: Partial<News>): Effect.Effect<Terminated> =>
  Effect.scoped(Effect.gen(function*() {
    const { container, hooked } = yield* startAtLast(context, slot)
    const startedAt = timestamp(yield* Clock.currentTimeMillis)
    const containerID = `containerd://${container.id}`
    const { image, readinessProbe, startupProbe } = slot.spec
    const started = startupProbe === undefined
    const probed = slot.role === "main" || slot.role === "sidecar"
    // The kubelet looks some time after the start: a container that ends at once it mostly sees ended, never ready.
    if (imageBehaviour(image)._tag !== "Exits" && hooked && !context.stopping()) {
      const ready = probed && started && readinessProbe === undefined
      const state = { running: { startedAt } }
      yield* context.report(slot, { ...news, state, ready, started, containerID }, container)
    }
    if (probed && hooked) yield* Effect.forkScoped(watchHealth(context, slot, container))
    const exitCode = yield* container.exitCode
    const finishedAt = timestamp(yield* Clock.currentTimeMillis)
    return { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt, finishedAt, containerID }
  })).pipe(
    Effect.catchTag("RuntimeError", ({ message }) =>
      Effect.gen(function*() {
        yield* context.note("Warning", "Failed", `Error: ${message}`, slot.spec.name)
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

/** Runs until the restart policy says that it is over; answers the last exit code. Interrupting it kills it. */
export const containerLoop = Effect.fnUntraced(function*(context: PodContext, slot: Slot) {
  const { name } = slot.spec
  let pause = noBackOff
  let news: Partial<News> = {}
  for (;;) {
    const began = yield* Clock.currentTimeMillis
    const { image } = slot.spec
    const terminated = yield* runOnce(context, slot, news)
    const { containerID, exitCode } = terminated
    const ready = slot.role === "init" && exitCode === 0
    yield* context.report(slot, { ...news, ready, started: false, state: { terminated }, containerID })
    const { metadata, spec } = context.pod()
    const changed = image !== slot.spec.image
    if (context.stopping() || (!changed && !restarts(slot.role, spec.restartPolicy, exitCode))) return exitCode
    pause = backOff(changed ? noBackOff : pause, ((yield* Clock.currentTimeMillis) - began) / 1000)
    // At once is after the moment that the kubelet takes to notice.
    if (pause.wait === 0) yield* Effect.sleep("1 second")
    else {
      const who = `${metadata.name}_${metadata.namespace ?? ""}(${metadata.uid})`
      yield* context.note("Warning", "BackOff", `Back-off restarting failed container ${name} in pod ${who}`, name)
      const message = `back-off ${duration(pause.wait)} restarting failed container=${name} pod=${who}`
      const state = { waiting: { reason: "CrashLoopBackOff", message } }
      yield* context.report(slot, { lastState: { terminated }, state })
      yield* waitFor(slot, pause.wait)
    }
    news = { lastState: { terminated }, restartCount: slot.status.restartCount + 1 }
  }
})
