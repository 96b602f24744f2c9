/** What can be done to pods: create, delete, patch, and read the log. */
import { Clock, Effect, Schema } from "effect"
import { isDeepStrictEqual } from "node:util"
import { type ApiRequest, type ApiResponse, json } from "./Http.ts"
import { type Kubelet } from "./Kubelet.ts"
import { requireNamespace } from "./ListWatch.ts"
import { mergePatch } from "./MergePatch.ts"
import { type Pod, SentPod, timestamp } from "./Objects.ts"
import { admitPod, labelCauses } from "./PodAdmission.ts"
import { type ApiError, badRequest, conflict, invalid, unsupportedMediaType } from "./Status.ts"
import { conflictOf, type Store } from "./Store.ts"

/** As often as a real server looks for another name when a generated one is taken. */
const generateAttempts = 8

const isDryRun = (request: ApiRequest): boolean => request.query.get("dryRun") === "All"

export const createPod = Effect.fnUntraced(function*(store: Store, namespace: string, request: ApiRequest) {
  yield* requireNamespace(store, namespace)
  const body = yield* request.json
  const attempt = Effect.gen(function*() {
    const pod = yield* admitPod(namespace, body, yield* Clock.currentTimeMillis)
    if (isDryRun(request)) return { pod, generated: false }
    const generated = pod.metadata.name !== (body as SentPod).metadata?.name
    return { pod: yield* store.create("pods", pod), generated }
  })
  const mayRetry = (error: ApiError) =>
    error.status.reason === "AlreadyExists" && ((body as SentPod).metadata?.name ?? "") === ""
  const { pod } = yield* Effect.retry(attempt, { times: generateAttempts - 1, while: mayRetry })
  return json(pod, 201)
})

const DeleteOptions = Schema.Struct({
  gracePeriodSeconds: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  preconditions: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({
      uid: Schema.optionalKey(Schema.String),
      resourceVersion: Schema.optionalKey(Schema.String)
    }))
  ),
  dryRun: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
})
const decodeDeleteOptions = Schema.decodeUnknownEffect(DeleteOptions)

/** `podStrategy.CheckGracefulDelete`: nothing to wait for where nothing runs. */
const gracePeriod = (pod: Pod, asked: number | undefined): number => {
  if (pod.spec.nodeName === undefined) return 0
  if (pod.status.phase === "Failed" || pod.status.phase === "Succeeded") return 0
  const seconds = asked ?? pod.spec.terminationGracePeriodSeconds
  return seconds < 0 ? 1 : seconds
}

export const deletePod = Effect.fnUntraced(
  function*(store: Store, namespace: string, name: string, request: ApiRequest) {
    const options = yield* decodeDeleteOptions((yield* request.json) ?? {}).pipe(
      Effect.mapError((error) => badRequest(`invalid DeleteOptions: ${error.message.replaceAll(/\s+/g, " ")}`))
    )
    const inQuery = request.query.get("gracePeriodSeconds")
    if (inQuery !== null && !/^-?\d+$/.test(inQuery)) {
      return yield* badRequest(`invalid gracePeriodSeconds: "${inQuery}"`)
    }
    const asked = options.gracePeriodSeconds ?? (inQuery === null ? undefined : Number(inQuery))
    const pod = yield* store.get("pods", namespace, name)
    const { resourceVersion, uid } = options.preconditions ?? {}
    if (uid !== undefined && uid !== pod.metadata.uid) return yield* conflictOf("pods", name, uid, pod.metadata.uid)
    if (resourceVersion !== undefined && resourceVersion !== pod.metadata.resourceVersion) {
      const actual = pod.metadata.resourceVersion
      return yield* conflict(
        "pods",
        name,
        `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${actual}`
      )
    }
    if (isDryRun(request) || (options.dryRun ?? []).includes("All")) return json(pod)
    const grace = gracePeriod(pod, asked)
    if (grace === 0) {
      const removed = yield* store.remove("pods", namespace, name, pod.metadata.uid)
      return json({ ...removed, metadata: { ...removed.metadata, deletionGracePeriodSeconds: 0 } })
    }
    const now = yield* Clock.currentTimeMillis
    const marked = yield* store.update("pods", namespace, name, (current) => {
      const before = current.metadata.deletionGracePeriodSeconds
      // A deletion can be hastened and not put off; and what another fiber replaced meanwhile is not ours to delete.
      if (current.metadata.uid !== pod.metadata.uid || (before !== undefined && before <= grace)) return current
      return {
        ...current,
        metadata: {
          ...current.metadata,
          deletionTimestamp: timestamp(now + grace * 1000),
          deletionGracePeriodSeconds: grace
        }
      }
    })
    return json(marked)
  }
)

/** Strategic merge is the same as merge for what may be changed of a pod here: maps of labels and annotations. */
const patchTypes = ["application/merge-patch+json", "application/strategic-merge-patch+json"]
const isSentPod = Schema.is(SentPod)

export const patchPod = Effect.fnUntraced(
  function*(store: Store, namespace: string, name: string, request: ApiRequest) {
    if (!patchTypes.includes(request.contentType)) return yield* unsupportedMediaType(patchTypes)
    const patch = yield* request.json
    const current = yield* store.get("pods", namespace, name)
    const patched = mergePatch(current, patch)
    if (!isSentPod(patched)) return yield* badRequest("the patched object is no Pod")
    const { metadata = {} } = patched
    const { resourceVersion } = metadata as Partial<Pod["metadata"]>
    if (resourceVersion !== current.metadata.resourceVersion) {
      return yield* conflict(
        "pods",
        name,
        "the object has been modified; please apply your changes to the latest version and try again"
      )
    }
    if (!isDeepStrictEqual(patched.spec, current.spec)) {
      return yield* invalid("Pod", name, [{
        reason: "FieldValueForbidden",
        field: "spec",
        message: "Forbidden: pod updates may not change fields of the spec here"
      }])
    }
    const labels = metadata.labels ?? undefined
    const annotations = metadata.annotations ?? undefined
    const causes = [
      ...labelCauses("metadata.labels", labels ?? {}),
      ...labelCauses("metadata.annotations", annotations ?? {})
    ]
    if (causes.length > 0) return yield* invalid("Pod", name, causes)
    const change = (pod: Pod): Pod => {
      const { annotations: _annotations, labels: _labels, ...rest } = pod.metadata
      const wanted = {
        ...rest,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations })
      }
      return isDeepStrictEqual(wanted, pod.metadata) ? pod : { ...pod, metadata: wanted }
    }
    return json(isDryRun(request) ? change(current) : yield* store.update("pods", namespace, name, change))
  }
)

/** The container that a request means: the one it names, or the only one. */
export const containerOf = (pod: Pod, asked: string | null): Effect.Effect<string, ApiError> => {
  const names = pod.spec.containers.map(({ name }) => name)
  const [only] = names
  const pick = asked === null || asked === "" ? (names.length === 1 ? only : undefined) : asked
  if (pick === undefined) {
    const choices = names.join(" ")
    return Effect.fail(
      badRequest(`a container name must be specified for pod ${pod.metadata.name}, choose one of: [${choices}]`)
    )
  }
  return names.includes(pick)
    ? Effect.succeed(pick)
    : Effect.fail(badRequest(`container ${pick} is not valid for pod ${pod.metadata.name}`))
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
