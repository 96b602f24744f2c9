/** What the benchmark and a cluster's own process tell each other. */

/** What a process has used since it started, and holds now. */
export interface Usage {
  /** Of the process alone: user and system. */
  readonly cpuMillis: number
  /** Of those of its children that have ended: the pods, and what sets them up. */
  readonly childrenCpuMillis: number
  readonly residentBytes: number
}

/** From a process that runs one cluster: first its kubeconfig, then an answer to each question. */
export type Told =
  | { readonly _tag: "Ready"; readonly kubeconfig: string; readonly notes: ReadonlyArray<string> }
  | { readonly _tag: "Usage"; readonly usage: Usage }
  /** From a process that starts clusters and ends them: milliseconds for each of them. */
  | { readonly _tag: "Fresh"; readonly importMillis: number; readonly startMillis: ReadonlyArray<number> }

/** The only question: what is used? */
export const question = "usage"
