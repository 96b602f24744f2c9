/** Asking as somebody else, as `kubectl --as` does (`k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`). */
import { Effect } from "effect"
import { type User } from "../api/Http.ts"
import { type ApiError, internalError } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type Headers } from "./Authentication.ts"
import { type Attributes, authorize, none } from "./Authorization.ts"
import { accountGroups } from "./Tokens.ts"

const extraPrefix = "impersonate-extra-"

/** Percent signs that encode nothing stand for themselves. */
const decode = (key: string): string => key.replace(/%[0-7][0-9a-f]/gi, (found) => decodeURIComponent(found))

const groupsOf = (name: string, namespace: string | undefined, asked: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (name === "system:anonymous") return [...asked, "system:unauthenticated"]
  const groups = asked.length === 0 && namespace !== undefined ? accountGroups(namespace) : asked
  return groups.some((group) => /^system:(un)?authenticated$/.test(group))
    ? groups
    : [...groups, "system:authenticated"]
}

/** The user that `Impersonate-` headers name, after the verb "impersonate" was granted for each of them; else `user`. */
export const impersonate = (store: Store, user: User, headers: Headers): Effect.Effect<User, ApiError> =>
  Effect.gen(function*() {
    const [name = ""] = headers["impersonate-user"] ?? []
    const [uid = ""] = headers["impersonate-uid"] ?? []
    const groups = headers["impersonate-group"] ?? []
    const extras = Object.entries(headers).flatMap(([key, values = []]) =>
      key.startsWith(extraPrefix) ? [[decode(key.slice(extraPrefix.length)), values] as const] : []
    )
    if (name === "") {
      if (uid === "" && groups.length === 0 && extras.length === 0) return user
      return yield* internalError("a uid, groups or extra fields were to be impersonated without a user")
    }
    const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? []
    const group = "authentication.k8s.io"
    const asked: ReadonlyArray<Partial<Attributes>> = [
      namespace === undefined || account === undefined
        ? { resource: "users", name }
        : { resource: "serviceaccounts", namespace, name: account },
      ...groups.map((name) => ({ resource: "groups", name })),
      ...extras.flatMap(([subresource, values]) =>
        values.map((name) => ({ group, resource: "userextras", subresource, name }))
      ),
      ...(uid === "" ? [] : [{ group, resource: "uids", name: uid }])
    ]
    for (const one of asked) yield* authorize(store, user, { ...none, verb: "impersonate", ...one })
    return {
      name,
      groups: groupsOf(name, namespace, groups),
      ...(uid === "" ? {} : { uid }),
      ...(extras.length === 0 ? {} : { extra: Object.fromEntries(extras) })
    }
  })
