/** Pulling images, which are but names: as long and with such an end as the name says. */
import { Data, Effect } from "effect"
import { imageBehaviour, pullError } from "../runtime/Images.ts"
import { type Container } from "../shapes/Objects.ts"
import { type Note } from "./Slot.ts"

/** The image is not there; `reason` is that of the container's waiting state. */
export class PullFailed extends Data.TaggedError("PullFailed")<{
  readonly reason: "ErrImagePull" | "ErrImageNeverPull" | "InvalidImageName"
  readonly message: string
}> {}

/** A reference of the distribution project: host, lower-case path, tag, digest. */
const part = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*"
const reference = new RegExp(
  `^(?:[a-zA-Z0-9.-]+(?::\\d+)?/)?${part}(?:/${part})*(?::\\w[\\w.-]{0,127})?(?:@[\\w+.-]+:[0-9a-fA-F]+)?$`
)

const duration = (millis: number): string => millis < 1000 ? `${Math.max(1, millis)}ms` : `${millis / 1000}s`

/**
 * `EnsureImageExists`. `present` are the images that the pod has had so far: what another pod has pulled is no concern
 * of this one, so that each behaves alike.
 */
export const ensureImage = Effect.fnUntraced(
  function*({ image, imagePullPolicy }: Container, present: Set<string>, note: Note) {
    if (!reference.test(image)) {
      const invalid = `couldn't parse image name "${image}": invalid reference format`
      const message = `Failed to apply default image tag "${image}": ${invalid}`
      yield* note("Warning", "InspectFailed", message)
      return yield* new PullFailed({ reason: "InvalidImageName", message })
    }
    const error = pullError(image)
    if (imagePullPolicy === "Never" && error !== undefined) {
      const message = `Container image "${image}" is not present with pull policy of Never`
      yield* note("Warning", "ErrImageNeverPull", message)
      return yield* new PullFailed({ reason: "ErrImageNeverPull", message })
    }
    if (imagePullPolicy === "Never" || (present.has(image) && imagePullPolicy === "IfNotPresent")) {
      return yield* note("Normal", "Pulled", `Container image "${image}" already present on machine`)
    }
    yield* note("Normal", "Pulling", `Pulling image "${image}"`)
    if (error !== undefined) {
      yield* note("Warning", "Failed", `Failed to pull image "${image}": ${error}`)
      return yield* new PullFailed({ reason: "ErrImagePull", message: error })
    }
    const behaviour = imageBehaviour(image)
    const millis = behaviour._tag === "Slow" && !present.has(image) ? behaviour.millis : 0
    yield* Effect.sleep(`${millis} millis`)
    present.add(image)
    const took = `${duration(millis)} (${duration(millis)} including waiting)`
    yield* note("Normal", "Pulled", `Successfully pulled image "${image}" in ${took}. Image size: 0 bytes.`)
  }
)
