import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { createServer, request, type RequestOptions } from "node:https"
import { TLSSocket } from "node:tls"
import { clientCertificate, type Credentials, type Headers, makeAuthentication } from "../src/access/Authentication.ts"
import { makeCertificates } from "../src/access/Certificates.ts"
import { storeDefaultRoles } from "../src/access/DefaultRoles.ts"
import { certificateKubeconfig, kubeconfig } from "../src/access/Kubeconfig.ts"
import { accountName, makeTokens } from "../src/access/Tokens.ts"
import { type User } from "../src/api/Http.ts"
import { makeStore } from "../src/api/Store.ts"

const alice: User = { name: "alice", groups: ["dev"] }
const metadata = (name: string, namespace?: string) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
  uid: `${name}-uid`,
  resourceVersion: "",
  creationTimestamp: "2026-01-01T00:00:00Z"
})

const make = Effect.gen(function*() {
  const store = yield* makeStore()
  yield* storeDefaultRoles(store)
  yield* store.create("serviceaccounts", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: metadata("robot", "default")
  })
  const tokens = makeTokens(store)
  const authenticate = makeAuthentication({ store, tokens, token: "the-admins-token" })
  const { token: robots } = yield* tokens.mint({
    binding: { namespace: "default", serviceaccount: { name: "robot", uid: "robot-uid" } },
    audiences: ["https://kubernetes.default.svc.cluster.local"],
    expirationSeconds: 600
  })
  /** The user, or the code and the message of the refusal. */
  const ask = (headers: Headers, certificate?: Credentials["certificate"], path = "/api/v1/pods") =>
    Effect.match(authenticate({ headers, certificate, path }), {
      onFailure: ({ status }) => [status.code, status.message],
      onSuccess: (user) => user
    })
  return { store, ask, robots }
})

const bearer = (token: string): Headers => ({ authorization: [`Bearer ${token}`] })
const masters = { name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] }
const unauthorized = [401, "Unauthorized"]

describe("who asks", () => {
  it.effect("is the admin by the cluster's token, an account by its own, whatever the scheme's case", () =>
    Effect.gen(function*() {
      const { ask, robots } = yield* make
      assert.deepStrictEqual(yield* ask(bearer("the-admins-token")), masters)
      assert.deepStrictEqual(yield* ask({ authorization: ["bearer  the-admins-token"] }), masters)
      const robot = yield* ask(bearer(robots))
      assert.deepInclude(robot, {
        name: "system:serviceaccount:default:robot",
        groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
      })
    }))

  it.effect("is refused with a wrong token, and without any", () =>
    Effect.gen(function*() {
      const { ask } = yield* make
      const wrong: ReadonlyArray<Headers> = [
        {},
        bearer(""),
        bearer("x"),
        bearer("the-admins-tokem"),
        bearer("\u00ff".repeat(8)),
        { authorization: ["Basic the-admins-token"] },
        { authorization: ["the-admins-token"] }
      ]
      for (const headers of wrong) assert.deepStrictEqual(yield* ask(headers), unauthorized, JSON.stringify(headers))
    }))

  it.effect("may be anybody for health and version, unless they claim to be somebody", () =>
    Effect.gen(function*() {
      const { ask } = yield* make
      const anonymous = { name: "system:anonymous", groups: ["system:unauthenticated"] }
      for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
        assert.deepStrictEqual(yield* ask({}, undefined, path), anonymous)
        assert.deepStrictEqual(yield* ask(bearer("x"), undefined, path), unauthorized)
        assert.deepStrictEqual(yield* ask({}, "untrusted", path), unauthorized)
      }
    }))

  it.effect("is the certificate's user before the token's, and the token's where the certificate is not trusted", () =>
    Effect.gen(function*() {
      const { ask } = yield* make
      const known = { name: "alice", groups: ["dev", "system:authenticated"] }
      assert.deepStrictEqual(yield* ask(bearer("the-admins-token"), alice), known)
      assert.deepStrictEqual(yield* ask(bearer("wrong"), alice), known)
      assert.deepStrictEqual(yield* ask(bearer("the-admins-token"), "untrusted"), masters)
      assert.deepStrictEqual(yield* ask({}, "untrusted"), unauthorized)
    }))
})

describe("asking as somebody else", () => {
  const as = (headers: Headers): Headers => ({ ...bearer("the-admins-token"), ...headers })

  it.effect("is being that user, known and in no groups but those named", () =>
    Effect.gen(function*() {
      const { ask } = yield* make
      assert.deepStrictEqual(yield* ask(as({ "impersonate-user": ["bob"] })), {
        name: "bob",
        groups: ["system:authenticated"]
      })
      assert.deepStrictEqual(
        yield* ask(as({
          "impersonate-user": ["bob"],
          "impersonate-group": ["dev", "ops"],
          "impersonate-uid": ["7"],
          "impersonate-extra-example.com%2fscope": ["a", "b"]
        })),
        {
          name: "bob",
          uid: "7",
          groups: ["dev", "ops", "system:authenticated"],
          extra: { "example.com/scope": ["a", "b"] }
        }
      )
      assert.deepStrictEqual(yield* ask(as({ "impersonate-user": ["system:anonymous"] })), {
        name: "system:anonymous",
        groups: ["system:unauthenticated"]
      })
    }))

  it.effect("gives a service account its groups, unless others are named", () =>
    Effect.gen(function*() {
      const { ask } = yield* make
      assert.deepStrictEqual(yield* ask(as({ "impersonate-user": [accountName("a", "b")] })), {
        name: "system:serviceaccount:a:b",
        groups: ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]
      })
      const told = as({ "impersonate-user": [accountName("a", "b")], "impersonate-group": ["dev"] })
      assert.deepInclude(yield* ask(told), { groups: ["dev", "system:authenticated"] })
    }))

  it.effect("needs a user when there are groups", () =>
    Effect.gen(function*() {
      const { ask } = yield* make
      const answer = yield* ask(as({ "impersonate-group": ["dev"] }))
      assert.strictEqual(Array.isArray(answer) ? answer[0] : undefined, 500)
    }))

  it.effect("needs the verb impersonate for the user, each group, the uid and every extra field", () =>
    Effect.gen(function*() {
      const { ask, store } = yield* make
      const headers: Headers = {
        "impersonate-user": ["bob"],
        "impersonate-group": ["dev"],
        "impersonate-uid": ["7"],
        "impersonate-extra-scope": ["a"]
      }
      const needed = [
        [
          "",
          "users",
          "bob",
          "users \"bob\" is forbidden: User \"alice\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
        ],
        [
          "",
          "groups",
          "dev",
          "groups \"dev\" is forbidden: User \"alice\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope"
        ],
        [
          "authentication.k8s.io",
          "userextras/scope",
          "a",
          "userextras.authentication.k8s.io \"a\" is forbidden: User \"alice\" cannot impersonate resource \"userextras/scope\" in API group \"authentication.k8s.io\" at the cluster scope"
        ],
        [
          "authentication.k8s.io",
          "uids",
          "7",
          "uids.authentication.k8s.io \"7\" is forbidden: User \"alice\" cannot impersonate resource \"uids\" in API group \"authentication.k8s.io\" at the cluster scope"
        ]
      ] as const
      for (const [group, resource, name, message] of needed) {
        assert.deepStrictEqual(yield* ask(headers, alice), [403, message])
        const id = resource.replace("/", "-")
        const apiGroup = "rbac.authorization.k8s.io"
        yield* store.create("clusterroles", {
          apiVersion: `${apiGroup}/v1`,
          kind: "ClusterRole",
          metadata: metadata(id),
          rules: [{ verbs: ["impersonate"], apiGroups: [group], resources: [resource], resourceNames: [name] }]
        })
        yield* store.create("clusterrolebindings", {
          apiVersion: `${apiGroup}/v1`,
          kind: "ClusterRoleBinding",
          metadata: metadata(id),
          roleRef: { apiGroup, kind: "ClusterRole", name: id },
          subjects: [{ kind: "User", name: "alice" }]
        })
      }
      assert.deepInclude(yield* ask(headers, alice), { name: "bob", uid: "7" })
      const other = yield* ask({ ...headers, "impersonate-group": ["dev", "ops"] }, alice)
      assert.strictEqual(Array.isArray(other) ? other[0] : undefined, 403)
    }))

  it.effect("is granted for the accounts of one namespace by edit there", () =>
    Effect.gen(function*() {
      const { ask, store } = yield* make
      const apiGroup = "rbac.authorization.k8s.io"
      yield* store.create("rolebindings", {
        apiVersion: `${apiGroup}/v1`,
        kind: "RoleBinding",
        metadata: metadata("alice", "default"),
        roleRef: { apiGroup, kind: "ClusterRole", name: "edit" },
        subjects: [{ kind: "User", name: "alice" }]
      })
      const robot = yield* ask({ "impersonate-user": [accountName("default", "robot")] }, alice)
      assert.deepInclude(robot, { name: "system:serviceaccount:default:robot" })
      assert.deepStrictEqual(yield* ask({ "impersonate-user": [accountName("other", "robot")] }, alice), [
        403,
        "serviceaccounts \"robot\" is forbidden: User \"alice\" cannot impersonate resource \"serviceaccounts\" in API " +
        "group \"\" in the namespace \"other\""
      ])
    }))
})

describe("a client's certificate", () => {
  /** A server that tells what it makes of the certificate of whoever calls it. */
  const serve = Effect.gen(function*() {
    const certificates = yield* makeCertificates("127.0.0.1")
    const server = createServer({
      cert: certificates.certificate,
      key: certificates.privateKey,
      ca: certificates.authority,
      requestCert: true,
      rejectUnauthorized: false
    }, ({ socket }, response) => {
      const found = socket instanceof TLSSocket ? clientCertificate(socket) : undefined
      response.end(JSON.stringify({ found }))
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () => Effect.sync(() => server.close())
    )
    const address = server.address()
    const port = typeof address === "object" ? address?.port : 0
    const call = (options: RequestOptions): Effect.Effect<unknown> =>
      Effect.callback((resume) => {
        const sent = request({ host: "127.0.0.1", port, ca: certificates.authority, agent: false, ...options })
        sent.on("error", (error) => resume(Effect.die(error)))
        sent.on("response", (response) => {
          let text = ""
          response.on("data", (piece) => {
            text += String(piece)
          })
          response.on("end", () => resume(Effect.sync((): unknown => JSON.parse(text).found)))
        })
        sent.end()
      })
    return { certificates, call }
  })

  it.live("names user and groups, letter by letter", () =>
    Effect.gen(function*() {
      const { call, certificates } = yield* serve
      for (
        const [name, groups] of [
          ["alice", []],
          ["alice, O=system:masters", ["dev"]],
          ["CN=x\"y\\z+O=w", ["grün", "a:b", "dev"]]
        ] as const
      ) {
        const { certificate, privateKey } = yield* certificates.issueClient(name, groups)
        const found = yield* call({ cert: certificate, key: privateKey })
        assert.deepInclude(found, { name, groups: [...groups] })
      }
    }))

  it.live("counts only when this cluster made it, for clients", () =>
    Effect.gen(function*() {
      const { call, certificates } = yield* serve
      assert.isUndefined(yield* call({}))
      const other = yield* makeCertificates("127.0.0.1")
      const { certificate, privateKey } = yield* other.issueClient("eve", ["system:masters"])
      assert.strictEqual(yield* call({ cert: certificate, key: privateKey }), "untrusted")
      const server = { cert: certificates.certificate, key: certificates.privateKey }
      assert.strictEqual(yield* call(server), "untrusted")
    }))
})

describe("a kubeconfig", () => {
  it("holds a token as it is, and names that YAML would read otherwise in quotes", () => {
    const text = kubeconfig({
      url: "https://x",
      authority: "PEM",
      user: { name: "a: b", token: "t-1_2" },
      namespace: "1"
    })
    assert.match(text, /^ {4}token: t-1_2$/m)
    assert.strictEqual(text.match(/"a: b"/g)?.length, 2)
    assert.match(text, /namespace: "1"/)
  })

  it.live("of a user holds a certificate and its key, and no token", () =>
    Effect.gen(function*() {
      const certificates = yield* makeCertificates("127.0.0.1")
      const text = yield* certificateKubeconfig({ url: "https://x", certificates, user: "alice", groups: ["dev"] })
      const part = (name: string) =>
        Buffer.from(new RegExp(`${name}-data: (\\S+)`).exec(text)?.[1] ?? "", "base64").toString()
      assert.strictEqual(part("certificate-authority"), certificates.authority)
      assert.include(part("client-certificate"), "BEGIN CERTIFICATE")
      assert.include(part("client-key"), "BEGIN PRIVATE KEY")
      assert.notInclude(text, "token:")
    }))
})
