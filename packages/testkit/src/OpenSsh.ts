/**
 * The real OpenSSH client as the user of a test. It asks nobody anything, and reads and writes no file of the person's
 * who runs the test. `ssh` has to be installed, 8.4 or newer where there is a password.
 */
import { Effect, type Scope } from "effect"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Process from "./Process.ts"

export interface Login {
  readonly port: number
  /** Left out: `demo`. */
  readonly user?: string | undefined
  /** A folder of the test's own: the client's working folder and home. */
  readonly folder: string
  /** A private key's file that only its owner can read. Without one and without a password the client offers nothing. */
  readonly identityFile?: string | undefined
  readonly password?: string | undefined
  /** Further words before the command: `["-t"]`, `["-o", "SetEnv=LANG=C"]`. */
  readonly options?: ReadonlyArray<string> | undefined
}

/** How a client ended, after all of its output. */
export interface Ended {
  readonly code: number | NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** `ssh` with everything but the command. */
export const words = ({ identityFile, options = [], password, port, user = "demo" }: Login): ReadonlyArray<string> => [
  "-F",
  "/dev/null",
  "-p",
  String(port),
  ...[
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
    "IdentitiesOnly=yes",
    ...identityFile === undefined ? [] : [`IdentityFile=${identityFile}`],
    // In batch mode no password is asked for, also not by SSH_ASKPASS.
    ...password === undefined ? ["BatchMode=yes"] : ["PreferredAuthentications=password", "NumberOfPasswordPrompts=1"]
  ].flatMap((option) => ["-o", option]),
  ...options,
  `${user}@127.0.0.1`
]

/** The program that `ssh` runs to ask for the password; the password itself is in its environment. */
const askPass = Effect.fnUntraced(function*(folder: string, password: string) {
  const path = join(folder, "askpass")
  yield* Effect.sync(() => {
    writeFileSync(path, "#!/bin/sh\nprintf '%s\\n' \"$TESTKIT_PASSWORD\"\n")
    chmodSync(path, 0o700)
  })
  return { SSH_ASKPASS: path, SSH_ASKPASS_REQUIRE: "force", TESTKIT_PASSWORD: password }
})

/** Starts the client, with a command or, without, for a shell. It ends with the scope. */
export const start = Effect.fn("OpenSsh.start")(function*(
  login: Login,
  command?: string,
  stdin?: "open"
): Effect.fn.Return<Process.RunningProcess, never, Scope.Scope> {
  const { folder, password } = login
  const env = password === undefined ? {} : yield* askPass(folder, password)
  return yield* Process.start("ssh", [...words(login), ...command === undefined ? [] : ["--", command]], {
    cwd: folder,
    env: { LC_ALL: "C.UTF-8", ...env },
    ...stdin === undefined ? {} : { stdin }
  })
})

/** Runs a command, or a shell with this input, to its end. */
export const run = (login: Login, command?: string, input?: string): Effect.Effect<Ended> =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* start(login, command, input === undefined ? undefined : "open")
    if (input !== undefined) yield* Effect.andThen(client.write(input), client.endInput)
    const code = yield* client.exit
    return { code, stdout: yield* client.stdout, stderr: yield* client.stderr }
  }))
