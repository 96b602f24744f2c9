/**
 * The folder `.kuberun` of the working folder: what `kuberun dev` makes once and finds again, so that the same line
 * works tomorrow and the host key stays the one that the client has come to know. Only its owner can look inside, and
 * git does not see it.
 */
import { Effect, FileSystem, Option, Path, Redacted } from "effect"
import { laxSecret, privateFileMode, privateFolderMode, readGrant, readSecret } from "./PrivateFile.ts"
import { type StartError, startError } from "./StartError.ts"
import { fileTrouble } from "./SystemTrouble.ts"

export const folderName = ".kuberun"

/** A key pair as files hold it. */
export interface KeyPair {
  /** The private key in OpenSSH's format. */
  readonly privateKey: Redacted.Redacted<string>
  /** One line as in authorized_keys. */
  readonly publicKey: string
}

/** Makes a key pair with this comment. */
export type GenerateKey = (comment: string) => Effect.Effect<KeyPair>

export interface StateFolder {
  /** Absolute. */
  readonly path: string
  /** The host key, made when there is none. */
  readonly hostKey: Effect.Effect<Redacted.Redacted<string>, StartError, FileSystem.FileSystem>
  /** The client's key, made when there is none: its file's absolute path, and its public half. */
  readonly clientKey: Effect.Effect<
    { readonly path: string; readonly publicKey: string },
    StartError,
    FileSystem.FileSystem
  >
  /** Where the kubeconfig of the embedded cluster goes when nothing else is said. */
  readonly kubeconfigPath: string
  /** The same for `kuberun minicluster`, which may run beside `kuberun dev`. */
  readonly miniclusterKubeconfigPath: string
}

/** Writes a file at once or not at all, readable by its owner only. */
export const writePrivate = (path: string, text: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const draft = `${path}.${process.pid}.tmp`
    yield* fileSystem.remove(draft, { force: true })
    yield* fileSystem.writeFileString(draft, text, { flag: "wx", mode: privateFileMode }).pipe(
      Effect.andThen(fileSystem.rename(draft, path)),
      Effect.onError(() => Effect.ignore(fileSystem.remove(draft, { force: true })))
    )
  }).pipe(
    Effect.mapError((error) => startError("StateFolder", `cannot write ${path}: ${fileTrouble(error)}`))
  )

const exists = (path: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    return yield* fileSystem.exists(path).pipe(
      Effect.mapError((error) => startError("StateFolder", `cannot look for ${path}: ${fileTrouble(error)}`))
    )
  })

/** The private half is written last: where it is, both are. */
const makePair = (path: string, comment: string, generateKey: GenerateKey) =>
  Effect.gen(function*() {
    const pair = yield* generateKey(comment)
    yield* writePrivate(`${path}.pub`, `${pair.publicKey.trim()}\n`)
    yield* writePrivate(path, Redacted.value(pair.privateKey))
  })

const ensureFolder = (path: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    yield* fileSystem.makeDirectory(path, { mode: privateFolderMode }).pipe(
      Effect.catchIf((error) => error.reason._tag === "AlreadyExists", () => Effect.void),
      Effect.mapError((error) =>
        startError("StateFolder", `cannot make the state folder ${path}: ${fileTrouble(error)}`)
      )
    )
    const info = yield* fileSystem.stat(path).pipe(
      Effect.mapError((error) =>
        startError("StateFolder", `cannot look at the state folder ${path}: ${fileTrouble(error)}`)
      )
    )
    if (info.type !== "Directory") {
      return yield* startError(
        "StateFolder",
        `${path} is not a folder: kuberun keeps its keys in a folder of that name. Move it away.`
      )
    }
    const objection = laxSecret("the state folder", path, info.mode, "700")
    if (Option.isSome(objection)) return yield* startError("StateFolder", objection.value)
    const ignore = `${path}/.gitignore`
    if (!(yield* exists(ignore))) yield* writePrivate(ignore, "*\n")
  })

/** Opens the state folder below `workingFolder`, making it when there is none. */
export const open = Effect.fn("StateFolder.open")(
  function*(workingFolder: string, generateKey: GenerateKey) {
    const paths = yield* Path.Path
    const path = paths.join(workingFolder, folderName)
    yield* ensureFolder(path)

    const hostKeyPath = paths.join(path, "host_key")
    const clientKeyPath = paths.join(path, "client_key")

    const hostKey: StateFolder["hostKey"] = Effect.gen(function*() {
      if (!(yield* exists(hostKeyPath))) yield* makePair(hostKeyPath, "kuberun host key", generateKey)
      return yield* readSecret("HostKey", "the host key", hostKeyPath)
    })

    const clientKey: StateFolder["clientKey"] = Effect.gen(function*() {
      if (!(yield* exists(clientKeyPath))) yield* makePair(clientKeyPath, "kuberun client key", generateKey)
      // ssh refuses a private key that others can read: say so here, before it does.
      yield* readSecret("PrivateFile", "the client key", clientKeyPath)
      if (!(yield* exists(`${clientKeyPath}.pub`))) {
        return yield* startError(
          "PrivateFile",
          `${clientKeyPath}.pub is missing. Delete ${clientKeyPath} too, and both are made anew.`
        )
      }
      const publicKey = yield* readGrant("PrivateFile", "the client key", `${clientKeyPath}.pub`)
      return { path: clientKeyPath, publicKey }
    })

    const folder: StateFolder = {
      path,
      hostKey,
      clientKey,
      kubeconfigPath: paths.join(path, "kubeconfig"),
      miniclusterKubeconfigPath: paths.join(path, "minicluster.kubeconfig")
    }
    return folder
  }
)
