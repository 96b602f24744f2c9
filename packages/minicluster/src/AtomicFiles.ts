/**
 * A folder of files that change all at once, as the kubelet's `AtomicWriter` lays it out: the files are in a folder with
 * a time for its name, `..data` is a link to it, and each name is a link through `..data`.
 */
import { chmod, lchown, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"

export interface FileContent {
  readonly bytes: Uint8Array
  readonly mode: number
}

/** By relative path. */
export type Files = ReadonlyMap<string, FileContent>

const data = "..data"
const stampSyntax = /^\.\.\d[\d_.]*$/
let count = 0

/** Who may read them beside their owner: `fsGroup`. Its modes are those of `volume.SetVolumeOwnership`. */
const write = async (folder: string, files: Files, group: number | undefined): Promise<void> => {
  const claim = async (path: string, mode: number, more: number) => {
    if (group !== undefined) await lchown(path, -1, group)
    await chmod(path, group === undefined ? mode : mode | more)
  }
  await mkdir(folder)
  await claim(folder, 0o755, 0o2550)
  for (const [path, { bytes, mode }] of files) {
    const parents = path.split("/").slice(0, -1)
    for (const [index] of parents.entries()) {
      const parent = join(folder, ...parents.slice(0, index + 1))
      if ((await mkdir(parent, { recursive: true })) !== undefined) await claim(parent, 0o755, 0o2550)
    }
    await writeFile(join(folder, path), bytes, { mode: 0o600 })
    await claim(join(folder, path), mode, 0o440)
  }
}

/** Puts `files` in the place of what is there. `folder` must exist. */
export const replaceFiles = async (folder: string, files: Files, group?: number): Promise<void> => {
  const before = await readlink(join(folder, data)).catch(() => undefined)
  const stamp = `..${new Date().toISOString().slice(0, 19).replaceAll(/[-T:]/g, "_")}.${process.pid}${count++}`
  await write(join(folder, stamp), files, group)
  await symlink(stamp, join(folder, `${data}_tmp`))
  await rename(join(folder, `${data}_tmp`), join(folder, data))
  const names = new Set(Array.from(files.keys(), (path) => path.split("/")[0] ?? ""))
  const present = (await readdir(folder)).filter((name) => !name.startsWith(".."))
  for (const name of names) if (!present.includes(name)) await symlink(join(data, name), join(folder, name))
  for (const name of present) if (!names.has(name)) await rm(join(folder, name), { recursive: true, force: true })
  // A container that may write here could have put anything in the link's place.
  if (before !== undefined && stampSyntax.test(before)) await rm(join(folder, before), { recursive: true, force: true })
}
