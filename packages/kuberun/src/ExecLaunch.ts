/**
 * Starts programs in a running pod, each by an exec.
 */
import { Effect, type Scope } from "effect"
import { Cluster, type ClusterError } from "./Cluster.ts"
import type { LaunchedProgram, ProgramLaunch } from "./Launch.ts"
import type { TerminalSize } from "./Output.ts"
import type { PodEnded } from "./PodStartError.ts"
import { withPrologue } from "./Program.ts"
import type { RunningPod } from "./RunningPod.ts"

/** What the launcher has to know of the pod beside where it is. */
export interface ExecLaunchOptions {
  /** Others use the pod too, now or later: a program that ended must leave nothing behind in it. */
  readonly shared: boolean
}

export const launch = Effect.fn("ExecLaunch.launch")(function*(
  running: RunningPod,
  program: ProgramLaunch,
  size: Effect.Effect<TerminalSize>,
  _options: ExecLaunchOptions
): Effect.fn.Return<LaunchedProgram, ClusterError | PodEnded, Cluster | Scope.Scope> {
  const cluster = yield* Cluster
  const process = yield* cluster.exec({
    pod: running.ref,
    container: running.container,
    command: withPrologue(program),
    terminal: program.terminal === undefined ? undefined : yield* size
  }).pipe(
    // A pod that is gone is what the API server means, whatever its words.
    Effect.catchTag("ClusterError", (error) => Effect.andThen(running.check, Effect.fail(error))),
    Effect.raceFirst(running.ended)
  )
  return {
    process,
    ended: running.ended,
    check: running.check,
    signal: () => Effect.succeed(false),
    interrupt: Effect.succeed(false)
  }
})
