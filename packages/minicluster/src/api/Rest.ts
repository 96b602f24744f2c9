/** create, update, patch and delete, which are the same for every resource; what differs are defaults and rules. */
import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { isDeepStrictEqual } from "node:util"
import { authorize } from "../access/Authorization.ts"
import { checkEscalation } from "../access/Escalation.ts"
import { decodeBody, decodeDeleteOptions, type DeleteOptions } from "../shapes/Decode.ts"
import { generatedName } from "../shapes/Names.ts"
import { type KubeObject, type ObjectMeta, type Pod, timestamp } from "../shapes/Objects.ts"
import { applyPatch, applyType } from "../shapes/Patch.ts"
import { ephemeralContainersCauses } from "../shapes/PodValidation.ts"
import { groupVersion, qualifiedName, type Resource, resourceTypes } from "../shapes/Resources.ts"
import * as Rule from "../shapes/Rules.ts"
import { createCauses, updateCauses, withDefaults } from "../shapes/Validation.ts"
import { markDeleted } from "./Collector.ts"
import { afterCreate } from "./Controllers.ts"
import { type ApiRequest, json, success } from "./Http.ts"
import { answerObject, selectorOf } from "./ListWatch.ts"
import { admit } from "./PodAdmission.ts"
import { type ApiError, badRequest, type Cause, conflict, forbidden, invalid } from "./Status.ts"
import { conflictOf, type Store } from "./Store.ts"

/** As often as a real server looks for another name when a generated one is taken. */
const generateAttempts = 8
/** As often as a real server applies a patch anew to an object that changed meanwhile. */
const patchAttempts = 5

type SentMeta = Partial<ObjectMeta> & { readonly annotations?: ObjectMeta["annotations"] | null }
type Sent = Readonly<Record<string, unknown>> & { readonly metadata?: SentMeta | null }

/** What a request is about: an object's place. */
export interface Place {
  readonly resource: Resource
  /** "" for a resource that has none. */
  readonly namespace: string
  readonly name: string
  readonly subresource: string
}

/** `options` are those of a deletion, which may say it too. */
export const isDryRun = Effect.fnUntraced(function*({ query }: ApiRequest, { dryRun = [] }: DeleteOptions = {}) {
  const asked = query.getAll("dryRun")
  const wrong = asked.find((value) => value !== "All" && value !== "")
  if (wrong === undefined) return [...asked, ...dryRun].includes("All")
  return yield* invalid("CreateOptions.meta.k8s.io", "", [Rule.unsupported("dryRun", wrong, ["All"])])
})

const orInvalid = (resource: Resource, name: string, causes: ReadonlyArray<Cause>): Effect.Effect<void, ApiError> => {
  const { group, kind } = resourceTypes[resource]
  return causes.length === 0
    ? Effect.void
    : Effect.fail(invalid(group === "" ? kind : `${kind}.${group}`, name, causes))
}

const namespaceMatches = (namespace: string, sent: SentMeta): Effect.Effect<void, ApiError> =>
  (sent.namespace ?? "") === "" || sent.namespace === namespace
    ? Effect.void
    : Effect.fail(
      badRequest("the namespace of the provided object does not match the namespace sent on the request")
    )

/** What an object that was sent becomes before anybody judges it: named, and with the server's own metadata. */
const born = (place: Place, sent: Sent, now: number): KubeObject => {
  const type = resourceTypes[place.resource]
  const { name, ...metadata } = sent.metadata ?? {}
  const base = metadata.generateName ?? ""
  const { deletionGracePeriodSeconds: _grace, deletionTimestamp: _deletion, namespace: _namespace, ...own } = metadata
  return {
    ...sent,
    apiVersion: groupVersion(type),
    kind: type.kind,
    metadata: {
      ...own,
      name: (name ?? "") === "" && base !== "" ? generatedName(base) : name ?? "",
      ...(type.namespaced ? { namespace: place.namespace } : {}),
      uid: randomUUID(),
      resourceVersion: "",
      creationTimestamp: timestamp(now)
    }
  }
}

/** What making an object takes. */
interface Cluster {
  readonly store: Store
  /** PEM of the cluster's certificate authority. */
  readonly authority: string
}

/** Makes an object from what was sent: completed, admitted, judged, stored. */
const createFrom = Effect.fnUntraced(function*(cluster: Cluster, place: Place, sent: Sent, request: ApiRequest) {
  const { authority, store } = cluster
  const { namespace, resource } = place
  const dryRun = yield* isDryRun(request)
  yield* namespaceMatches(namespace, sent.metadata ?? {})
  if ((sent.metadata?.resourceVersion ?? "") !== "") {
    return yield* badRequest("resourceVersion should not be set on objects to be created")
  }
  const attempt = Effect.gen(function*() {
    const completed = withDefaults(resource, born(place, sent, yield* Clock.currentTimeMillis))
    const admitted = yield* admit(store, resource, completed, request.user)
    yield* orInvalid(resource, admitted.metadata.name, createCauses(resource, admitted))
    yield* checkEscalation(store, request.user, resource, admitted, true)
    if (dryRun) return admitted
    const created: KubeObject = yield* store.create(resource, admitted)
    yield* afterCreate(store, authority, resource, created)
    return created
  })
  const isGenerated = (sent.metadata?.name ?? "") === ""
  return yield* Effect.retry(attempt, {
    times: generateAttempts - 1,
    while: (error) => isGenerated && error.status.reason === "AlreadyExists"
  })
})

export const createObject = Effect.fnUntraced(function*(cluster: Cluster, place: Place, request: ApiRequest) {
  const { object, warnings } = yield* decodeBody(resourceTypes[place.resource], request)
  const created = yield* createFrom(cluster, place, object, request)
  return yield* answerObject(place.resource, created, request, 201, warnings)
})

/** The resources whose status is written by its own subresource, and by nothing else. */
const hasStatus = (resource: Resource): boolean => resourceTypes[resource].subresources?.["status"] !== undefined

/** What of `sent` may come into the object at all, by the door that it was sent to. */
const merged = (place: Place, sent: Sent, previous: KubeObject): KubeObject => {
  const before = previous as KubeObject & { readonly status?: unknown; readonly spec?: Pod["spec"] }
  if (place.subresource === "status") return { ...previous, status: sent["status"] } as KubeObject
  if (place.subresource === "ephemeralcontainers") {
    const { ephemeralContainers = [] } = (sent["spec"] ?? {}) as Partial<Pod["spec"]>
    return { ...previous, spec: { ...before.spec, ephemeralContainers } } as KubeObject
  }
  const { creationTimestamp, deletionGracePeriodSeconds, deletionTimestamp, resourceVersion, uid } = previous.metadata
  return {
    ...sent,
    apiVersion: previous.apiVersion,
    kind: previous.kind,
    metadata: {
      ...sent.metadata,
      name: previous.metadata.name,
      ...(previous.metadata.namespace === undefined ? {} : { namespace: previous.metadata.namespace }),
      uid,
      resourceVersion,
      creationTimestamp,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(deletionGracePeriodSeconds === undefined ? {} : { deletionGracePeriodSeconds })
    },
    ...(hasStatus(place.resource) ? { status: before.status } : {})
  }
}

const modified = "the object has been modified; please apply your changes to the latest version and try again"

/** Replaces `previous` by what was sent, unless somebody else was quicker. */
const replaceBy = Effect.fnUntraced(
  function*(store: Store, place: Place, sent: Sent, previous: KubeObject, request: ApiRequest) {
    const { name, namespace, resource, subresource } = place
    const { resourceVersion = "", uid } = sent.metadata ?? {}
    const named = qualifiedName(resource)
    yield* namespaceMatches(namespace, sent.metadata ?? {})
    const isOther = uid !== undefined && uid !== previous.metadata.uid
    // The uid of a whole object is a precondition; that in a patch is an attempt to change it (`DefaultUpdatedObjectInfo`).
    if (isOther && request.method !== "PATCH") {
      return yield* conflictOf(named, name, uid, previous.metadata.uid)
    }
    if (resourceVersion !== "" && resourceVersion !== previous.metadata.resourceVersion) {
      return yield* conflict(named, name, modified)
    }
    const next = withDefaults(resource, merged(place, sent, previous))
    const causes = subresource === "ephemeralcontainers"
      ? ephemeralContainersCauses(next as Pod, previous as Pod)
      : subresource === "status"
      ? []
      : updateCauses(resource, isOther ? { ...next, metadata: { ...next.metadata, uid } } : next, previous)
    yield* orInvalid(resource, name, causes)
    yield* checkEscalation(store, request.user, resource, next, false)
    if ((yield* isDryRun(request)) || isDeepStrictEqual(JSON.parse(JSON.stringify(next)), previous)) return next
    let isNewest = true
    const stored = yield* store.update(resource, namespace, name, (current) => {
      isNewest = current.metadata.resourceVersion === previous.metadata.resourceVersion
      return isNewest ? next : current
    })
    return isNewest ? stored : yield* conflict(named, name, modified)
  }
)

/** PUT. */
export const updateObject = Effect.fnUntraced(function*(store: Store, place: Place, request: ApiRequest) {
  const { name, namespace, resource } = place
  const { object, warnings } = yield* decodeBody(resourceTypes[resource], request)
  const sent: Sent = object
  const given = sent.metadata?.name ?? ""
  if (given === "") {
    return yield* badRequest(
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`
    )
  }
  if (given !== name) {
    return yield* badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`)
  }
  const previous = yield* store.get(resource, namespace, name)
  return yield* answerObject(resource, yield* replaceBy(store, place, sent, previous, request), request, 200, warnings)
})

/** PATCH, in its four forms; an apply to what is not there creates it. */
export const patchObject = Effect.fnUntraced(function*(cluster: Cluster, place: Place, request: ApiRequest) {
  const { store } = cluster
  const { name, namespace, resource, subresource } = place
  const { contentType } = request
  const type = resourceTypes[resource]
  const patch = yield* request.json
  const attempt = Effect.gen(function*() {
    const previous = yield* store.get(resource, namespace, name).pipe(
      Effect.catch((error): Effect.Effect<KubeObject | undefined, ApiError> =>
        contentType === applyType && subresource === "" ? Effect.succeed(undefined) : Effect.fail(error)
      )
    )
    const patched = (yield* applyPatch(type, contentType, previous, patch)) as Record<string, unknown>
    const { object, warnings } = yield* decodeBody(type, { ...request, json: Effect.succeed(patched) })
    if (previous === undefined) {
      const { group } = type
      // Whoever may change an object may not therefore make one.
      const asked = { verb: "create", group, resource, subresource, namespace, name, path: "" }
      yield* authorize(store, request.user, asked)
      const named = { ...object, metadata: { ...(object as Sent).metadata, name } }
      return yield* answerObject(resource, yield* createFrom(cluster, place, named, request), request, 201, warnings)
    }
    return yield* answerObject(
      resource,
      yield* replaceBy(store, place, object, previous, request),
      request,
      200,
      warnings
    )
  })
  const { resourceVersion = "" } = ((patch ?? {}) as Sent).metadata ?? {}
  return yield* Effect.retry(attempt, {
    times: patchAttempts - 1,
    while: ({ status }) =>
      resourceVersion === "" && status.reason === "Conflict" && status.message?.includes(modified) === true
  })
})

/** `podStrategy.CheckGracefulDelete`: nothing to wait for where nothing runs. */
const gracePeriod = (object: KubeObject, asked: number | undefined): number => {
  if (object.kind !== "Pod") return 0
  const { spec, status } = object as Pod
  if (spec.nodeName === undefined || status.phase === "Failed" || status.phase === "Succeeded") return 0
  const seconds = asked ?? spec.terminationGracePeriodSeconds
  return seconds < 0 ? 1 : seconds
}

/** `NamespaceLifecycle`. */
const immortal = new Set(["default", "kube-system", "kube-public"])

export const deleteOne = Effect.fnUntraced(
  function*(store: Store, resource: Resource, object: KubeObject, options: DeleteOptions, dryRun: boolean) {
    const { name, resourceVersion: actual } = object.metadata
    const named = qualifiedName(resource)
    const { resourceVersion, uid } = options.preconditions ?? {}
    if (resource === "namespaces" && immortal.has(name)) {
      return yield* forbidden(named, name, "this namespace may not be deleted")
    }
    if (uid !== undefined && uid !== object.metadata.uid) {
      return yield* conflictOf(named, name, uid, object.metadata.uid)
    }
    if (resourceVersion !== undefined && resourceVersion !== actual) {
      const versions = `${resourceVersion}, ResourceVersion in object meta: ${actual}`
      return yield* conflict(named, name, `Precondition failed: ResourceVersion in precondition: ${versions}`)
    }
    if (dryRun) return object
    const grace = gracePeriod(object, options.gracePeriodSeconds)
    const older = options.orphanDependents === true ? "Orphan" : "Background"
    return yield* markDeleted(store, resource, object, grace, options.propagationPolicy ?? older)
  }
)

/** The objects that a deletion answers whole; for others a Status says that they are gone. */
const answersObject = (resource: Resource, deleted: KubeObject): boolean =>
  resource === "pods" || deleted.metadata.deletionTimestamp !== undefined

/** `swallow` is the fault of a deletion that is accepted and does nothing. */
export const deleteObject = Effect.fnUntraced(
  function*(store: Store, place: Place, request: ApiRequest, swallow: Effect.Effect<boolean>) {
    const { name, namespace, resource } = place
    const options = yield* decodeDeleteOptions(request)
    const dryRun = yield* isDryRun(request, options)
    const object = yield* store.get(resource, namespace, name)
    const deleted = yield* deleteOne(store, resource, object, options, dryRun || (yield* swallow))
    if (answersObject(resource, deleted)) return json(deleted)
    const { group } = resourceTypes[resource]
    return success({ details: { name, ...(group === "" ? {} : { group }), kind: resource, uid: object.metadata.uid } })
  }
)

export const deleteCollection = Effect.fnUntraced(
  function*(store: Store, place: Place, request: ApiRequest, swallow: Effect.Effect<boolean>) {
    const { namespace, resource } = place
    const options = yield* decodeDeleteOptions(request)
    const dryRun = yield* isDryRun(request, options)
    const within = resourceTypes[resource].namespaced ? namespace : undefined
    const select = yield* selectorOf(resource, within, request.query)
    const { items, version } = yield* store.list(resource, within)
    const deleted = yield* Effect.forEach(
      items.filter(select),
      (object) =>
        Effect.flatMap(swallow, (nothing) => deleteOne(store, resource, object, options, dryRun || nothing)).pipe(
          // What is gone meanwhile needs no deletion.
          Effect.catch((error) => error.status.code === 404 ? Effect.succeed(object) : Effect.fail(error))
        )
    )
    const type = resourceTypes[resource]
    return json({
      kind: `${type.kind}List`,
      apiVersion: groupVersion(type),
      metadata: { resourceVersion: String(version) },
      items: deleted
    })
  }
)
