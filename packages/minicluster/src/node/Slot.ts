/** A container's place in its pod: what it is to the pod, and what has become of it. */
import { type Effect, type Latch } from "effect"
import { type RunningContainer } from "../runtime/Container.ts"
import { type ContainerLog } from "../runtime/ContainerLog.ts"
import { type Container, type ContainerStatus, type EphemeralContainer } from "../shapes/Objects.ts"
import { act, type ActionFailed } from "./Actions.ts"

/** Records an event about the pod, or about one of its containers. */
export type Note = (
  type: "Normal" | "Warning",
  reason: string,
  message: string,
  container?: string
) => Effect.Effect<void>

export type Role = "init" | "sidecar" | "main" | "ephemeral"

/** Only its loop writes the status; the spec is replaced when the pod gets another image for it. */
export interface Slot {
  readonly role: Role
  readonly log: ContainerLog
  /** Open once the container counts as started for the first time: the next one's turn. */
  readonly started: Latch.Latch
  /** Open from the moment that the pod names another image for it until it is started with that. */
  readonly renewed: Latch.Latch
  spec: EphemeralContainer
  status: ContainerStatus
  running: RunningContainer | undefined
}

/** The restart policy of one container, which is not the pod's for each. */
const policyOf = (role: Role, podPolicy: string): string => {
  if (role === "ephemeral") return "Never"
  if (role === "sidecar") return "Always"
  return role === "init" && podPolicy === "Always" ? "OnFailure" : podPolicy
}

/** Whether a container is started again after an end. */
export const restarts = (role: Role, podPolicy: string, exitCode: number): boolean => {
  const policy = policyOf(role, podPolicy)
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0)
}

/** The kubelet's: 10 s, doubled up to five minutes. */
const backOffStart = 10
const backOffLimit = 300
/** A container that ran this long has nothing held against it any more. */
const backOffForgotten = 600

export interface BackOff {
  /** Seconds until the next attempt; 0 for at once. */
  readonly wait: number
  /** What the one after it would wait. */
  readonly next: number
}

export const noBackOff: BackOff = { wait: 0, next: 0 }

/** The back-off after an attempt that lasted so many seconds (`flowcontrol.Backoff`): the first comes at once. */
export const backOff = ({ next }: BackOff, ranSeconds: number): BackOff =>
  next === 0 || ranSeconds > backOffForgotten
    ? { wait: 0, next: backOffStart }
    : { wait: next, next: Math.min(next * 2, backOffLimit) }

export const preStopOf = (
  { spec }: Slot,
  container: RunningContainer
): Effect.Effect<void, ActionFailed> | undefined => {
  const hook = spec.lifecycle?.preStop
  return hook === undefined ? undefined : act(hook, spec, container)
}

/** What it notes is about the slot's container. */
export const noteAbout = (note: Note, { spec }: Slot): Note => (type, reason, message) =>
  note(type, reason, message, spec.name)

/** Before anything has happened to it. */
export const waitingStatus = ({ image, name }: Container, reason: string): ContainerStatus => ({
  name,
  state: { waiting: { reason } },
  lastState: {},
  ready: false,
  started: false,
  restartCount: 0,
  image,
  imageID: ""
})
