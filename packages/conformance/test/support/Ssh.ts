/**
 * OpenSSH's clients, without the user's own configuration.
 */
import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { type Process, type ProcessOptions, run, start } from "./Process.ts"
import type { RunningService } from "./Service.ts"

/** What ssh, scp and sftp have in common. */
export const options = (service: RunningService): ReadonlyArray<string> => [
  "-F",
  "/dev/null",
  "-i",
  service.keyPath,
  "-o",
  "IdentitiesOnly=yes",
  "-o",
  "IdentityAgent=none",
  "-o",
  "StrictHostKeyChecking=no",
  "-o",
  "UserKnownHostsFile=/dev/null",
  "-o",
  "LogLevel=ERROR",
  "-o",
  "BatchMode=yes"
]

const destination = (service: RunningService) => `${service.user}@${service.host}`

/** The words of an ssh command: options, where to, and what to run there. */
export interface SshCommand {
  /** Options in front of the destination: `-tt`, `-o`, `RekeyLimit=1M`. */
  readonly options?: ReadonlyArray<string>
  /** What the remote side runs; left out: its shell. */
  readonly command?: string
}

export const words = (service: RunningService, asked: SshCommand): ReadonlyArray<string> => [
  ...options(service),
  "-p",
  String(service.port),
  ...(asked.options ?? []),
  destination(service),
  ...(asked.command === undefined ? [] : [asked.command])
]

/** ssh to its end. A plain text is the command. */
export const ssh = (service: RunningService, asked: SshCommand | string, process: ProcessOptions = {}) =>
  run("ssh", words(service, typeof asked === "string" ? { command: asked } : asked), {
    cwd: service.folder,
    ...process
  })

/** ssh with its handle: to write, stop, kill and read as it goes. */
export const open = (
  service: RunningService,
  asked: SshCommand | string,
  process: ProcessOptions = {}
): Effect.Effect<Process, never, Scope.Scope> =>
  start("ssh", words(service, typeof asked === "string" ? { command: asked } : asked), {
    cwd: service.folder,
    ...process
  })

/** scp by the protocol that runs `scp` in the pod. Remote paths are `:path`. */
export const scp = (service: RunningService, ...paths: ReadonlyArray<string>) =>
  run("scp", [
    "-O",
    ...options(service),
    "-P",
    String(service.port),
    ...paths.map((path) => path.startsWith(":") ? `${destination(service)}${path}` : path)
  ], { cwd: service.folder })

/** sftp with a batch of commands. */
export const sftp = (service: RunningService, batch: string) =>
  run("sftp", [...options(service), "-P", String(service.port), "-b", "-", destination(service)], {
    cwd: service.folder,
    stdin: Buffer.from(batch)
  })

/**
 * A connection that others share (`ControlMaster`). Answers the options that make an ssh a channel of it. It ends with
 * the scope.
 */
export const master = Effect.fnUntraced(function*(service: RunningService) {
  const socket = join(service.folder, `m${(masters += 1)}`)
  const shared = yield* open(service, { options: ["-M", "-S", socket], command: "echo connected; cat" }, {
    stdin: "open"
  })
  yield* shared.stdoutMatch(/connected/)
  return { process: shared, options: ["-S", socket] as ReadonlyArray<string> }
})
let masters = 0
