/**
 * Service accounts' tokens: JWTs that name their account and, when bound, the pod or secret that they end with
 * (`pkg/serviceaccount` of Kubernetes, KEP-1205).
 *
 * Signed by HMAC (HS256), because only this process makes and checks them; real clusters sign with a key pair.
 */
import { Clock, Effect } from "effect"
import { Buffer } from "node:buffer"
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto"
import { type ApiResponse, json, type User } from "../api/Http.ts"
import { type ApiError, badRequest, conflict, invalid } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type KubeObject, type Pod, timestamp } from "../shapes/Objects.ts"
import { type Resource } from "../shapes/Resources.ts"
import * as Rule from "../shapes/Rules.ts"

/** Who issues, and whom a token is for unless it says otherwise. */
export const issuer = "https://kubernetes.default.svc.cluster.local"
const defaultSeconds = 3600
const leastSeconds = 600
/** How long a token outlives the time at which its account or pod was to be gone, so that the pod can say goodbye. */
const deletionLeeway = 60_000

interface Ref {
  readonly name: string
  readonly uid: string
}

/** The claim "kubernetes.io": whose token it is, and what it ends with. */
interface Binding {
  readonly namespace: string
  readonly serviceaccount: Ref
  readonly pod?: Ref
  readonly node?: Ref
  readonly secret?: Ref
}

/** What is read of a token again. */
interface Claims {
  readonly aud: ReadonlyArray<string>
  readonly exp: number
  readonly jti: string
  readonly "kubernetes.io": Binding
}

export interface TokenOptions {
  readonly binding: Binding
  readonly audiences?: ReadonlyArray<string>
  readonly expirationSeconds?: number
}

export interface Tokens {
  readonly mint: (of: TokenOptions) => Effect.Effect<{ readonly token: string; readonly expirationTimestamp: string }>
  /** Whose token it is; nothing when it was forged, has expired, is for others, or when what it is bound to is gone. */
  readonly verify: (token: string) => Effect.Effect<User | undefined>
}

/** Takes the same time wherever the two differ. */
export const isEqual = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && timingSafeEqual(one, other)

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")
const refOf = ({ metadata: { name, uid } }: KubeObject): Ref => ({ name, uid })

export const accountName = (namespace: string, name: string): string => `system:serviceaccount:${namespace}:${name}`
export const accountGroups = (namespace: string): ReadonlyArray<string> => [
  "system:serviceaccounts",
  `system:serviceaccounts:${namespace}`
]

const userOf = ({ "kubernetes.io": { namespace, node, pod, serviceaccount }, jti }: Claims): User => {
  const about = {
    "credential-id": `JTI=${jti}`,
    "node-name": node?.name,
    "node-uid": node?.uid,
    "pod-name": pod?.name,
    "pod-uid": pod?.uid
  }
  return {
    name: accountName(namespace, serviceaccount.name),
    uid: serviceaccount.uid,
    groups: accountGroups(namespace),
    extra: Object.fromEntries(
      Object.entries(about).flatMap(([key, value]) =>
        value === undefined ? [] : [[`authentication.kubernetes.io/${key}`, [value]]]
      )
    )
  }
}

/** Tokens are in force as long as the cluster: its key is made anew at each start. */
export const makeTokens = (store: Store): Tokens => {
  const key = randomBytes(32)
  const sign = (text: string) => createHmac("sha256", key).update(text).digest()

  /** The claims of a token that is signed by this key, which are as `mint` wrote them. */
  const open = (token: string): Claims | undefined => {
    const [head = "", body = "", signature = "", ...more] = token.split(".")
    const isOurs = more.length === 0 && isEqual(Buffer.from(signature, "base64url"), sign(`${head}.${body}`))
    return isOurs ? JSON.parse(Buffer.from(body, "base64url").toString()) : undefined
  }

  const isThere = (resource: Resource, namespace: string, ref: Ref, now: number): Effect.Effect<boolean> =>
    store.get(resource, namespace, ref.name).pipe(
      Effect.map(({ metadata: { deletionTimestamp, uid } }) =>
        uid === ref.uid && (deletionTimestamp === undefined || Date.parse(deletionTimestamp) + deletionLeeway >= now)
      ),
      Effect.orElseSucceed(() => false)
    )

  return {
    mint: Effect.fnUntraced(
      function*({ audiences = [issuer], binding, expirationSeconds = defaultSeconds }: TokenOptions) {
        const iat = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const exp = iat + expirationSeconds
        const sub = accountName(binding.namespace, binding.serviceaccount.name)
        const claims: Claims = { aud: audiences, exp, jti: randomUUID(), "kubernetes.io": binding }
        const body = encode({ ...claims, iat, iss: issuer, nbf: iat, sub })
        const text = `${encode({ alg: "HS256", typ: "JWT" })}.${body}`
        return { token: `${text}.${sign(text).toString("base64url")}`, expirationTimestamp: timestamp(exp * 1000) }
      }
    ),
    verify: Effect.fnUntraced(function*(token: string) {
      const now = yield* Clock.currentTimeMillis
      const claims = open(token)
      if (claims === undefined || claims.exp * 1000 <= now || !claims.aud.includes(issuer)) return undefined
      const { namespace, pod, secret, serviceaccount } = claims["kubernetes.io"]
      const needed = [["serviceaccounts", serviceaccount], ["pods", pod], ["secrets", secret]] as const
      for (const [resource, ref] of needed) {
        if (ref !== undefined && !(yield* isThere(resource, namespace, ref, now))) return undefined
      }
      return userOf(claims)
    })
  }
}

const podBinding = (store: Store, pod: Pod): Effect.Effect<Partial<Binding>> =>
  store.get("nodes", "", pod.spec.nodeName ?? "").pipe(
    Effect.map((node) => ({ pod: refOf(pod), node: refOf(node) })),
    Effect.orElseSucceed(() => ({ pod: refOf(pod) }))
  )

/** A token for a pod's projected volume, bound to the pod. 404 when its account is gone. */
export const podToken = Effect.fnUntraced(function*(
  store: Store,
  tokens: Tokens,
  pod: Pod,
  wanted: { readonly audience?: string | undefined; readonly expirationSeconds?: number | undefined }
): Effect.fn.Return<string, ApiError> {
  const { audience = issuer, expirationSeconds = defaultSeconds } = wanted
  const { namespace = "" } = pod.metadata
  const account = yield* store.get("serviceaccounts", namespace, pod.spec.serviceAccountName ?? "default")
  const binding = { namespace, serviceaccount: refOf(account), ...(yield* podBinding(store, pod)) }
  return (yield* tokens.mint({ binding, audiences: [audience], expirationSeconds })).token
})

/** `authentication.k8s.io/v1 TokenRequestSpec` */
interface TokenRequestSpec {
  readonly audiences?: ReadonlyArray<string> | null
  readonly expirationSeconds?: number | null
  readonly boundObjectRef?: Readonly<Partial<Record<"kind" | "apiVersion" | "name" | "uid", string>>> | null
}

const bindingTo = Effect.fnUntraced(function*(
  store: Store,
  namespace: string,
  account: string,
  { apiVersion = "", kind = "", name = "", uid = "" }: NonNullable<TokenRequestSpec["boundObjectRef"]>
): Effect.fn.Return<Partial<Binding>, ApiError> {
  if (apiVersion !== "v1" || (kind !== "Pod" && kind !== "Secret")) {
    return yield* badRequest(`cannot bind token to object of type /${apiVersion}, Kind=${kind}`)
  }
  const object = yield* store.get(kind === "Pod" ? "pods" : "secrets", namespace, name)
  if (uid !== "" && uid !== object.metadata.uid) {
    const why = `the UID in the bound object reference (${uid}) does not match the UID in record`
    return yield* conflict(kind, name, why)
  }
  if (!("spec" in object)) return { secret: refOf(object) }
  if ((object.spec.serviceAccountName ?? "default") === account) return yield* podBinding(store, object)
  const what = "to pod running with different serviceaccount name."
  return yield* badRequest(`cannot bind token for serviceaccount "${account}" ${what}`)
})

/** POST serviceaccounts/NAME/token: 201 with the token in the status. 400, 404, 409 or 422. */
export const requestToken = Effect.fnUntraced(function*(
  store: Store,
  tokens: Tokens,
  namespace: string,
  name: string,
  body: object
): Effect.fn.Return<ApiResponse, ApiError> {
  const { spec = {} }: { readonly spec?: TokenRequestSpec } = body
  const account = yield* store.get("serviceaccounts", namespace, name)
  const { boundObjectRef = null } = spec
  const audiences = spec.audiences?.length ? spec.audiences : [issuer]
  const expirationSeconds = spec.expirationSeconds ?? defaultSeconds
  if (expirationSeconds < leastSeconds || expirationSeconds > 2 ** 32) {
    const what = expirationSeconds < leastSeconds ? "less than 10 minutes" : "larger than 2^32 seconds"
    return yield* invalid("TokenRequest.authentication.k8s.io", "", [
      Rule.wrong("spec.expirationSeconds", expirationSeconds, `may not specify a duration ${what}`)
    ])
  }
  const bound = boundObjectRef === null ? {} : yield* bindingTo(store, namespace, name, boundObjectRef)
  const binding = { namespace, serviceaccount: refOf(account), ...bound }
  return json({
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp: timestamp(yield* Clock.currentTimeMillis) },
    spec: { audiences, expirationSeconds, boundObjectRef },
    status: yield* tokens.mint({ binding, audiences, expirationSeconds })
  }, 201)
})
