/**
 * A user's pod as it is found, and what that means to a connection that wants to hold it. Pure.
 */
import type { Config } from "../config/Config.ts"
import { podReadiness } from "../pod/PodReadiness.ts"
import type { Pod } from "../ports/Pod.ts"
import { installationLabels, modeKey, ownerKeys } from "../template/Labels.ts"
import { holdersOf } from "./Holders.ts"

/** The labels of all pods of the installation that belong to a user. */
export const userPodLabels = (config: Config): Readonly<Record<string, string>> => ({
  ...installationLabels(config),
  [modeKey]: "user"
})

/** Whether this installation made the pod, for a user. */
export const isUserPod = (config: Config, pod: Pod): boolean =>
  Object.entries(userPodLabels(config)).every(([key, value]) => pod.metadata.labels?.[key] === value)

/** Whether it is this user's. The annotation has the name as it is; a label could be two users'. */
const belongsTo = (config: Config, pod: Pod, username: string): boolean =>
  isUserPod(config, pod) && pod.metadata.annotations?.[ownerKeys.username] === username

/** Whether nobody can use the pod any more: none of its containers will ever run again. */
export const hasEnded = (pod: Pod): boolean => pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded"

/**
 * Whether the pod is not worth being kept for a user who comes back: it has ended, or something is wrong with it. Even
 * what may heal had better be made anew than waited for: the template may have been mended meanwhile.
 */
export const isBroken = (pod: Pod, container: string): boolean => {
  const readiness = podReadiness(pod, container)
  return readiness._tag === "Failed" || (readiness._tag === "Starting" && readiness.fault !== undefined)
}

/**
 * What to do next about the pod of a user's name:
 *
 * - `Create`: there is none.
 * - `Held`: this connection holds it.
 * - `Hold`: take hold of it, in the state in which it was seen.
 * - `Wait`: it is going; then there is room for a new one.
 * - `Replace`: it is of no use to anybody; delete it, in that state.
 * - `Refuse`: the name is taken by what is not this user's.
 */
export type NextStep = "Create" | "Held" | "Hold" | "Wait" | "Replace" | "Refuse"

/** What a connection wants to hold. */
export interface Wish {
  readonly username: string
  readonly container: string
  /** The annotation of its hold. */
  readonly key: string
  readonly value: string
}

/**
 * A pod that has ended is replaced, whoever holds it: their sessions are over. One that does not get ready is replaced
 * where nobody waits for it: with another try, or a template that was mended, the next may.
 */
export const nextStep = (config: Config, pod: Pod | undefined, wish: Wish): NextStep => {
  if (pod === undefined) return "Create"
  if (!belongsTo(config, pod, wish.username)) return "Refuse"
  if (pod.metadata.deletionTimestamp !== undefined) return "Wait"
  if (pod.metadata.annotations?.[wish.key] === wish.value) return "Held"
  if (hasEnded(pod)) return "Replace"
  return holdersOf(pod).length === 0 && isBroken(pod, wish.container) ? "Replace" : "Hold"
}
