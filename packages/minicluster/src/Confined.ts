/** Paths that somebody else chose, kept inside of a folder whatever symbolic links they meet. */
import { mkdir, realpath, writeFile } from "node:fs/promises"
import { basename, dirname, join, sep } from "node:path"

/** What to make of a path where nothing is. */
export type Missing = "directory" | "file" | "nothing"

const isInside = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}${sep}`)

/** The real path of the deepest folder on the way that exists, and the names behind it. */
export const deepest = async (
  path: string
): Promise<{ readonly real: string; readonly rest: ReadonlyArray<string> }> => {
  try {
    return { real: await realpath(path), rest: [] }
  } catch (error) {
    if (path === "/" || !(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
    const { real, rest } = await deepest(dirname(path))
    return { real, rest: [...rest, basename(path)] }
  }
}

/** The real path of `path` below `folder`, made if need be; nothing when it leads out. Fails as the machine does. */
export const confined = async (folder: string, path: string, missing: Missing): Promise<string | undefined> => {
  const root = await realpath(folder)
  const { real, rest } = await deepest(join(root, path))
  if (!isInside(root, real)) return undefined
  const target = join(real, ...rest)
  if (rest.length === 0 || missing === "nothing") return target
  await mkdir(missing === "file" ? dirname(target) : target, { recursive: true })
  if (missing === "file") await writeFile(target, "", { flag: "a" })
  // A link that leads to nothing is met only now.
  return await confined(folder, path, "nothing")
}
