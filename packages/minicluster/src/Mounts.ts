/** What a container finds at which path: its volumes, and where in them a subPath leads. */
import { Effect } from "effect"
import { ConfigError } from "./Environment.ts"
import { type Container } from "./Objects.ts"
import { type Volumes } from "./Volumes.ts"

export interface Mount {
  /** A folder or a file of the machine. */
  readonly source: string
  /** Where the container sees it: an absolute path. */
  readonly target: string
  readonly readOnly: boolean
}

export const mountsOf = (
  volumes: Volumes,
  spec: Container,
  _environment: Readonly<Record<string, string>>
): Effect.Effect<ReadonlyArray<Mount>, ConfigError> =>
  Effect.forEach(spec.volumeMounts ?? [], ({ mountPath, name, readOnly = false }) => {
    const source = volumes.sources.get(name)
    return source === undefined
      ? Effect.fail(new ConfigError({ message: `cannot find volume "${name}" to mount into container "${spec.name}"` }))
      : Effect.succeed({ source: source.path, target: mountPath, readOnly: readOnly || source.readOnly })
  })
