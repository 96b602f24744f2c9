/** What a container finds at which path: its volumes, and where in them a subPath leads. */
import { Effect } from "effect"
import { type Container, type VolumeMount } from "../shapes/Objects.ts"
import { confined } from "./Confined.ts"
import { ConfigError, expand } from "./Environment.ts"
import { type Volumes } from "./Volumes.ts"

export interface Mount {
  /** A folder or a file of the machine. */
  readonly source: string
  /** Where the container sees it: an absolute path. */
  readonly target: string
  readonly readOnly: boolean
}

/** The part of the volume that is mounted, by its relative path; "" is all of it. */
const subPathOf = (
  { subPath = "", subPathExpr = "" }: VolumeMount,
  environment: Readonly<Record<string, string>>
): Effect.Effect<string, ConfigError> => {
  if (subPathExpr === "") return Effect.succeed(subPath)
  const references = subPathExpr.replaceAll("$$", "").matchAll(/\$\(([^)]*)\)/g)
  const missing = Array.from(references, ([, name = ""]) => name).find((name) => !Object.hasOwn(environment, name))
  return missing === undefined
    ? Effect.succeed(expand(subPathExpr, environment))
    : Effect.fail(new ConfigError({ message: `missing value for "${missing}"` }))
}

/** The mounts of a container in the order of its spec. A subPath that is not there is made, and never leads out of its volume. */
export const mountsOf = (
  volumes: Volumes,
  spec: Container,
  environment: Readonly<Record<string, string>>
): Effect.Effect<ReadonlyArray<Mount>, ConfigError> =>
  Effect.forEach(spec.volumeMounts ?? [], (mount) =>
    Effect.gen(function*() {
      const { mountPath, name, readOnly = false } = mount
      const volume = volumes.sources.get(name)
      if (volume === undefined) {
        return yield* new ConfigError({
          message: `cannot find volume "${name}" to mount into container "${spec.name}"`
        })
      }
      const subPath = yield* subPathOf(mount, environment)
      const failed = new ConfigError({
        message: `failed to prepare subPath for volumeMount "${name}" of container "${spec.name}"`
      })
      const isOutside = subPath.startsWith("/") || subPath.split("/").includes("..")
      const source = subPath === ""
        ? volume.path
        : isOutside
        ? undefined
        : yield* Effect.try({ try: () => confined(volume.path, subPath, "directory"), catch: () => failed })
      if (source === undefined) return yield* failed
      return { source, target: mountPath, readOnly: readOnly || volume.readOnly }
    }))
