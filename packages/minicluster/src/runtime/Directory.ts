/**
 * The cluster's folder, with all that its pods and claims keep: a fresh private one that goes with the cluster, or,
 * when the cluster was killed, with the next one that is started beside it.
 *
 * Its file `owner` tells which process it belongs to. That process is still there only if one of its id was started at
 * the same moment: ids are used again.
 */
import { Clock, Data, Effect, type Scope } from "effect"
import { constants, type Stats } from "node:fs"
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises"
import { hostname, tmpdir } from "node:os"
import { join, resolve } from "node:path"

/** The folder cannot be made; `message` says why. */
export class DirectoryError extends Data.TaggedError("DirectoryError")<{ readonly message: string }> {}

const prefix = "minicluster-"
/** As mkdtemp(3) makes it of the prefix. */
const ourName = /^minicluster-[A-Za-z0-9]{6}$/
/** All that stands in a cluster's folder; a pod's own is named by the pod's name and uid. */
const ourContent = /^(owner|pods|claims|.+-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/
/** A folder that does not tell its owner is left alone for so long: it may be one that is just being made. */
const unclaimedMillis = 24 * 60 * 60_000

/** Those of this process: they need no look. */
const own = new Set<string>()

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, DirectoryError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new DirectoryError({ message: cause instanceof Error ? cause.message : String(cause) })
  })

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")

/** The words of a short text, none where there is no such file. Neither a link is followed nor a writer waited for. */
const words = (path: string): Effect.Effect<ReadonlyArray<string>, DirectoryError> =>
  attempt(async () => {
    try {
      const flag = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      return (await readFile(path, { encoding: "utf8", flag })).trim().split(/\s+/)
    } catch (error) {
      if (isAbsent(error)) return []
      throw error
    }
  })

/** In ticks since the machine was started (proc_pid_stat(5), field 22); `undefined` for a process that has ended. */
const startOf = (pid: string): Effect.Effect<string | undefined, DirectoryError> =>
  Effect.map(words(`/proc/${pid}/stat`), (stat) => {
    // The program's name stands in parentheses, and may hold spaces and others.
    const [state = "Z", ...fields] = stat.slice(stat.findLastIndex((word) => word.endsWith(")")) + 1)
    return state === "Z" || state === "X" ? undefined : fields[18]
  })

/** What a process' id and start belong to: a run of the machine, and a PID namespace. Needs `/proc`. */
const place = Effect.zipWith(
  words("/proc/sys/kernel/random/boot_id"),
  attempt(() => readlink("/proc/self/ns/pid")),
  ([boot], namespace) => ({ boot, namespace: `${hostname()}/${namespace}` })
)

const isAbandoned = Effect.fnUntraced(function*(folder: string, stats: Stats) {
  const [pid, start, boot, namespace] = yield* words(join(folder, "owner"))
  if (pid === undefined || namespace === undefined) {
    const isOld = (yield* Clock.currentTimeMillis) - stats.mtimeMs > unclaimedMillis
    return isOld && (yield* attempt(() => readdir(folder))).every((name) => ourContent.test(name))
  }
  const here = yield* place
  // Another machine's, or one of another PID namespace as a pod has it: its ids say nothing here.
  if (namespace !== here.namespace) return false
  return boot !== here.boot || (yield* startOf(pid)) !== start
})

const makeWritable = async (folder: string): Promise<void> => {
  await chmod(folder, 0o700)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name))
  }
}

/** Removes a folder with all that is in it, also where folders were made read-only. What resists it stays. */
export const removeFolder = (folder: string): Effect.Effect<void> => {
  const remove = attempt(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return remove.pipe(
    Effect.catch(() => Effect.andThen(attempt(() => makeWritable(folder)), remove)),
    Effect.timeoutOption("10 seconds"),
    Effect.ignore
  )
}

const sweepOne = Effect.fnUntraced(function*(folder: string) {
  const stats = yield* attempt(() => lstat(folder))
  if (!stats.isDirectory() || stats.uid !== process.getuid?.()) return
  if (yield* isAbandoned(folder, stats)) yield* removeFolder(folder)
})

/** Removes what clusters of this user left in a folder when they were killed. What cannot be judged stays. */
const sweep = (parent: string): Effect.Effect<void> =>
  attempt(() => readdir(parent)).pipe(
    Effect.map((names) => names.filter((name) => ourName.test(name)).map((name) => join(parent, name))),
    Effect.flatMap(Effect.forEach((folder) => own.has(folder) ? Effect.void : Effect.ignore(sweepOne(folder)))),
    Effect.timeoutOption("1 minute"),
    Effect.ignore
  )

/**
 * A new folder in the one that is given, which is made if need be, or in the machine's for temporary files. It goes
 * with the scope; what killed clusters left beside it goes meanwhile, in the background.
 */
export const makeDirectory = (given: string | undefined): Effect.Effect<string, DirectoryError, Scope.Scope> =>
  Effect.gen(function*() {
    const parent = given === undefined ? tmpdir() : resolve(given)
    yield* attempt(() => mkdir(parent, { recursive: true, mode: 0o700 }))
    const folder = yield* Effect.acquireRelease(
      attempt(() => mkdtemp(join(parent, prefix))),
      (folder) => Effect.andThen(removeFolder(folder), Effect.sync(() => own.delete(folder)))
    )
    own.add(folder)
    // Without /proc there is nothing to tell, and nothing is swept.
    const owner = Effect.zipWith(
      place,
      startOf("self"),
      ({ boot, namespace }, start) => [process.pid, start, boot, namespace].join(" ")
    )
    yield* owner.pipe(
      Effect.flatMap((text) => attempt(() => writeFile(join(folder, "owner"), `${text}\n`, { mode: 0o600 }))),
      Effect.ignore
    )
    yield* Effect.forkScoped(sweep(parent))
    return folder
  }).pipe(
    Effect.mapError(({ message }) =>
      new DirectoryError({ message: `The folder for the pods cannot be made: ${message}` })
    )
  )
