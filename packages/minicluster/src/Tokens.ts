/**
 * Service accounts' tokens: JWTs that name their account and, when bound, the pod or secret that they end with
 * (`pkg/serviceaccount` of Kubernetes, KEP-1205).
 *
 * Signed by HMAC (HS256), because only this process makes and checks them; real clusters sign with a key pair.
 */
import { Clock, Effect } from "effect"
import { Buffer } from "node:buffer"
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto"
import { type ApiResponse, json, type User } from "./Http.ts"
import { type KubeObject, type Pod, timestamp } from "./Objects.ts"
import { type Resource } from "./Resources.ts"
import { type ApiError, badRequest, conflict, invalid } from "./Status.ts"
import { type Store } from "./Store.ts"

/** Who issues, and whom a token is for unless it says otherwise. */
export const issuer = "https://kubernetes.default.svc.cluster.local"

/** An hour, as `kubectl create token` gets without `--duration`. */
const defaultSeconds = 3600
const leastSeconds = 600
const mostSeconds = 2 ** 32
/** How long a token outlives the time at which its account or pod was to be gone, so that the pod can say goodbye. */
const deletionLeeway = 60_000

interface Ref {
  readonly name: string
  readonly uid: string
}

/** The claim "kubernetes.io". */
interface Binding {
  readonly namespace: string
  readonly serviceaccount: Ref
  readonly pod?: Ref
  readonly node?: Ref
  readonly secret?: Ref
}

interface Claims {
  readonly aud: ReadonlyArray<string>
  readonly exp: number
  readonly jti: string
  readonly "kubernetes.io": Binding
}

export interface TokenOptions {
  readonly binding: Binding
  readonly audiences: ReadonlyArray<string>
  readonly expirationSeconds: number
}

export interface Tokens {
  readonly mint: (
    options: TokenOptions
  ) => Effect.Effect<{ readonly token: string; readonly expirationTimestamp: string }>
  /** Whose token it is; nothing when it was forged, has expired, is for others, or when what it is bound to is gone. */
  readonly verify: (token: string) => Effect.Effect<User | undefined>
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")
const refOf = ({ metadata: { name, uid } }: KubeObject): Ref => ({ name, uid })

export const accountName = (namespace: string, name: string): string => `system:serviceaccount:${namespace}:${name}`
export const accountGroups = (namespace: string): ReadonlyArray<string> => [
  "system:serviceaccounts",
  `system:serviceaccounts:${namespace}`
]

const userOf = ({ "kubernetes.io": { namespace, node, pod, serviceaccount }, jti }: Claims): User => {
  const about = (kind: string, ref: Ref | undefined) =>
    ref === undefined ? {} : {
      [`authentication.kubernetes.io/${kind}-name`]: [ref.name],
      [`authentication.kubernetes.io/${kind}-uid`]: [ref.uid]
    }
  return {
    name: accountName(namespace, serviceaccount.name),
    uid: serviceaccount.uid,
    groups: accountGroups(namespace),
    extra: {
      "authentication.kubernetes.io/credential-id": [`JTI=${jti}`],
      ...about("node", node),
      ...about("pod", pod)
    }
  }
}

/** Tokens are in force as long as the cluster: `key` is made anew for each. */
export const makeTokens = (store: Store, key: Uint8Array = randomBytes(32)): Tokens => {
  const sign = (text: string) => createHmac("sha256", key).update(text).digest()

  const isThere = (resource: Resource, namespace: string, ref: Ref | undefined, now: number): Effect.Effect<boolean> =>
    ref === undefined ? Effect.succeed(true) : store.get(resource, namespace, ref.name).pipe(
      Effect.map(({ metadata: { deletionTimestamp, uid } }) =>
        uid === ref.uid && (deletionTimestamp === undefined || Date.parse(deletionTimestamp) + deletionLeeway >= now)
      ),
      Effect.orElseSucceed(() => false)
    )

  /** What stands in a token that is signed by this key: its claims are as `mint` wrote them. */
  const open = (token: string): Claims | undefined => {
    const [head = "", body = "", signature = "", ...more] = token.split(".")
    const [given, wanted] = [Buffer.from(signature, "base64url"), sign(`${head}.${body}`)]
    const isOurs = more.length === 0 && given.length === wanted.length && timingSafeEqual(given, wanted)
    return isOurs ? JSON.parse(Buffer.from(body, "base64url").toString()) : undefined
  }

  return {
    mint: Effect.fnUntraced(function*({ audiences, binding, expirationSeconds }: TokenOptions) {
      const now = yield* Clock.currentTimeMillis
      const iat = Math.floor(now / 1000)
      const exp = iat + expirationSeconds
      const claims: Claims & Readonly<Record<string, unknown>> = {
        aud: audiences,
        exp,
        iat,
        iss: issuer,
        jti: randomUUID(),
        "kubernetes.io": binding,
        nbf: iat,
        sub: accountName(binding.namespace, binding.serviceaccount.name)
      }
      const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`
      return { token: `${text}.${sign(text).toString("base64url")}`, expirationTimestamp: timestamp(exp * 1000) }
    }),
    verify: Effect.fnUntraced(function*(token: string) {
      const now = yield* Clock.currentTimeMillis
      const claims = open(token)
      if (claims === undefined || claims.exp * 1000 <= now || !claims.aud.includes(issuer)) return undefined
      const { namespace, pod, secret, serviceaccount } = claims["kubernetes.io"]
      const all = yield* Effect.all([
        isThere("serviceaccounts", namespace, serviceaccount, now),
        isThere("pods", namespace, pod, now),
        isThere("secrets", namespace, secret, now)
      ])
      return all.every(Boolean) ? userOf(claims) : undefined
    })
  }
}

const boundToPod = (store: Store, pod: Pod): Effect.Effect<Pick<Binding, "pod" | "node">> =>
  store.get("nodes", "", pod.spec.nodeName ?? "").pipe(
    Effect.map((node) => ({ pod: refOf(pod), node: refOf(node) })),
    Effect.orElseSucceed(() => ({ pod: refOf(pod) }))
  )

/** A token for a pod's projected volume, bound to the pod. 404 when its account is gone. */
export const podToken = Effect.fnUntraced(function*(
  store: Store,
  tokens: Tokens,
  pod: Pod,
  { audience = issuer, expirationSeconds = defaultSeconds }: {
    readonly audience?: string | undefined
    readonly expirationSeconds?: number | undefined
  }
): Effect.fn.Return<string, ApiError> {
  const { namespace = "" } = pod.metadata
  const account = yield* store.get("serviceaccounts", namespace, pod.spec.serviceAccountName ?? "default")
  const binding = { namespace, serviceaccount: refOf(account), ...(yield* boundToPod(store, pod)) }
  const { token } = yield* tokens.mint({ binding, audiences: [audience], expirationSeconds })
  return token
})

/** `authentication.k8s.io/v1 TokenRequest`, as far as it is read. */
interface TokenRequest {
  readonly metadata?: { readonly name?: string; readonly namespace?: string }
  readonly spec?: {
    readonly audiences?: ReadonlyArray<string> | null
    readonly expirationSeconds?: number | null
    readonly boundObjectRef?: {
      readonly kind?: string
      readonly apiVersion?: string
      readonly name?: string
      readonly uid?: string
    } | null
  }
}

type BoundObject = NonNullable<NonNullable<TokenRequest["spec"]>["boundObjectRef"]>

const boundTo = Effect.fnUntraced(function*(
  store: Store,
  namespace: string,
  account: string,
  { apiVersion = "", kind = "", name = "", uid = "" }: BoundObject
): Effect.fn.Return<Partial<Binding>, ApiError> {
  if (apiVersion !== "v1" || (kind !== "Pod" && kind !== "Secret")) {
    return yield* badRequest(`cannot bind token to object of type /${apiVersion}, Kind=${kind}`)
  }
  const object = yield* store.get(kind === "Pod" ? "pods" : "secrets", namespace, name)
  if (uid !== "" && uid !== object.metadata.uid) {
    return yield* conflict(
      kind,
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. ` +
        "The object might have been deleted and then recreated"
    )
  }
  if (!("spec" in object)) return { secret: refOf(object) }
  if ((object.spec.serviceAccountName ?? "default") !== account) {
    return yield* badRequest(
      `cannot bind token for serviceaccount "${account}" to pod running with different serviceaccount name.`
    )
  }
  return yield* boundToPod(store, object)
})

const expirationCauses = (seconds: number) => {
  const refuse = (what: string) => [{
    reason: "FieldValueInvalid",
    field: "spec.expirationSeconds",
    message: `Invalid value: ${seconds}: may not specify a duration ${what}`
  }]
  if (seconds < leastSeconds) return refuse("less than 10 minutes")
  return seconds > mostSeconds ? refuse("larger than 2^32 seconds") : []
}

/** POST serviceaccounts/NAME/token: 201 with the token in the status. 400, 404, 409 or 422. */
export const requestToken = Effect.fnUntraced(function*(
  store: Store,
  tokens: Tokens,
  namespace: string,
  name: string,
  body: object
): Effect.fn.Return<ApiResponse, ApiError> {
  const { metadata = {}, spec = {} }: TokenRequest = body
  for (const [field, given, wanted] of [["name", metadata.name, name], ["namespace", metadata.namespace, namespace]]) {
    if ((given ?? "") !== "" && given !== wanted) {
      return yield* badRequest(`the ${field} in the URL (${wanted}) is not that of the TokenRequest (${given})`)
    }
  }
  const account = yield* store.get("serviceaccounts", namespace, name)
  const expirationSeconds = spec.expirationSeconds ?? defaultSeconds
  const causes = expirationCauses(expirationSeconds)
  if (causes.length > 0) return yield* invalid("TokenRequest.authentication.k8s.io", "", causes)
  const audiences = (spec.audiences ?? []).length === 0 ? [issuer] : spec.audiences ?? []
  const boundObjectRef = spec.boundObjectRef ?? null
  const bound = boundObjectRef === null ? {} : yield* boundTo(store, namespace, name, boundObjectRef)
  const binding = { namespace, serviceaccount: refOf(account), ...bound }
  const creationTimestamp = timestamp(yield* Clock.currentTimeMillis)
  return json({
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp },
    spec: { audiences, expirationSeconds, boundObjectRef },
    status: yield* tokens.mint({ binding, audiences, expirationSeconds })
  }, 201)
})
