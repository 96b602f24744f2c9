/** Asking as somebody else, as `kubectl --as` does (`k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`). */
import { Effect } from "effect"
import { type Headers } from "./Authentication.ts"
import { authorize } from "./Authorization.ts"
import { type User } from "./Http.ts"
import { type ApiError, internalError } from "./Status.ts"
import { type Store } from "./Store.ts"
import { accountGroups } from "./Tokens.ts"

const extraPrefix = "impersonate-extra-"

const decode = (key: string): string => {
  try {
    return decodeURIComponent(key)
  } catch {
    return key
  }
}

const extraOf = (headers: Headers): Readonly<Record<string, ReadonlyArray<string>>> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, values = []]) =>
      name.startsWith(extraPrefix) ? [[decode(name.slice(extraPrefix.length)), values]] : []
    )
  )

/** The groups that the user has when none, or these, are asked for. */
const groupsOf = (name: string, account: ReadonlyArray<string> | undefined, asked: ReadonlyArray<string>) => {
  if (name === "system:anonymous") return Array.from(new Set([...asked, "system:unauthenticated"]))
  const groups = asked.length === 0 && account !== undefined ? accountGroups(account[0] ?? "") : asked
  const isTold = groups.includes("system:authenticated") || groups.includes("system:unauthenticated")
  return isTold ? groups : [...groups, "system:authenticated"]
}

/** The user that `Impersonate-` headers name, after the verb "impersonate" was granted for each of them; else `user`. */
export const impersonate = (store: Store, user: User, headers: Headers): Effect.Effect<User, ApiError> =>
  Effect.gen(function*() {
    const name = headers["impersonate-user"]?.[0] ?? ""
    const uid = headers["impersonate-uid"]?.[0] ?? ""
    const groups = headers["impersonate-group"] ?? []
    const extra = extraOf(headers)
    const extras = Object.entries(extra)
    if (name === "") {
      if (uid === "" && groups.length === 0 && extras.length === 0) return user
      return yield* internalError("a uid, groups or extra fields were to be impersonated without a user")
    }
    const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name)?.slice(1)
    const none = { verb: "impersonate", group: "", subresource: "", namespace: "", path: "" }
    const details = { ...none, group: "authentication.k8s.io" }
    const asked = [
      account === undefined
        ? { ...none, resource: "users", name }
        : { ...none, resource: "serviceaccounts", namespace: account[0] ?? "", name: account[1] ?? "" },
      ...groups.map((group) => ({ ...none, resource: "groups", name: group })),
      ...extras.flatMap(([key, values]) =>
        values.map((value) => ({ ...details, resource: "userextras", subresource: key, name: value }))
      ),
      ...(uid === "" ? [] : [{ ...details, resource: "uids", name: uid }])
    ]
    for (const one of asked) yield* authorize(store, user, one)
    return {
      name,
      groups: groupsOf(name, account, groups),
      ...(uid === "" ? {} : { uid }),
      ...(extras.length === 0 ? {} : { extra })
    }
  })
