/**
 * Why there is no pod, or no longer one: for the log and, by `Sentences.ts`, for the user.
 */
import { Schema } from "effect"
import { ClusterError } from "../ports/Cluster.ts"

/** The API server did not take the pod, or could not be asked. */
export class Refused extends Schema.TaggedClass<Refused>()("Refused", { error: ClusterError }) {}

/** A pod of this name is there that is not to be used, or none where there should be one: `detail` is ours. */
export class Unusable extends Schema.TaggedClass<Unusable>()("Unusable", { detail: Schema.String }) {}

/** Kubernetes took the pod, but it does not run: `reason` and `detail` are the kubelet's or the scheduler's. */
export class PodFailed extends Schema.TaggedClass<PodFailed>()("PodFailed", {
  reason: Schema.String,
  detail: Schema.String
}) {}

/**
 * Somebody deleted the pod; where it was the cluster itself, `reason` is its word for why ("PreemptionByScheduler"), and
 * `detail` its sentence.
 */
export class PodDeleted extends Schema.TaggedClass<PodDeleted>()("PodDeleted", {
  reason: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String)
}) {}

/**
 * The container ended and was started again, which no program in it survives: `reason` ("OOMKilled") and `exitCode` are
 * those of the run that ended.
 */
export class ContainerRestarted extends Schema.TaggedClass<ContainerRestarted>()("ContainerRestarted", {
  container: Schema.String,
  reason: Schema.optionalKey(Schema.String),
  exitCode: Schema.optionalKey(Schema.Int)
}) {}

/** It was not ready in time; `activity` is what it was doing then. */
export class NotReadyInTime extends Schema.TaggedClass<NotReadyInTime>()("NotReadyInTime", {
  seconds: Schema.Finite,
  activity: Schema.String
}) {}

/** The pod could not be started. */
export class PodStartError extends Schema.TaggedError<PodStartError>()("PodStartError", {
  pod: Schema.String,
  reason: Schema.Union([Refused, Unusable, PodFailed, PodDeleted, NotReadyInTime])
}) {
  override get message(): string {
    return `pod ${this.pod} did not start: ${describe(this.reason)}`
  }
}

/** A pod that ran is gone from under its sessions, or its container from under a program. */
export class PodEnded extends Schema.TaggedError<PodEnded>()("PodEnded", {
  pod: Schema.String,
  reason: Schema.Union([PodFailed, PodDeleted, ContainerRestarted])
}) {
  override get message(): string {
    return `pod ${this.pod} ended: ${describe(this.reason)}`
  }
}

const describe = (reason: PodStartError["reason"] | PodEnded["reason"]): string => {
  switch (reason._tag) {
    case "Refused":
      return reason.error.message
    case "Unusable":
      return reason.detail
    case "PodFailed":
      return `${reason.reason}: ${reason.detail}`
    case "PodDeleted":
      return reason.reason === undefined
        ? "it was deleted"
        : `it was deleted: ${reason.reason} (${reason.detail ?? ""})`
    case "ContainerRestarted":
      return `container ${reason.container} was restarted: ${reason.reason ?? "no reason known"}, exit code ${
        reason.exitCode ?? "unknown"
      }`
    case "NotReadyInTime":
      return `not ready after ${reason.seconds} s (${reason.activity})`
  }
}
