/**
 * One command for everybody, whatever they ask for (`ForceCommand` of sshd_config(5)).
 */
import { Effect, Stream } from "effect"
import type { SessionRequest } from "../ports/Ssh.ts"
import { acceptEnvironment, localeVariables } from "./AcceptEnvironment.ts"
import { compose, deny, mapChannels, type Policy, startsProgram, watch } from "./Policy.ts"

/** Where the forced command finds what was asked for. */
export const originalCommand = "SSH_ORIGINAL_COMMAND"

export interface ForceCommandOptions {
  /**
   * The command line behind each subsystem, for `SSH_ORIGINAL_COMMAND`: sshd tells that one. Of a subsystem that is not
   * named here the name is told.
   */
  readonly subsystems?: Readonly<Record<string, string>> | undefined
  /**
   * The variables that a client may set: `LANG` and `LC_*` where left out. A command that is a script, or calls one, is
   * no longer forced when its user says `BASH_ENV` or `PATH`.
   */
  readonly environment?: ReadonlyArray<string> | undefined
}

const asked = (request: SessionRequest, subsystems: Readonly<Record<string, string>>): string | undefined => {
  switch (request._tag) {
    case "Exec":
      return request.command
    case "Subsystem":
      return Object.hasOwn(subsystems, request.name) ? subsystems[request.name] : request.name
    default:
      return undefined
  }
}

/**
 * Every shell, command and subsystem becomes `command`, which a shell reads as it would read one of the user's. What was
 * asked for stands in `SSH_ORIGINAL_COMMAND`; for a shell that is not set. The client cannot set that variable itself.
 */
export const forceCommand = (command: string, options: ForceCommandOptions = {}): Policy => {
  const { environment = localeVariables, subsystems = {} } = options

  const forced = mapChannels((channel) =>
    Effect.sync(() => {
      const seen = watch(channel)
      const force = (request: SessionRequest): Stream.Stream<SessionRequest> => {
        if (request._tag === "Environment" && request.name === originalCommand) {
          return Stream.fromEffectDrain(request.reply(false))
        }
        if (!startsProgram(request)) return Stream.make(request)
        const exec: SessionRequest = { _tag: "Exec", command, reply: request.reply }
        const original = asked(request, subsystems)
        if (original === undefined) return Stream.make(exec)
        let told = false
        const variable: SessionRequest = {
          _tag: "Environment",
          name: originalCommand,
          value: original,
          reply: (success) => Effect.sync(() => told = success)
        }
        const untold = deny(seen, request, "What you asked for cannot be told to the command that runs here.")
        // The answer to the first is there when the second is pulled. A command that does not see what was asked for
        // would take it for a shell.
        return Stream.concat(
          Stream.make(variable),
          Stream.suspend(() => told ? Stream.make(exec) : Stream.fromEffectDrain(untold))
        )
      }
      return { ...channel, requests: Stream.flatMap(seen.channel.requests, force) }
    })
  )
  return compose(acceptEnvironment([...environment, originalCommand]), forced)
}
