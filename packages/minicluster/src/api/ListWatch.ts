/** get and list, which are the same for every resource; a watch is `Watch.ts`'. */
import { Clock, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { type KubeObject } from "../shapes/Objects.ts"
import { groupVersion, type Resource, resourceTypes } from "../shapes/Resources.ts"
import * as Rule from "../shapes/Rules.ts"
import { fieldSelector, labelSelector, type Selector } from "../shapes/Selectors.ts"
import { type ApiRequest, type ApiResponse, json } from "./Http.ts"
import { type ApiError, badRequest, expired, invalid, notYet } from "./Status.ts"
import { type Store } from "./Store.ts"
import { table, wantsTable } from "./Table.ts"

export const getObject = Effect.fnUntraced(
  function*(store: Store, resource: Resource, namespace: string, name: string, request: ApiRequest) {
    return yield* answerObject(resource, yield* store.get(resource, namespace, name), request)
  }
)

const asTable = (resource: Resource, objects: ReadonlyArray<KubeObject>, version: string, { query }: ApiRequest) =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) => table(resource, objects, { version, now, columns: true, withObject: query.get("includeObject") })
  )

/** One object in the form that the client wants it in. */
export const answerObject = Effect.fnUntraced(
  function*(
    resource: Resource,
    object: KubeObject,
    request: ApiRequest,
    code = 200,
    warnings: ReadonlyArray<string> = []
  ): Effect.fn.Return<ApiResponse> {
    if (!wantsTable(request.accept)) return json(object, code, warnings)
    return json(yield* asTable(resource, [object], object.metadata.resourceVersion, request), code, warnings)
  }
)

/** What a request selects: its namespace, its labels, its fields. */
export const selectorOf = (resource: Resource, namespace: string | undefined, query: URLSearchParams) =>
  Effect.map(
    Effect.all([
      labelSelector(query.get("labelSelector") ?? ""),
      fieldSelector(resource, query.get("fieldSelector") ?? "")
    ]),
    (selectors): Selector => (object) =>
      (namespace === undefined || object.metadata.namespace === namespace) &&
      selectors.every((select) => select(object))
  )

const matches = ["Exact", "NotOlderThan", ""]

/** `ValidateListOptions` of a list that is no watch. */
const checkOptions = (query: URLSearchParams): Effect.Effect<void, ApiError> => {
  const match = query.get("resourceVersionMatch") ?? ""
  const version = query.get("resourceVersion") ?? ""
  const at = "resourceVersionMatch"
  const causes = [
    ...Rule.when(
      match !== "" && version === "",
      Rule.forbidden(at, `${at} is forbidden unless resourceVersion is provided`)
    ),
    ...Rule.when(!matches.includes(match), Rule.unsupported(at, match, matches)),
    ...Rule.when(
      match === "Exact" && version === "0",
      Rule.forbidden(at, `${at} "exact" is forbidden for resourceVersion "0"`)
    ),
    ...Rule.when(
      query.has("sendInitialEvents"),
      Rule.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    )
  ]
  return causes.length === 0 ? Effect.void : Effect.fail(invalid("ListOptions.meta.k8s.io", "", causes))
}

/** The rest of a list that was asked for in pieces, as it was when the first piece was given. */
interface Rest {
  readonly version: number
  readonly items: ReadonlyArray<KubeObject>
}

/** Lists that clients left unfinished: the oldest expire when there are more. */
const unfinishedLimit = 64

/** `namespace` undefined means all of them, or a resource that has none. */
export type List = (
  resource: Resource,
  namespace: string | undefined,
  request: ApiRequest
) => Effect.Effect<ApiResponse, ApiError>

const compare = (a: KubeObject, b: KubeObject): number => {
  const [left, right] = [a, b].map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`)
  return left === right ? 0 : (left ?? "") < (right ?? "") ? -1 : 1
}

export const makeList = (store: Store): List => {
  const unfinished = new Map<string, Rest>()

  /** `of` is what is listed: a token tells nothing about anything else. */
  const keep = (of: string, rest: Rest): string => {
    const token = randomBytes(18).toString("base64url")
    unfinished.set(`${of} ${token}`, rest)
    const [oldest] = unfinished.keys()
    if (unfinished.size > unfinishedLimit && oldest !== undefined) unfinished.delete(oldest)
    return token
  }

  const start = Effect.fnUntraced(function*(resource: Resource, namespace: string | undefined, query: URLSearchParams) {
    const select = yield* selectorOf(resource, namespace, query)
    yield* checkOptions(query)
    const { items, version } = yield* store.list(resource, namespace)
    const asked = query.get("resourceVersion") ?? ""
    if (!/^\d*$/.test(asked)) {
      return yield* badRequest(`resourceVersion: Invalid value: "${asked}": strconv.ParseUint: invalid syntax`)
    }
    if (Number(asked) > version) return yield* notYet(Number(asked), version)
    if (query.get("resourceVersionMatch") === "Exact" && Number(asked) !== version) {
      return yield* expired(`The provided resource version is unavailable: ${asked} (${version})`)
    }
    return { version, items: items.filter(select).toSorted(compare) }
  })

  const goOn = (of: string, token: string): Effect.Effect<Rest, ApiError> => {
    const rest = unfinished.get(`${of} ${token}`)
    return rest === undefined
      ? Effect.fail(expired("The provided continue parameter is too old to display a consistent list result."))
      : Effect.succeed(rest)
  }

  return Effect.fnUntraced(function*(resource, namespace, request) {
    const { accept, query } = request
    const limit = Number(query.get("limit") ?? 0)
    if (!Number.isSafeInteger(limit) || limit < 0) {
      return yield* badRequest(`limit: Invalid value: "${query.get("limit")}": must be a non-negative integer`)
    }
    const token = query.get("continue") ?? ""
    const of = `${resource} ${namespace ?? ""}`
    const { items: found, version } = yield* token === "" ? start(resource, namespace, query) : goOn(of, token)
    const items = limit === 0 ? found : found.slice(0, limit)
    const left = found.length - items.length
    const selects = ["labelSelector", "fieldSelector"].some((key) => (query.get(key) ?? "") !== "")
    const metadata = {
      resourceVersion: String(version),
      ...(left === 0 ? {} : {
        continue: keep(of, { version, items: found.slice(items.length) }),
        ...(selects ? {} : { remainingItemCount: left })
      })
    }
    if (wantsTable(accept)) {
      return json({ ...(yield* asTable(resource, items, metadata.resourceVersion, request)), metadata })
    }
    const type = resourceTypes[resource]
    return json({
      kind: `${type.kind}List`,
      apiVersion: groupVersion(type),
      metadata,
      // An item of a typed list says its kind no more than the list does.
      items: items.map((item) => ({ ...item, apiVersion: undefined, kind: undefined }))
    })
  })
}
