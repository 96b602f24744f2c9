/** What a user may ask about itself: `kubectl auth can-i`, `auth can-i --list` and `auth whoami`. */
import { Effect } from "effect"
import { type Attributes, decide, grantsOf } from "./Authorization.ts"
import { type ApiRequest, type ApiResponse, json } from "./Http.ts"
import { groupVersion, type Review, reviewTypes } from "./Resources.ts"
import { type ApiError, badRequest, invalid } from "./Status.ts"
import { type Store } from "./Store.ts"

/** The specs of all three, as far as they are read. */
interface Spec {
  readonly resourceAttributes?: Partial<Omit<Attributes, "path">> | null
  readonly nonResourceAttributes?: Partial<Pick<Attributes, "verb" | "path">> | null
  readonly namespace?: string
}

type Answer = (store: Store, request: ApiRequest, spec: Spec) => Effect.Effect<object, ApiError>

const nothing: Attributes = { verb: "", group: "", resource: "", subresource: "", namespace: "", name: "", path: "" }

const access: Answer = (store, { user }, { nonResourceAttributes, resourceAttributes }) => {
  const refused = (field: string, message: string) =>
    invalid("SelfSubjectAccessReview.authorization.k8s.io", "", [
      { reason: "FieldValueInvalid", field: `spec.${field}`, message: `Invalid value: ${message}` }
    ])
  if (resourceAttributes && nonResourceAttributes) {
    const value = JSON.stringify(nonResourceAttributes)
    return refused("nonResourceAttributes", `${value}: cannot be specified in combination with resourceAttributes`)
  }
  const asked = resourceAttributes ?? nonResourceAttributes
  if (!asked) {
    const what = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
    return refused("resourceAttributes", `null: ${what}`)
  }
  return Effect.map(decide(store, user, { ...nothing, ...asked }), ({ allowed, reason }) => ({
    allowed,
    ...(reason === "" ? {} : { reason })
  }))
}

const rules: Answer = Effect.fnUntraced(function*(store, { user }, { namespace = "" }) {
  if (namespace === "") return yield* badRequest("no namespace on request")
  const { grants, problems } = yield* grantsOf(store, user, namespace)
  const held = grants.map(({ rule }) => rule)
  return {
    resourceRules: held.filter(({ resources = [] }) => resources.length > 0),
    nonResourceRules: held.filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0),
    incomplete: false,
    ...(problems.length === 0 ? {} : { evaluationError: problems.join(", ") })
  }
})

const self: Answer = (_store, { user: { name, ...rest } }) => Effect.succeed({ userInfo: { username: name, ...rest } })

const answers: Readonly<Record<Review, Answer>> = {
  selfsubjectaccessreviews: access,
  selfsubjectrulesreviews: rules,
  selfsubjectreviews: self
}

/** POST of a review: 201 with its status. `body` is the object as decoded; 400 or 422 for what cannot be answered. */
export const review = (
  store: Store,
  which: Review,
  request: ApiRequest,
  body: object
): Effect.Effect<ApiResponse, ApiError> => {
  const { spec = {} }: { readonly spec?: Spec } = body
  const { kind } = reviewTypes[which]
  return Effect.map(answers[which](store, request, spec), (status) =>
    json({
      kind,
      apiVersion: groupVersion(reviewTypes[which]),
      metadata: { creationTimestamp: null },
      ...(which === "selfsubjectreviews" ? {} : { spec }),
      status
    }, 201))
}
