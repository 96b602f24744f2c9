/** A pod's volumes: a folder for each, filled as the kubelet fills it, for as long as the pod's scope. */
import { Data, Effect, type Scope } from "effect"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { type Pod } from "./Objects.ts"
import { type Store } from "./Store.ts"

/** A volume cannot be had (yet); `message` is that of the kubelet's event `FailedMount`. */
export class VolumeError extends Data.TaggedError("VolumeError")<{ readonly message: string }> {}

export interface VolumeOptions {
  readonly store: Store
  readonly pod: Pod
  /** The pod's own folder; its volumes live below it. */
  readonly directory: string
  /** Where the folders of persistent volume claims are, each by its claim's uid. */
  readonly claims: string
  /** The only folder that `hostPath` volumes are taken from: `/a/b` is `<folder>/a/b`. */
  readonly hostPath: string | undefined
  /** A token of the pod's service account. */
  readonly token: (
    pod: Pod,
    request: { readonly audience: string | undefined; readonly expirationSeconds: number | undefined }
  ) => Effect.Effect<string>
  /** The authority's certificate in PEM: what the ConfigMap `kube-root-ca.crt` of each namespace holds. */
  readonly authority: string
}

export interface Volumes {
  /** By the volume's name: where it is, and whether it may only be read. */
  readonly sources: ReadonlyMap<string, { readonly path: string; readonly readOnly: boolean }>
  /** Brings the files that come from objects up to date, each volume's at once. */
  readonly refresh: Effect.Effect<void>
}

export const prepareVolumes = (options: VolumeOptions): Effect.Effect<Volumes, VolumeError, Scope.Scope> =>
  Effect.gen(function*() {
    const sources = new Map<string, { readonly path: string; readonly readOnly: boolean }>()
    for (const { name } of options.pod.spec.volumes ?? []) {
      const path = join(options.directory, "volumes", name)
      yield* Effect.promise(() => mkdir(path, { recursive: true, mode: 0o700 }))
      sources.set(name, { path, readOnly: false })
    }
    return { sources, refresh: Effect.void }
  })
