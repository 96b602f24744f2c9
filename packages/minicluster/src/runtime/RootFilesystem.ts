/**
 * A container's root filesystem: the machine's own, with the container's mounts in it.
 *
 * A mount needs a place that exists, and the machine must not be changed for it. So a folder that lacks one is shadowed:
 * a folder of ours takes its place that has all its entries, bound or linked, and the missing ones beside them. Shadowing
 * `/` makes a new root. What is made here is folders and a table for `mount --all --fstab`, which one process carries out
 * in the container's own mount namespace.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { confined, deepest, isWithin } from "./Confined.ts"

/** `source` is mounted at `target`; without one there shall only be a folder. */
export interface Place {
  readonly source?: string
  readonly target: string
  readonly readOnly?: boolean
}

export interface RootFilesystem {
  /** The table of mounts. */
  readonly fstab: string
  /** The new root, when there is one. */
  readonly root: string | undefined
  /** What is to be mounted anew as read-only at last. */
  readonly readOnly: ReadonlyArray<string>
}

/** A place that cannot be had; the message is in runc's words. */
export class PlaceError extends Error {}

/** A container has a `/run` of its own, as with every runtime: the machine's sockets are none of its business. */
const ownFolder = "/run"

/** fstab(5) has spaces between its fields. */
const field = (path: string): string =>
  path.replaceAll(/[\s\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`)

interface Shadow {
  readonly folder: string
  readonly entries: Array<readonly [source: string, target: string]>
}

/** `keep` says which entries stay. */
const makeShadow = (original: string, folder: string, keep: (path: string) => boolean): Shadow => {
  const entries: Shadow["entries"] = []
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, statSync(original).mode & 0o7777)
  for (const entry of readdirSync(original, { withFileTypes: true })) {
    const source = join(original, entry.name)
    const target = join(folder, entry.name)
    if (!keep(source)) continue
    if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else {
      if (entry.isDirectory()) mkdirSync(target)
      else writeFileSync(target, "")
      entries.push([source, target])
    }
  }
  return { folder, entries }
}

const isFile = (path: string | undefined): boolean => path !== undefined && !statSync(path).isDirectory()

/** What is not there is nothing but its name. */
const realOr = (path: string): string => existsSync(path) ? realpathSync.native(path) : path

const make = (path: string, file: boolean): void => {
  mkdirSync(file ? dirname(path) : path, { recursive: true })
  if (file) writeFileSync(path, "", { flag: "a" })
}

const depth = (path: string): number => path.split(sep).length

/**
 * Makes ready in `folder`, an empty one of ours, what a container with these places needs. `inUse` are paths of the
 * machine that must stay what they are; `user` says that it is mounted in a user namespace. Nothing when nothing needs
 * to be mounted. Fails with `PlaceError`.
 */
export const prepareRoot = (
  places: ReadonlyArray<Place>,
  folder: string,
  inUse: ReadonlyArray<string>,
  { readOnlyRoot, user }: { readonly readOnlyRoot: boolean; readonly user: boolean }
): RootFilesystem | undefined => {
  const shadows = new Map<string, Shadow>()
  const needed = inUse.map(realOr)
  const shadowOf = (original: string): Shadow => {
    const known = shadows.get(original)
    if (known !== undefined) return known
    const keep = (path: string) => original !== ownFolder || needed.some((used) => isWithin(path, used))
    const shadow = makeShadow(original, join(folder, `shadow${shadows.size}`), keep)
    shadows.set(original, shadow)
    return shadow
  }
  const refuse = ({ source, target }: Place, why: string) =>
    new PlaceError(`error mounting "${source ?? ""}" to rootfs at "${target}": ${why}`)

  const resolved = places.map((place) => {
    try {
      const found = deepest(join(sep, place.target, "."))
      return { place, ...found, at: join(found.real, ...found.rest) }
    } catch (error) {
      throw refuse(place, error instanceof Error ? error.message : String(error))
    }
  })
  const placed: Array<{ readonly at: string; readonly source: string | undefined; readonly readOnly: boolean }> = []
  for (const { at, place, real, rest } of resolved.toSorted((a, b) => depth(a.at) - depth(b.at))) {
    const { readOnly = false, source } = place
    if (source !== undefined && at === sep) throw refuse(place, "mountpoint is on the top of rootfs")
    if (isWithin("/proc", at)) throw refuse(place, `"${at}" cannot be mounted because it is inside /proc`)
    const file = isFile(source)
    const outer = placed.findLast((one) => one.source !== undefined && isWithin(one.at, at))
    let target = at
    if (outer?.source !== undefined && outer.at !== at) {
      const inside = confined(outer.source, relative(outer.at, at), file ? "file" : "directory")
      if (inside === undefined) throw refuse(place, "mountpoint is outside of rootfs")
      target = join(outer.at, relative(realpathSync.native(outer.source), inside))
    } else if (at !== ownFolder && isWithin(ownFolder, at) && source !== undefined) {
      make(join(shadowOf(ownFolder).folder, relative(ownFolder, at)), file)
    } else if (rest.length > 0) {
      make(join(shadowOf(real).folder, ...rest), file)
    } else if (source !== undefined && isFile(real) !== file) {
      throw refuse(
        place,
        "not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
      )
    }
    placed.push({ at: target, source, readOnly })
  }
  // What covers our own folder would cover the sources of the mounts after it: those are then made in a new root.
  const covers = [...placed.flatMap(({ at, source }) => source === undefined ? [] : [at]), ...shadows.keys()]
  if (covers.some((at) => at !== sep && isWithin(at, folder))) shadowOf(sep)
  const root = shadows.get(sep)?.folder
  const inRoot = (path: string) => root === undefined ? path : join(root, path)
  const inner = Array.from(shadows).filter(([original]) => original !== sep).toSorted(([a], [b]) => depth(a) - depth(b))
  const rows = [
    ...(root === undefined ? [] : [[root, root, "bind"]]),
    // A copy of what holds our own folder is taken before there is anything mounted in it.
    ...Array.from(shadows.values()).flatMap(({ entries }) => entries).toSorted(([a], [b]) =>
      Number(isWithin(b, folder)) - Number(isWithin(a, folder))
    ).map((entry) => [...entry, "rbind"]),
    ...inner.map(([original, shadow]) => [shadow.folder, inRoot(original), "rbind"]),
    ...placed.flatMap(({ at, readOnly, source }) =>
      source === undefined ? [] : [[source, inRoot(at), readOnly && !user ? "bind,ro" : "bind"]]
    )
  ]
  if (rows.length === 0 && !readOnlyRoot) return undefined
  const fstab = join(folder, "fstab")
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    fstab,
    rows.map(([source = "", target = "", options]) => `${field(source)} ${field(target)} none ${options} 0 0\n`).join(
      ""
    )
  )
  const system = new Set(["/dev", "/proc", "/sys"])
  const parts = (shadows.get(sep)?.entries ?? []).map(([source]) => source).filter((path) => !system.has(path))
  // Who is not root may not drop the other flags of what is mounted, and only a second step keeps them.
  const later = user ? placed.flatMap(({ at, readOnly, source }) => readOnly && source !== undefined ? [at] : []) : []
  return {
    fstab,
    root,
    readOnly: [...later, ...(readOnlyRoot ? [sep, ...parts, ...inner.map(([original]) => original)] : [])]
  }
}
