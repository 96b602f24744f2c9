/**
 * A folder of files that change all at once, as the kubelet's `AtomicWriter` lays it out: the files are in a folder with
 * a time for its name, `..data` is a link to it, and each name is a link through `..data`.
 */
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join, relative, sep } from "node:path"

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
const write = (folder: string, files: Files, group: number | undefined): void => {
  const claim = (path: string, mode: number, more: number) => {
    if (group !== undefined) lchownSync(path, -1, group)
    chmodSync(path, group === undefined ? mode : mode | more)
  }
  mkdirSync(folder)
  claim(folder, 0o755, 0o2550)
  for (const [path, { bytes, mode }] of files) {
    const parents = path.split("/").slice(0, -1)
    for (const [index] of parents.entries()) {
      const parent = join(folder, ...parents.slice(0, index + 1))
      if (mkdirSync(parent, { recursive: true }) !== undefined) claim(parent, 0o755, 0o2550)
    }
    writeFileSync(join(folder, path), bytes, { mode: 0o600 })
    claim(join(folder, path), mode, 0o440)
  }
}

/** Without what says nothing: "./a//b" is "a/b". */
const clean = (path: string): string => relative(sep, join(sep, path))

/** Puts `given` in the place of what is there. `folder` must exist. */
export const replaceFiles = (folder: string, given: Files, group?: number): void => {
  const files = new Map(Array.from(given, ([path, content]) => [clean(path), content]))
  const before = existsSync(join(folder, data)) ? readlinkSync(join(folder, data)) : undefined
  const stamp = `..${new Date().toISOString().slice(0, 19).replaceAll(/[-T:]/g, "_")}.${process.pid}${count++}`
  write(join(folder, stamp), files, group)
  rmSync(join(folder, `${data}_tmp`), { force: true })
  symlinkSync(stamp, join(folder, `${data}_tmp`))
  renameSync(join(folder, `${data}_tmp`), join(folder, data))
  const names = new Set(Array.from(files.keys(), (path) => path.split("/")[0] ?? ""))
  const present = readdirSync(folder).filter((name) => !name.startsWith(".."))
  for (const name of names) if (!present.includes(name)) symlinkSync(join(data, name), join(folder, name))
  for (const name of present) if (!names.has(name)) rmSync(join(folder, name), { recursive: true, force: true })
  // A container that may write here could have put anything in the link's place.
  if (before !== undefined && stampSyntax.test(before)) rmSync(join(folder, before), { recursive: true, force: true })
}
