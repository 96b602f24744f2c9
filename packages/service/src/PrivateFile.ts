/**
 * Files that hold secrets, and files that say who may log in: used only when nobody else can read the first or write
 * the second, as sshd does (sshkey_perm_ok and StrictModes).
 */
import { Effect, FileSystem, Option, Redacted } from "effect"
import { startError, type StartErrorReason } from "./StartError.ts"
import { fileTrouble } from "./SystemTrouble.ts"

/** Read, write and execute for the group and for others. */
const othersBits = 0o077
/** Write for the group and for others. */
const othersWriteBits = 0o022
const permissionBits = 0o777

export const privateFileMode = 0o600
export const privateFolderMode = 0o700

/** 0644 */
export const renderMode = (mode: number): string => (mode & permissionBits).toString(8).padStart(4, "0")

/** The sentence about a secret's permissions, when somebody besides the owner can get at it. */
export const laxSecret = (what: string, path: string, mode: number, strictMode = "600"): Option.Option<string> =>
  (mode & othersBits) === 0 ? Option.none() : Option.some(
    `the permissions ${
      renderMode(mode)
    } of ${what} ${path} are too open: only its owner may have access. Run: chmod ${strictMode} ${path}`
  )

/** The sentence about the permissions of a file that grants access, when somebody besides the owner can change it. */
export const laxGrant = (what: string, path: string, mode: number): Option.Option<string> =>
  (mode & othersWriteBits) === 0 ? Option.none() : Option.some(
    `the permissions ${
      renderMode(mode)
    } of ${what} ${path} are too open: only its owner may change it. Run: chmod go-w ${path}`
  )

const read = (
  reason: StartErrorReason,
  what: string,
  path: string,
  objection: (what: string, path: string, mode: number) => Option.Option<string>
) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const cannotRead = Effect.mapError((error: Parameters<typeof fileTrouble>[0]) =>
      startError(reason, `cannot read ${what} ${path}: ${fileTrouble(error)}`)
    )
    const { mode, type } = yield* fileSystem.stat(path).pipe(cannotRead)
    if (type !== "File") return yield* startError(reason, `cannot read ${what} ${path}: it is not a file`)
    const objected = objection(what, path, mode)
    if (Option.isSome(objected)) return yield* startError(reason, objected.value)
    return yield* fileSystem.readFileString(path).pipe(cannotRead)
  })

/** The text of a file that only its owner may read. */
export const readSecret = (reason: StartErrorReason, what: string, path: string) =>
  read(reason, what, path, laxSecret).pipe(Effect.map(Redacted.make))

/** The text of a file that only its owner may write. */
export const readGrant = (reason: StartErrorReason, what: string, path: string) => read(reason, what, path, laxGrant)
