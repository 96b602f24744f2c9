/** A pod's volumes: a folder for each, filled as the kubelet fills it, for as long as the pod's folder is there. */
import { Clock, Data, Effect } from "effect"
import { Buffer } from "node:buffer"
import { chmod, lchown, lstat, mkdir, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { type Store } from "../api/Store.ts"
import { type DownwardItem, type KeyToPath, type Pod, type Projection, type Volume } from "../shapes/Objects.ts"
import { type FileContent, type Files, replaceFiles } from "./AtomicFiles.ts"
import { confined, type Missing } from "./Confined.ts"
import { allocatable, fieldValue, resourceValue } from "./Downward.ts"
import { containersOf } from "./Environment.ts"

/** A volume cannot be had (yet); `message` is that of the kubelet's event `FailedMount`. */
export class VolumeError extends Data.TaggedError("VolumeError")<{ readonly message: string }> {}

export interface VolumeOptions {
  readonly store: Store
  readonly pod: Pod
  /** The pod's own folder; its volumes live below it and go with it. */
  readonly directory: string
  /** Where the folders of persistent volume claims are, each by its claim's uid. */
  readonly claims: string
  /** The only folder that `hostPath` volumes are taken from: `/a/b` is `<folder>/a/b`. */
  readonly hostPath: string | undefined
  /** A token of the pod's service account. */
  readonly token: (
    pod: Pod,
    request: { readonly audience: string | undefined; readonly expirationSeconds: number | undefined }
  ) => Effect.Effect<string, { readonly message: string }>
  /** The authority's certificate in PEM: what the ConfigMap `kube-root-ca.crt` of each namespace holds. */
  readonly authority: string
}

/** Where a volume is, and whether it may only be read. */
export interface Source {
  readonly path: string
  readonly readOnly: boolean
}

export interface Volumes {
  /** By the volume's name. */
  readonly sources: ReadonlyMap<string, Source>
  /** Brings the files that come from objects up to date, each volume's at once; what cannot be had stays as it is. */
  readonly refresh: Effect.Effect<void>
}

const refuse = (message: string): VolumeError => new VolumeError({ message })

interface Keyed {
  readonly name: string
  readonly items?: ReadonlyArray<KeyToPath>
  readonly optional?: boolean
}

/** `MakePayload` of the kubelet's ConfigMap and Secret volumes. */
const keyedFiles = Effect.fnUntraced(function*(
  { authority, pod, store }: VolumeOptions,
  kind: "configmap" | "secret",
  { items, name, optional = false }: Keyed,
  mode: number
) {
  const namespace = pod.metadata.namespace ?? ""
  const decoded = (data: Readonly<Record<string, string>> = {}) =>
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64")] as const)
  const object = kind === "secret"
    ? Effect.map(store.get("secrets", namespace, name), ({ data }) => decoded(data))
    : Effect.map(store.get("configmaps", namespace, name), ({ binaryData, data = {} }) => [
      ...Object.entries(data).map(([key, value]) => [key, Buffer.from(value)] as const),
      ...decoded(binaryData)
    ])
  const found = yield* object.pipe(Effect.catch(() => {
    if (kind === "configmap" && name === "kube-root-ca.crt") {
      return Effect.succeed([["ca.crt", Buffer.from(authority)] as const])
    }
    return optional ? Effect.succeed([]) : refuse(`${kind} "${name}" not found`)
  }))
  const contents = new Map(found)
  const files = new Map<string, FileContent>()
  const all: ReadonlyArray<KeyToPath> = found.map(([key]) => ({ key, path: key }))
  for (const { key, mode: own = mode, path } of items ?? all) {
    const bytes = contents.get(key)
    if (bytes !== undefined) files.set(path, { bytes, mode: own })
    else if (!optional) {
      return yield* refuse(
        kind === "secret"
          ? `references non-existent secret key: ${key}`
          : `configmap references non-existent config key: ${key}`
      )
    }
  }
  return files
})

const downwardFiles = Effect.fnUntraced(
  function*({ pod, store }: VolumeOptions, items: ReadonlyArray<DownwardItem> = [], mode: number) {
    const node = yield* allocatable(store, pod)
    return new Map(items.map(({ fieldRef, mode: own = mode, path, resourceFieldRef }) => {
      const container = containersOf(pod).find(({ name }) => name === resourceFieldRef?.containerName)
      const value = resourceFieldRef === undefined || container === undefined
        ? fieldValue(pod, fieldRef?.fieldPath ?? "") ?? ""
        : resourceValue(container, resourceFieldRef, node)
      return [path, { bytes: Buffer.from(value), mode: own }] as const
    }))
  }
)

/** The kubelet asks for an hour by default, and for another token when a fifth of the time is left. */
const tokenSeconds = 3600
const tokenShare = 0.8

type TokenSource = NonNullable<Projection["serviceAccountToken"]>

/** Asks again only when the last one is old. */
const cachedToken = ({ pod, token }: VolumeOptions) => {
  const known = new Map<TokenSource, { readonly bytes: Uint8Array; readonly until: number }>()
  return Effect.fnUntraced(function*(source: TokenSource) {
    const now = yield* Clock.currentTimeMillis
    const last = known.get(source)
    if (last !== undefined && last.until > now) return last.bytes
    const { audience, expirationSeconds } = source
    const text = yield* token(pod, { audience, expirationSeconds }).pipe(
      Effect.mapError(({ message }) => refuse(`failed to fetch token: ${message}`))
    )
    const bytes = Buffer.from(text)
    known.set(source, { bytes, until: now + (expirationSeconds ?? tokenSeconds) * 1000 * tokenShare })
    return bytes
  })
}
type TokenBytes = ReturnType<typeof cachedToken>

const defaultMode = 0o644

/** The files of a volume that is made from objects; nothing for the other kinds. */
const filesOf = (
  options: VolumeOptions,
  { configMap, downwardAPI, projected, secret }: Volume,
  token: TokenBytes
): Effect.Effect<Files, VolumeError> | undefined => {
  const { defaultMode: mode = defaultMode } = configMap ?? downwardAPI ?? projected ?? secret ?? {}
  const project = (source: Projection): Effect.Effect<Files, VolumeError> => {
    if (source.configMap !== undefined) return keyedFiles(options, "configmap", source.configMap, mode)
    if (source.secret !== undefined) return keyedFiles(options, "secret", source.secret, mode)
    if (source.downwardAPI !== undefined) return downwardFiles(options, source.downwardAPI.items, mode)
    const { serviceAccountToken } = source
    if (serviceAccountToken === undefined) return Effect.succeed(new Map())
    return Effect.map(token(serviceAccountToken), (bytes) => new Map([[serviceAccountToken.path, { bytes, mode }]]))
  }
  if (configMap !== undefined) return project({ configMap })
  if (secret !== undefined) return project({ secret: { ...secret, name: secret.secretName } })
  if (downwardAPI !== undefined) return project({ downwardAPI })
  return projected && Effect.map(
    Effect.forEach(projected.sources ?? [], project),
    (all) => new Map(all.flatMap((files) => Array.from(files)))
  )
}

/** What each type of hostPath makes where nothing is, and what must be there then (`hostpath.checkType`). */
const hostPathTypes: Readonly<
  Record<string, { readonly missing: Missing; readonly is?: "isDirectory" | "isFile"; readonly called?: string }>
> = {
  "": { missing: "directory" },
  DirectoryOrCreate: { missing: "directory", is: "isDirectory", called: "a directory" },
  Directory: { missing: "nothing", is: "isDirectory", called: "a directory" },
  FileOrCreate: { missing: "file", is: "isFile", called: "a file" },
  File: { missing: "nothing", is: "isFile", called: "a file" }
}

const hostPath = Effect.fnUntraced(
  function*(folder: string | undefined, { path, type = "" }: NonNullable<Volume["hostPath"]>) {
    const rule = hostPathTypes[type]
    if (folder === undefined) {
      return yield* refuse(
        "this cluster has no folder for hostPath volumes: start it with the option hostPath, the one folder that they are taken from"
      )
    }
    if (rule === undefined) return yield* refuse(`hostPath type ${type} is not supported here`)
    const { called, is } = rule
    const real = yield* Effect.try({
      try: () => confined(folder, path, rule.missing),
      catch: (cause) => refuse(cause instanceof Error ? cause.message : String(cause))
    })
    if (real === undefined) return yield* refuse(`hostPath ${path} leads out of the folder for hostPath volumes`)
    const found = yield* Effect.promise(() => stat(real).catch(() => undefined))
    if (is !== undefined && found?.[is]() !== true) {
      return yield* refuse(`hostPath type check failed: ${path} is not ${called}`)
    }
    return real
  }
)

/** `SetVolumeOwnership`: all of it belongs to the group, which may write to it. */
const giveTo = async (path: string, group: number): Promise<void> => {
  const status = await lstat(path)
  await lchown(path, -1, group)
  if (status.isSymbolicLink()) return
  await chmod(path, (status.mode & 0o7777) | (status.isDirectory() ? 0o2770 : 0o660))
  if (status.isDirectory()) { for (const name of await readdir(path)) await giveTo(join(path, name), group) }
}

/**
 * Makes all volumes of a pod, or says which cannot be had; to be called again then. What is below the pod's folder goes
 * with it; the folder of a claim stays for the next pod.
 */
export const prepareVolumes = Effect.fnUntraced(
  function*(options: VolumeOptions): Effect.fn.Return<Volumes, VolumeError> {
    const { pod, store } = options
    const { name: podName, namespace = "" } = pod.metadata
    const sources = new Map<string, Source>()
    const refreshes: Array<(pod: Pod) => Effect.Effect<void, VolumeError>> = []
    // Only root may give files away; that the group is not had is told by the container's limits.
    const group = process.getuid?.() === 0 ? pod.spec.securityContext?.fsGroup : undefined
    const token = cachedToken(options)
    const folder = (path: string) =>
      Effect.tryPromise({
        try: async () => {
          await mkdir(path, { recursive: true, mode: 0o700 })
          await chmod(path, 0o777)
        },
        catch: (cause) => refuse(`cannot make ${path}: ${String(cause)}`)
      })
    const writable = (path: string) =>
      Effect.andThen(folder(path), group === undefined ? Effect.void : Effect.promise(() => giveTo(path, group)))

    const prepare = Effect.fnUntraced(function*(volume: Volume) {
      const own = join(options.directory, "volumes", volume.name)
      const { persistentVolumeClaim: claim } = volume
      if (claim !== undefined) {
        const found = yield* store.get("persistentvolumeclaims", namespace, claim.claimName).pipe(
          Effect.catch(() => refuse(`persistentvolumeclaim "${claim.claimName}" not found`))
        )
        const path = join(options.claims, found.metadata.uid)
        yield* writable(path)
        return { path, readOnly: claim.readOnly ?? false }
      }
      if (volume.hostPath !== undefined) {
        return { path: yield* hostPath(options.hostPath, volume.hostPath), readOnly: false }
      }
      if (volume.emptyDir !== undefined) return yield* Effect.as(writable(own), { path: own, readOnly: false })
      if (filesOf(options, volume, token) === undefined) return yield* refuse("no volume plugin matched")
      let written: Files | undefined
      const write = Effect.fnUntraced(function*(current: Pod) {
        const files = yield* filesOf({ ...options, pod: current }, volume, token) ?? Effect.succeed(new Map())
        if (written !== undefined && isSame(written, files)) return
        yield* Effect.try({
          try: () => replaceFiles(own, files, group),
          catch: (cause) => refuse(`cannot write to ${own}: ${cause instanceof Error ? cause.message : String(cause)}`)
        })
        written = files
      })
      yield* folder(own)
      yield* write(pod)
      refreshes.push(write)
      return { path: own, readOnly: true }
    })

    yield* Effect.promise(() => mkdir(join(options.directory, "volumes"), { recursive: true, mode: 0o700 }))
    for (const volume of pod.spec.volumes ?? []) {
      const source = yield* Effect.mapError(
        prepare(volume),
        ({ message }) => refuse(`MountVolume.SetUp failed for volume "${volume.name}" : ${message}`)
      )
      sources.set(volume.name, source)
    }
    const refresh = store.get("pods", namespace, podName).pipe(
      Effect.flatMap((current) =>
        Effect.forEach(refreshes, (write) => Effect.ignore(write(current)), { discard: true })
      ),
      Effect.ignore
    )
    return { sources, refresh }
  }
)

const isSame = (one: Files, other: Files): boolean =>
  one.size === other.size && Array.from(one).every(([path, { bytes, mode }]) => {
    const same = other.get(path)
    return same !== undefined && same.mode === mode && Buffer.compare(same.bytes, bytes) === 0
  })
