/** What can be done to pods: create, delete, patch, and read the log. */
import { Effect } from "effect"
import { type ApiRequest, type ApiResponse } from "./Http.ts"
import { type Kubelet } from "./Kubelet.ts"
import { type Pod } from "./Objects.ts"
import { type ApiError, badRequest } from "./Status.ts"
import { type Store } from "./Store.ts"

/** The container that a request means: the one it names, of whichever kind, or the only one. */
export const containerOf = (pod: Pod, asked: string | null): Effect.Effect<string, ApiError> => {
  const { containers, ephemeralContainers = [], initContainers = [] } = pod.spec
  const [names, init, ephemeral] = [containers, initContainers, ephemeralContainers].map((some) =>
    some.map(({ name }) => name)
  )
  const all = [names, init, ephemeral].flatMap((some) => some ?? [])
  if (asked !== null && asked !== "") {
    return all.includes(asked)
      ? Effect.succeed(asked)
      : Effect.fail(badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`))
  }
  const [only] = names ?? []
  if (only !== undefined && containers.length === 1) return Effect.succeed(only)
  const others = (what: string, some: ReadonlyArray<string> = []) =>
    some.length === 0 ? "" : ` or one of the ${what}: [${some.join(" ")}]`
  const choices = `[${(names ?? []).join(" ")}]${others("init containers", init)}${
    others("ephemeral containers", ephemeral)
  }`
  return Effect.fail(
    badRequest(`a container name must be specified for pod ${pod.metadata.name}, choose one of: ${choices}`)
  )
}

export const podLog = Effect.fnUntraced(
  function*(store: Store, kubelet: Kubelet, namespace: string, name: string, request: ApiRequest) {
    const pod = yield* store.get("pods", namespace, name)
    const container = yield* containerOf(pod, request.query.get("container"))
    const waiting = pod.status.containerStatuses?.find(({ name }) => name === container)?.state.waiting
    const log = kubelet.log(pod, container)
    if (log === undefined || pod.spec.nodeName === undefined || waiting?.reason === "ContainerCreating") {
      const reason = waiting?.reason ?? "ContainerCreating"
      return yield* badRequest(`container "${container}" in pod "${name}" is waiting to start: ${reason}`)
    }
    const body = log.read(["1", "true"].includes(request.query.get("follow") ?? ""))
    const answer: ApiResponse = { _tag: "Stream", contentType: "text/plain", body }
    return answer
  }
)
