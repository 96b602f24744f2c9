/** What a user may ask about itself: `kubectl auth can-i`, `auth can-i --list` and `auth whoami`. */
import { Effect } from "effect"
import { type ApiRequest, type ApiResponse, json, type User } from "../api/Http.ts"
import { type ApiError, badRequest, invalid } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { groupVersion, type Review, reviewTypes } from "../shapes/Resources.ts"
import { type Attributes, decide, grantsOf, none } from "./Authorization.ts"

/** The specs of all three, as far as they are read. */
interface Spec {
  readonly resourceAttributes?: Partial<Omit<Attributes, "path">> | null
  readonly nonResourceAttributes?: Partial<Pick<Attributes, "verb" | "path">> | null
  readonly namespace?: string
}

type Answer = (store: Store, user: User, spec: Spec) => Effect.Effect<object, ApiError>

const answers: Readonly<Record<Review, Answer>> = {
  selfsubjectaccessreviews: (store, user, { nonResourceAttributes, resourceAttributes }) => {
    const asked = resourceAttributes ?? nonResourceAttributes
    if (!asked || (resourceAttributes && nonResourceAttributes)) {
      const what = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
      return invalid("SelfSubjectAccessReview.authorization.k8s.io", "", [
        { reason: "FieldValueInvalid", field: "spec.resourceAttributes", message: `Invalid value: ${what}` }
      ])
    }
    return Effect.map(
      decide(store, user, { ...none, ...asked }),
      ({ allowed, reason }) => reason === "" ? { allowed } : { allowed, reason }
    )
  },
  selfsubjectrulesreviews: (store, user, { namespace = "" }) =>
    namespace === "" ? badRequest("no namespace on request") : Effect.map(
      grantsOf(store, user, namespace),
      ({ grants, problems }) => {
        const held = grants.map(({ rule }) => rule)
        return {
          resourceRules: held.filter(({ resources = [] }) => resources.length > 0),
          nonResourceRules: held.filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0),
          incomplete: false,
          ...(problems.length === 0 ? {} : { evaluationError: problems.join(", ") })
        }
      }
    ),
  selfsubjectreviews: (_store, { name, ...rest }) => Effect.succeed({ userInfo: { username: name, ...rest } })
}

/** POST of a review: 201 with its status. `body` is the object as decoded; 400 or 422 for what cannot be answered. */
export const review = (
  store: Store,
  which: Review,
  { user }: ApiRequest,
  body: object
): Effect.Effect<ApiResponse, ApiError> => {
  const { spec = {} }: { readonly spec?: Spec } = body
  return Effect.map(answers[which](store, user, spec), (status) => {
    const { kind } = reviewTypes[which]
    const apiVersion = groupVersion(reviewTypes[which])
    return json({ ...body, kind, apiVersion, metadata: { creationTimestamp: null }, status }, 201)
  })
}
