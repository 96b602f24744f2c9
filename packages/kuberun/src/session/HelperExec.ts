/**
 * Short programs of our own in a user's pod, each an exec beside the user's.
 */
import { Effect, Stream } from "effect"
import type { RunningPod } from "../pod/RunningPod.ts"
import type { Cluster, ClusterError, ExecExit } from "../ports/Cluster.ts"

/** None of them has much to say. One that goes on and on is not what it was meant to be, whatever the image made of it. */
const mostOutput = 16 * 1024

/**
 * Runs the program to its end, with this input, and answers how it ended; `undefined` for one that does not stop
 * writing. How long it may take is the caller's to bound: interrupting it lets go of its streams.
 */
export const run = (
  cluster: Cluster["Service"],
  pod: Pick<RunningPod, "ref" | "container">,
  command: ReadonlyArray<string>,
  input: Stream.Stream<Uint8Array> = Stream.empty
): Effect.Effect<ExecExit | undefined, ClusterError> =>
  Effect.scoped(Effect.gen(function*() {
    const process = yield* cluster.exec({ pod: pod.ref, container: pod.container, command })
    // Over old exec protocols it cannot be told that its input has ended: ours do not depend on it.
    yield* Effect.forkScoped(Effect.ignore(Stream.run(input, process.stdin)))
    let written = 0
    yield* Stream.runDrain(
      Stream.takeWhile(process.output, ({ bytes }) => (written += bytes.length) <= mostOutput)
    )
    return written > mostOutput ? undefined : yield* process.exit
  }))
