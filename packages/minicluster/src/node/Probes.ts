/** Probes: when a container counts as started, as ready, and as no longer alive. */
import { Effect, Schedule } from "effect"
import { type Probe } from "../shapes/Objects.ts"
import { type ActionFailed } from "./Actions.ts"

export type ProbeKind = "Startup" | "Liveness" | "Readiness"

/** What the attempts so far have come to. */
export interface Health {
  /** Undefined until the probe has come to a verdict. */
  readonly verdict: boolean | undefined
  readonly last: boolean | undefined
  /** How many attempts in a row, `last` included, ended as it did. */
  readonly streak: number
}

/** A container lives until it is said to be dead, and is not ready until it is said to be. */
export const healthBefore: Readonly<Record<ProbeKind, Health>> = {
  Startup: { verdict: undefined, last: undefined, streak: 0 },
  Liveness: { verdict: true, last: undefined, streak: 0 },
  Readiness: { verdict: false, last: undefined, streak: 0 }
}

/** The health after one more attempt: a verdict needs its threshold of equal attempts in a row (`worker.doProbe`). */
export const afterAttempt = (probe: Probe, health: Health, passed: boolean): Health => {
  const streak = health.last === passed ? health.streak + 1 : 1
  const threshold = passed ? probe.successThreshold ?? 1 : probe.failureThreshold ?? 3
  return { verdict: streak < threshold ? health.verdict : passed, last: passed, streak }
}

/** How the kubelet words an attempt that failed. */
export const unhealthy = (kind: ProbeKind, { message, undone }: ActionFailed): string =>
  `${kind} probe ${undone === true ? "errored and resulted in unknown state" : "failed"}: ${message}`

export const timeoutOf = (probe: Probe): number => probe.timeoutSeconds ?? 1

export interface ProbeOptions {
  readonly kind: ProbeKind
  readonly probe: Probe
  /** One attempt, with its timeout. */
  readonly attempt: Effect.Effect<void, ActionFailed>
  readonly failed: (failure: ActionFailed) => Effect.Effect<void>
  /** Told of each change of the verdict; answers whether to go on probing. */
  readonly decided: (verdict: boolean) => Effect.Effect<boolean>
}

/** Probes a container that has just started, for ever or until `decided` has enough. */
export const runProbe = Effect.fnUntraced(function*({ attempt, decided, failed, kind, probe }: ProbeOptions) {
  yield* Effect.sleep(`${probe.initialDelaySeconds ?? 0} seconds`)
  let health = healthBefore[kind]
  const once = Effect.gen(function*() {
    const passed = yield* attempt.pipe(
      Effect.as(true),
      // What could not be asked leaves everything as it was.
      Effect.catchTag(
        "ActionFailed",
        (failure) => Effect.as(failed(failure), failure.undone === true ? undefined : false)
      )
    )
    const before = health.verdict
    health = passed === undefined ? health : afterAttempt(probe, health, passed)
    return health.verdict === undefined || health.verdict === before ? true : yield* decided(health.verdict)
  })
  yield* Effect.repeat(once, {
    schedule: Schedule.fixed(`${probe.periodSeconds ?? 10} seconds`),
    while: (goesOn) => goesOn
  })
})
