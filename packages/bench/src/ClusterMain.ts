/** The process of one cluster, apart from the load that it is put under. Lives until its parent lets go of it. */
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { type Told, type Usage } from "./Protocol.ts"

/** The kernel counts in ticks of 10 ms on every machine that Node runs on (`getconf CLK_TCK`). */
const tickMillis = 10

/** `cutime` and `cstime` of proc_pid_stat(5); 0 where there is no /proc. */
const childrenCpuMillis = (): number => {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[13]) + Number(fields[14])) * tickMillis
  } catch {
    return 0
  }
}

const usage = (): Usage => {
  const { system, user } = process.cpuUsage()
  return {
    cpuMillis: (system + user) / 1000,
    childrenCpuMillis: childrenCpuMillis(),
    residentBytes: process.memoryUsage().rss
  }
}

const tell = (told: Told): void => {
  process.send?.(told)
}

const program = Effect.gen(function*() {
  const { isolation, kubeconfig } = yield* make()
  yield* Effect.callback<void>((resume) => {
    process.on("message", () => tell({ _tag: "Usage", usage: usage() }))
    process.once("disconnect", () => resume(Effect.void))
    tell({ _tag: "Ready", kubeconfig, notes: isolation })
  })
}).pipe(Effect.scoped)

await Effect.runPromise(program)
