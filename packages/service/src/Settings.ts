/**
 * From what was said on the command line to what the service needs: files are read, and every refusal is a sentence.
 */
import { Effect, Option, type Redacted } from "effect"
import type { Credentials } from "./Authentication.ts"
import * as AuthorizedKeys from "./AuthorizedKeys.ts"
import { readGrant, readSecret } from "./PrivateFile.ts"
import { startError } from "./StartError.ts"

/** The keys of a file. Lines that are not used are told in the log; a file without a usable one is refused. */
export const authorizedKeys = Effect.fn("Settings.authorizedKeys")(function*(file: string) {
  const { keys, refused } = AuthorizedKeys.parse(yield* readGrant("AuthorizedKeys", "the authorized keys", file))
  for (const { line, reason } of refused) {
    yield* Effect.logWarning(`${file}:${line} lets nobody in: ${reason}`)
  }
  if (keys.length === 0) {
    return yield* startError("AuthorizedKeys", `${file} holds no key that could let anybody in`)
  }
  return keys
})

/** The key of a file that the service shows to its clients. */
export const hostKeyFile = (file: string) => readSecret("HostKey", "the host key", file)

/** Who may log in by what was said on the command line. */
export const credentials = Effect.fn("Settings.credentials")(function*(options: {
  readonly authorizedKeys: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
}) {
  const keys = options.authorizedKeys === undefined ? [] : yield* authorizedKeys(options.authorizedKeys)
  return { keys, password: options.password } satisfies Credentials
})

/** Whether these let anybody in at all. */
export const letSomebodyIn = (credentials: Credentials): boolean =>
  credentials.keys.length > 0 || credentials.password !== undefined

/** The one key of a `.pub` file of ours. */
export const keyOfPublicFile = (file: string, text: string) => {
  const [key] = AuthorizedKeys.parse(text).keys
  return Effect.fromOption(Option.fromUndefinedOr(key)).pipe(
    Effect.mapError(() =>
      startError("PrivateFile", `${file} is not a public key. Delete it and its private half, and both are made anew.`)
    )
  )
}
