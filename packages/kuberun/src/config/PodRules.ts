/**
 * What keys of the configuration mean to each other: what is right by itself and wrong together. Pure; each rule says
 * which keys it looks at, so that it can also be asked where others are wrong by themselves.
 *
 * Types of the configuration alone are imported here: its schema is checked with these rules.
 */
import { Duration } from "effect"
import { defaultClass } from "../pool/PoolClasses.ts"
import {
  claimFaults,
  metadataFaults,
  perUserParts,
  placeholderFaults,
  strayPlaceholders,
  type TemplateFault
} from "../template/TemplateFaults.ts"
import type { PodConfig } from "./PodConfig.ts"
import type { PoolConfig } from "./PoolConfig.ts"

/** A rule about a value with keys: what is wrong, with paths from there on. */
export interface Rule<A> {
  readonly reads: ReadonlyArray<keyof A & string>
  readonly faults: (value: A) => ReadonlyArray<TemplateFault>
}

const fault = (key: string, message: string): ReadonlyArray<TemplateFault> => [{ path: [key], message }]

/** Within `pod`. */
export const podRules: ReadonlyArray<Rule<PodConfig>> = [
  {
    reads: ["mode", "name"],
    faults: ({ mode, name }) =>
      mode === "persistent" && name === ""
        ? fault("name", "expected the pod's name, which mode persistent needs")
        : []
  },
  {
    reads: ["mode", "createMissingPods"],
    faults: ({ createMissingPods, mode }) =>
      createMissingPods && mode !== "persistent"
        ? fault("createMissingPods", `expected false with mode ${mode}: only mode persistent takes pods that are there`)
        : []
  },
  {
    reads: ["mode", "podSpec"],
    faults: ({ mode, podSpec: { restartPolicy } }) =>
      mode === "session" && !(restartPolicy === undefined || restartPolicy === null || restartPolicy === "Never")
        ? [{
          path: ["podSpec", "restartPolicy"],
          message: "expected Never, or nothing, with mode session: the pod ends with its program"
        }]
        : []
  },
  {
    reads: ["mode", "claim"],
    faults: ({ claim, mode }) =>
      claim !== undefined && mode !== "user"
        ? fault("claim", `expected no claim with mode ${mode}: only mode user has pods of a user's own`)
        : []
  },
  {
    reads: ["mode", "linger"],
    faults: ({ linger, mode }) =>
      mode !== "user" && !Duration.isZero(linger)
        ? fault("linger", `expected 0s with mode ${mode}: only in mode user a pod stays after its last connection`)
        : []
  },
  {
    reads: ["podSpec", "consoleContainer"],
    faults: ({ consoleContainer, podSpec: { containers } }) =>
      consoleContainer === undefined || containers.some(({ name }) => name === consoleContainer)
        ? []
        : fault(
          "consoleContainer",
          `expected the name of a container: ${containers.map(({ name }) => name).join(", ")}`
        )
  },
  {
    reads: ["podSpec", "consoleContainerNumber"],
    faults: ({ consoleContainerNumber, podSpec: { containers } }) =>
      consoleContainerNumber < containers.length ? [] : fault(
        "consoleContainerNumber",
        `expected the place of one of the ${containers.length} containers, counted from 0`
      )
  },
  {
    reads: ["consoleContainer", "consoleContainerNumber"],
    faults: ({ consoleContainer, consoleContainerNumber }) =>
      consoleContainer !== undefined && consoleContainerNumber !== 0
        ? fault("consoleContainerNumber", "expected the container by consoleContainer or by its number, not by both")
        : []
  },
  {
    reads: ["exposeAuthMetadataAsEnv"],
    faults: ({ exposeAuthMetadataAsEnv }) =>
      Object.entries(exposeAuthMetadataAsEnv).flatMap(([name, variable]) =>
        /^[A-Za-z_][A-Za-z0-9_]*$/.test(variable) ? [] : [{
          path: ["exposeAuthMetadataAsEnv", name],
          message: "expected the name of a variable: letters, digits or underscores, with no digit at the beginning"
        }]
      )
  },
  { reads: ["name", "podSpec", "idleCommand"], faults: placeholderFaults },
  { reads: ["shellCommand", "idleCommand", "subsystems", "agentPath", "claim"], faults: strayPlaceholders },
  {
    reads: ["labels", "annotations", "exposeAuthMetadataAsLabels", "exposeAuthMetadataAsAnnotations"],
    faults: metadataFaults
  },
  { reads: ["claim", "podSpec"], faults: claimFaults }
]

/** Between `pod` and `pool`, and within `pool`; paths begin at the file's top. */
export const poolRules: ReadonlyArray<Rule<{ readonly pod: PodConfig; readonly pool: PoolConfig }>> = [{
  reads: ["pool"],
  faults: ({ pool: { classes } }) =>
    classes.flatMap(({ name }, index) =>
      name === defaultClass
        ? [{
          path: ["pool", "classes", index, "name"],
          message: `expected another name: ${defaultClass} is the class of all users who are in no other, see pool.size`
        }]
        : classes.findIndex((other) => other.name === name) < index
        ? [{ path: ["pool", "classes", index, "name"], message: "expected a name that no other class has" }]
        : []
    )
}, {
  reads: ["pod", "pool"],
  faults: ({ pod, pool }) => {
    if (pool.size === 0 && pool.classes.every(({ size }) => size === 0)) return []
    const path = pool.size > 0 ? ["pool", "size"] : ["pool", "classes"]
    if (pod.mode !== "connection") {
      return [{ path, message: `expected no pods in waiting with mode ${pod.mode}: a pool is for mode connection` }]
    }
    return perUserParts(pod).map((part) => ({
      path: ["pod", ...part],
      message:
        "expected no placeholder with a pool: a pod in waiting is nobody's yet, and this cannot be changed in a running pod"
    }))
  }
}]
