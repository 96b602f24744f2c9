/**
 * Messages of an exec's other side, and what a test does to an exec again and again.
 */
import { Effect, Stream } from "effect"
import type { ClusterError, ExecProcess, ExecRequest } from "kuberun"

export const request: ExecRequest = { pod: { namespace: "n", name: "p" }, container: "c", command: ["x"] }
export const withTerminal: ExecRequest = { ...request, terminal: { columns: 80, rows: 24 } }

export const frame = (channel: number, payload: string | Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(channel), typeof payload === "string" ? Buffer.from(payload) : payload])

export const success = frame(3, "{\"metadata\":{},\"status\":\"Success\"}")

/** A result as one word: the exit code, the refusal's text, or the error's reason. */
export const exitOf = (process: ExecProcess): Effect.Effect<string> =>
  process.exit.pipe(
    Effect.map((exit) => exit._tag === "Exited" ? String(exit.code) : `not started: ${exit.detail}`),
    Effect.catch((error) => Effect.succeed(error.reason._tag))
  )

/** All output as text, each piece with its stream's first letter, then how it ended: "end" or the reason. */
export const outputOf = (process: ExecProcess): Effect.Effect<string> =>
  Effect.suspend(() => {
    const parts: Array<string> = []
    return Stream.runForEach(process.output, (output) =>
      Effect.sync(() => {
        parts.push(`${output._tag === "Stdout" ? "o" : "e"}:${Buffer.from(output.bytes).toString()}`)
      })).pipe(
        Effect.as("end"),
        Effect.catch((error: ClusterError) => Effect.succeed(error.reason._tag)),
        Effect.map((end) => [...parts, end].join(" "))
      )
  })
