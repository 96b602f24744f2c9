/**
 * The process: runs the command line, shows what went wrong as a sentence, and leaves with the right status.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { type Cause, Console, Effect, Runtime } from "effect"
import { CliError, Command } from "effect/cli"
import { kuberun } from "./Cli.ts"
import { oneLine } from "./Logging.ts"
import { version } from "./Version.ts"
import { workingFolder } from "./WorkingFolder.ts"

/** The sentence about a failure, or undefined where it was told already. */
const sentence = (failure: unknown): string | undefined => {
  if (CliError.isCliError(failure)) return failure._tag === "ShowHelp" ? undefined : failure.message
  return failure instanceof Error ? failure.message : String(failure)
}

const tell = (cause: Cause.Cause<unknown>) =>
  Effect.forEach(cause.reasons, (reason) => {
    switch (reason._tag) {
      case "Fail": {
        const text = sentence(reason.error)
        return text === undefined ? Effect.void : Console.error(`kuberun: ${text}`)
      }
      case "Die":
        return Console.error(`kuberun: unexpected fault: ${oneLine(sentence(reason.defect) ?? "unknown")}`)
      case "Interrupt":
        return Effect.void
    }
  }, { discard: true })

const program = Command.run(kuberun, { version }).pipe(
  Effect.provide(NodeServices.layer),
  Effect.tapCause(tell)
)

/** A log that nobody reads any more (a closed terminal, a closed pipe) is no reason to leave pods behind. */
const ignoreLostReaders = (): void => {
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {})
}

/** Signals are the commands' own business: see `Shutdown`. Leaves even when something still keeps Node alive. */
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  fiber.addObserver((exit) => teardown(exit, (code) => process.exit(code)))
})

/** So that everything relative, in a kubeconfig as well, is relative to where the user is. */
const enterWorkingFolder = (): void => {
  const folder = workingFolder(process.env, process.cwd())
  if (folder !== process.cwd()) process.chdir(folder)
}

export const main = (): void => {
  enterWorkingFolder()
  ignoreLostReaders()
  runMain(program, { disableErrorReporting: true })
}
