/**
 * Finding a program as a container runtime does: before anything is started, so that a missing one has a sentence.
 *
 * The wording is Go's `exec.LookPath` as runc passes it on; programs match on it.
 */
import { Data, Effect } from "effect"
import { constants } from "node:fs"
import { access, stat } from "node:fs/promises"
import { join, resolve } from "node:path"

/** The PATH that a container has when neither its image nor its spec says another. */
export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** `message` is what follows "unable to start container process: " in a runtime's error. */
export class ExecutableError extends Data.TaggedError("ExecutableError")<{ readonly message: string }> {}

type Probe = "ok" | "absent" | "denied"

const probe = async (file: string): Promise<Probe> => {
  try {
    if ((await stat(file)).isDirectory()) return "denied"
    await access(file, constants.X_OK)
    return "ok"
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES" ? "denied" : "absent"
  }
}

/**
 * The absolute path of `name`, sought in `path` (colon-separated) unless `name` has a slash, then from `directory`.
 * `locate` tells where on the machine a path of the container is.
 */
export const findExecutable = Effect.fnUntraced(function*(
  name: string,
  path: string,
  directory: string,
  locate: (path: string) => string = (path) => path
) {
  if (name.includes("/")) {
    const file = resolve(directory, name)
    const found = yield* Effect.promise(() => probe(locate(file)))
    if (found === "ok") return file
    return yield* new ExecutableError({
      message: found === "denied"
        ? `exec: "${name}": permission denied`
        : `exec: "${name}": stat ${name}: no such file or directory`
    })
  }
  // As in Go, a folder that may not be entered and a file that may not be run are passed over like any other.
  for (const folder of name === "" ? [] : path.split(":")) {
    const file = join(folder === "" ? directory : folder, name)
    if ((yield* Effect.promise(() => probe(locate(file)))) === "ok") return file
  }
  return yield* new ExecutableError({ message: `exec: "${name}": executable file not found in $PATH` })
})
