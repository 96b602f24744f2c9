/**
 * Ends every process that carries a mark in its environment: what holds where there are no PID namespaces.
 *
 * It is a shell of its own that waits on a pipe from us. The pipe ends when we say so, and also when we are killed, so
 * that no process of a pod outlives this one.
 */
import { Effect, type Scope } from "effect"
import { type Tools } from "./Isolation.ts"
import { ProcessError } from "./Pipe.ts"
import { spawnClean } from "./Spawn.ts"

export const markVariable = "MINICLUSTER_CONTAINER"

/**
 * grep's own exit status says nothing: it fails as soon as one process has ended meanwhile or is another user's.
 * Rounds, because a process may fork between being listed and being killed. Bounded: a process in the kernel's hands may not die.
 */
const script = `read -r line
round=0
while [ "$round" -lt 400 ]; do
  found=$("$1" -lsF -- "$2" /proc/[0-9]*/environ 2>/dev/null)
  [ -n "$found" ] || exit 0
  for file in $found; do pid=\${file#/proc/}; kill -KILL "\${pid%/environ}" 2>/dev/null; done
  round=$((round + 1))
done`

/** `sweep` completes when no process with the mark is left. Closing the scope sweeps. */
export const startSweeper = (
  tools: Tools,
  mark: string
): Effect.Effect<{ readonly sweep: Effect.Effect<void> }, ProcessError, Scope.Scope> =>
  Effect.callback<{ readonly sweep: Effect.Effect<void> }, ProcessError>((resume) => {
    const command = { file: tools.sh, args: ["-c", script, "sh", tools.grep, `${markVariable}=${mark}`] }
    const child = spawnClean(command, ["pipe", "ignore", "ignore"])
    const sweep = Effect.callback<void>((resume) => {
      if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
      child.once("exit", () => resume(Effect.void))
      child.stdin?.destroy()
    })
    child.once("error", (error) => resume(new ProcessError({ message: `cannot start ${tools.sh}: ${error.message}` })))
    child.once("spawn", () => resume(Effect.succeed({ sweep })))
  }).pipe((start) => Effect.acquireRelease(start, ({ sweep }) => sweep))
