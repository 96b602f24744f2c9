/**
 * What is counted, as Effect metrics: read them with `Metric.snapshot`, or serve them with `PrometheusMetrics`, `Otlp`.
 * Names and users are in the log and in spans, never here: each value of an attribute is a series that stays for ever.
 */
import { Clock, Effect, Metric, Sink, Stream } from "effect"
import type { PodStartError } from "./pod/PodStartError.ts"
import { mapChannels, type Policy, startsProgram } from "./policy/Policy.ts"
import type { ExitStatus, SessionChannel, SessionRequest } from "./ports/Ssh.ts"

const counter = (name: string, description: string) =>
  Metric.counter(`kuberun_${name}_total`, { description, incremental: true })
const gauge = (name: string, description: string) => Metric.gauge(`kuberun_${name}`, { description })

export const connections = counter("connections", "SSH connections that were handled")
export const connectionsOpen = gauge("connections_open", "SSH connections that are handled now")
export const sessionsOpen = gauge("sessions_open", "Session channels that are open")
/** `kind` is `shell`, `exec` or `subsystem`. */
export const sessions = counter("sessions", "Programs that were accepted on session channels")
/** `end` is `success` (exit status 0), `failure`, `signal`, or `abandoned` (the client closed the channel first). */
export const programsEnded = counter("programs_ended", "Programs of session channels that ended")
/** `delivered` is `true` or `false`. */
export const signals = counter("signals", "Signals that clients sent to their programs")
export const receivedBytes = counter("received_bytes", "Bytes that programs took from clients")
export const sentBytes = counter("sent_bytes", "Bytes that programs wrote for clients")

export const podsStarted = counter("pods_started", "Pods that became ready")
/** `reason` is the kind of failure: the kubelet's word, the API server's answer, `NotReadyInTime`. */
export const podStartFailures = counter("pod_start_failures", "Pods that did not become ready")
/** From asking until ready. A pool's pods take some hundredths, an image that has to be pulled may take minutes. */
export const podStartSeconds = Metric.histogram("kuberun_pod_start_seconds", {
  description: "Time from asking for a pod until it was ready",
  boundaries: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300]
})
export const podsDeleted = counter("pods_deleted", "Pods whose deletion was accepted, or that were gone already")
export const podsLeft = counter("pods_left", "Pods that could not be deleted and may be left behind")
/** `class` is the pool's class. */
export const poolFree = gauge("pool_free", "Started pods that wait for users")
/** `result` is `warm` where a waiting pod was claimed, `cold` where there was none. */
export const poolClaims = counter("pool_claims", "Pods asked of the pool")

const one = <Input, State>(
  metric: Metric.Metric<Input, State>,
  input: Input,
  attributes: Metric.Metric.Attributes = {}
): Effect.Effect<void> => Metric.update(Metric.withAttributes(metric, attributes), input)

/** Counted in the gauge from now until the effect is through, however that ends. */
const during = <A, E, R>(open: Metric.Gauge<number>, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(Metric.modify(open, 1), () => effect, () => Metric.modify(open, -1))

const endOf = (status: ExitStatus): string =>
  status._tag === "Signaled" ? "signal" : status.code === 0 ? "success" : "failure"

/** A word that Kubernetes gives as a reason (`CamelCase`); whatever else stands there is not one, and not a series. */
const isReason = (text: string): boolean => /^[A-Z][A-Za-z]{1,40}$/.test(text)

const failureReason = ({ reason }: PodStartError): string => {
  switch (reason._tag) {
    case "Refused":
      return reason.error.reason._tag
    case "PodFailed":
      return isReason(reason.reason) ? reason.reason : "PodFailed"
    default:
      return reason._tag
  }
}

/** Counts what the start of a pod comes to, and its time. One that is interrupted is neither. */
export const podStart = <A, R>(start: Effect.Effect<A, PodStartError, R>): Effect.Effect<A, PodStartError, R> =>
  Effect.gen(function*() {
    const before = yield* Clock.currentTimeMillis
    const started = yield* start.pipe(
      Effect.tapError((error) => one(podStartFailures, 1, { reason: failureReason(error) }))
    )
    yield* one(podsStarted, 1)
    yield* one(podStartSeconds, ((yield* Clock.currentTimeMillis) - before) / 1000)
    return started
  })

/** Counts what became of a pod's deletion: true where it is gone, or going. */
export const podDeletion = <E, R>(deletion: Effect.Effect<boolean, E, R>): Effect.Effect<boolean, E, R> =>
  Effect.tap(deletion, (gone) => one(gone ? podsDeleted : podsLeft, 1))

/** Counts what became of a claim: a pod, or `undefined` where none was free. */
export const poolClaim = <A, E, R>(claim: Effect.Effect<A | undefined, E, R>): Effect.Effect<A | undefined, E, R> =>
  Effect.tap(claim, (claimed) => one(poolClaims, 1, { result: claimed === undefined ? "cold" : "warm" }))

/** Says how many pods of a class wait. */
export const poolSize = (poolClass: string, free: number): Effect.Effect<void> =>
  one(poolFree, free, { class: poolClass })

/**
 * Counts connections, sessions, programs, signals and bytes: the policy to put outermost, so that what others turn away
 * is counted as it ends. Bytes are counted as they move, per chunk.
 */
export const observe: Policy = (next) => (connection) =>
  Effect.gen(function*() {
    yield* one(connections, 1)
    yield* during(connectionsOpen, watched(next)(connection))
  })

const watched = mapChannels(Effect.fnUntraced(function*(channel) {
  const context = yield* Effect.context()
  let started = false
  let ended = false
  const ends = (end: string) =>
    Effect.suspend(() => {
      if (!started || ended) return Effect.void
      ended = true
      return one(programsEnded, 1, { end })
    })
  const count = (metric: Metric.Counter<number>, bytes: number) => metric.updateUnsafe(bytes, context)

  yield* during(sessionsOpen, channel.closed).pipe(
    Effect.ensuring(ends("abandoned")),
    Effect.forkScoped({ startImmediately: true })
  )
  return {
    ...channel,
    requests: Stream.map(
      channel.requests,
      (request): SessionRequest => ({
        ...request,
        reply: (success) =>
          request.reply(success).pipe(
            Effect.andThen(Effect.suspend(() => {
              if (request._tag === "Signal") return one(signals, 1, { delivered: String(success) })
              if (!success || !startsProgram(request)) return Effect.void
              started = true
              return one(sessions, 1, { kind: request._tag.toLowerCase() })
            })),
            // What was answered is counted, though its answer be the last that happens.
            Effect.uninterruptible
          )
      })
    ),
    stdin: Stream.mapArray(channel.stdin, (chunks) => {
      count(receivedBytes, chunks.reduce((sum, chunk) => sum + chunk.length, 0))
      return chunks
    }),
    output: Sink.mapInputArray(channel.output, (outputs) => {
      count(sentBytes, outputs.reduce((sum, { bytes }) => sum + bytes.length, 0))
      return outputs
    }),
    exit: (status) => Effect.andThen(ends(endOf(status)), channel.exit(status))
  } satisfies SessionChannel
}))
