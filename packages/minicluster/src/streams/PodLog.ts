/** `pods/log`: which container's, of which run, and how much of it. */
import { Clock, Effect } from "effect"
import { type ApiRequest, type ApiResponse } from "../api/Http.ts"
import { flag, wholeNumber } from "../api/RequestPath.ts"
import { type ApiError, badRequest, type Cause, invalid } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type Kubelet } from "../node/Kubelet.ts"
import { type LogOptions } from "../runtime/ContainerLog.ts"
import { containersOf } from "../runtime/Environment.ts"
import { type ContainerStatus, type Pod } from "../shapes/Objects.ts"

/** The container that a request means: the one it names, of whichever kind, or the only one of the spec's. */
export const containerOf = (pod: Pod, asked: string | null): Effect.Effect<string, ApiError> => {
  const { containers, initContainers = [] } = pod.spec
  const names = (of: ReadonlyArray<{ readonly name: string }>) => of.map(({ name }) => name).join(" ")
  if (asked !== null && asked !== "") {
    return containersOf(pod).some(({ name }) => name === asked)
      ? Effect.succeed(asked)
      : Effect.fail(badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`))
  }
  const [only, second] = containers
  if (only !== undefined && second === undefined) return Effect.succeed(only.name)
  const others = initContainers.length === 0 ? "" : ` or one of the init containers: [${names(initContainers)}]`
  const choices = `choose one of: [${names(containers)}]${others}`
  return Effect.fail(badRequest(`a container name must be specified for pod ${pod.metadata.name}, ${choices}`))
}

/** With an offset, and with any part of a second. */
const timeSyntax = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

/** Decodes and validates as `ValidatePodLogOptions` does: 400 for what cannot be read, 422 for what makes no sense. */
export const logOptions = Effect.fnUntraced(
  function*(pod: string, query: URLSearchParams, now: number): Effect.fn.Return<LogOptions, ApiError> {
    const [sinceSeconds, tailLines, limitBytes] = yield* Effect.all([
      wholeNumber(query, "sinceSeconds"),
      wholeNumber(query, "tailLines"),
      wholeNumber(query, "limitBytes")
    ])
    const sinceTime = query.get("sinceTime") ?? ""
    if (sinceTime !== "" && (!timeSyntax.test(sinceTime) || Number.isNaN(Date.parse(sinceTime)))) {
      return yield* badRequest(
        `parsing time "${sinceTime}" as "2006-01-02T15:04:05Z07:00": cannot parse "${sinceTime}"`
      )
    }
    const tooSmall = (field: string, value: number | undefined, least: number): ReadonlyArray<Cause> =>
      value === undefined || value >= least ? [] : [{
        reason: "FieldValueInvalid",
        field,
        message: `Invalid value: ${value}: must be greater than ${least === 0 ? "or equal to 0" : "0"}`
      }]
    const causes: ReadonlyArray<Cause> = [
      ...tooSmall("tailLines", tailLines, 0),
      ...tooSmall("limitBytes", limitBytes, 1),
      ...(sinceSeconds !== undefined && sinceTime !== ""
        ? [{
          reason: "FieldValueForbidden",
          field: "",
          message: "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        }]
        : tooSmall("sinceSeconds", sinceSeconds, 1))
    ]
    if (causes.length > 0) return yield* invalid("PodLogOptions", pod, causes)
    const since = sinceSeconds === undefined ? Date.parse(sinceTime) : now - sinceSeconds * 1000
    return {
      follow: flag(query, "follow"),
      previous: flag(query, "previous"),
      timestamps: flag(query, "timestamps"),
      ...(Number.isNaN(since) ? {} : { since }),
      ...(tailLines === undefined ? {} : { tailLines }),
      ...(limitBytes === undefined ? {} : { limitBytes })
    }
  }
)

/** Why there is no log yet, in the kubelet's words (`validateContainerLogStatus`). */
const notYet = (pod: string, container: string, status: ContainerStatus | undefined): string | undefined => {
  const who = `container "${container}" in pod "${pod}"`
  if (status === undefined) return `${who} is not available`
  const { lastState, state } = status
  if (state.running !== undefined || lastState.terminated !== undefined) return undefined
  if (state.terminated !== undefined) return state.terminated.containerID === "" ? `${who} is terminated` : undefined
  const reason = state.waiting?.reason ?? "ContainerCreating"
  const why = new Map([
    ["ErrImagePull", "image can't be pulled"],
    ["ImagePullBackOff", "trying and failing to pull image"]
  ]).get(reason)
  return `${who} is waiting to start: ${why ?? reason}`
}

export const podLog = Effect.fnUntraced(
  function*(store: Store, kubelet: Kubelet, namespace: string, name: string, request: ApiRequest) {
    const options = yield* logOptions(name, request.query, yield* Clock.currentTimeMillis)
    const pod = yield* store.get("pods", namespace, name)
    const container = yield* containerOf(pod, request.query.get("container"))
    if (pod.spec.nodeName === undefined) return yield* badRequest(`pod ${name} does not have a host assigned`)
    const { containerStatuses = [], ephemeralContainerStatuses = [], initContainerStatuses = [] } = pod.status
    const statuses = [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses]
    const status = statuses.find(({ name }) => name === container)
    const log = kubelet.log(pod, container)
    // While a container waits for its next run, its last one is the present and the previous one alike.
    const previous = options.previous === true && status?.state.waiting === undefined
    if (options.previous === true && status?.lastState.terminated === undefined || (previous && !log?.hasPrevious())) {
      return yield* badRequest(`previous terminated container "${container}" in pod "${name}" not found`)
    }
    const why = notYet(name, container, status)
    if (why !== undefined) return yield* badRequest(why)
    if (log === undefined) return yield* badRequest(`container "${container}" in pod "${name}" is not available`)
    const body = log.read({ ...options, previous })
    const answer: ApiResponse = { _tag: "Stream", contentType: "text/plain", body }
    return answer
  }
)
