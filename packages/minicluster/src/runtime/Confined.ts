/**
 * Paths that somebody else chose, kept inside of a folder whatever symbolic links they meet.
 *
 * These few calls answer at once: each pod makes many of them, and waiting for a thread costs ten times as much.
 */
import { mkdirSync, realpathSync, writeFileSync } from "node:fs"
import { basename, dirname, join, sep } from "node:path"

/** What to make of a path where nothing is. */
export type Missing = "directory" | "file" | "nothing"

/** Whether a path is the folder's own or one below it. */
export const isWithin = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder === sep ? sep : `${folder}${sep}`)

/** The real path of the deepest folder on the way that exists, and the names behind it. */
export const deepest = (
  path: string
): { readonly real: string; readonly rest: ReadonlyArray<string> } => {
  try {
    return { real: realpathSync.native(path), rest: [] }
  } catch (error) {
    if (path === "/" || !(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
    const { real, rest } = deepest(dirname(path))
    return { real, rest: [...rest, basename(path)] }
  }
}

/** The real path of `path` below `folder`, made if need be; nothing when it leads out. Fails as the machine does. */
export const confined = (folder: string, path: string, missing: Missing): string | undefined => {
  const root = realpathSync.native(folder)
  const { real, rest } = deepest(join(root, path))
  if (!isWithin(root, real)) return undefined
  const target = join(real, ...rest)
  if (rest.length === 0 || missing === "nothing") return target
  mkdirSync(missing === "file" ? dirname(target) : target, { recursive: true })
  if (missing === "file") writeFileSync(target, "", { flag: "wx" })
  // A link that leads to nothing is met only now; what is exclusive does not follow one.
  return confined(folder, path, "nothing")
}
