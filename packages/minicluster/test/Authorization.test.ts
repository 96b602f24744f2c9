import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { keepAggregated } from "../src/access/Aggregation.ts"
import { type Attributes, authorize, decide, streamVerbs } from "../src/access/Authorization.ts"
import { storeDefaultRoles } from "../src/access/DefaultRoles.ts"
import { checkEscalation } from "../src/access/Escalation.ts"
import { type User } from "../src/api/Http.ts"
import { makeStore, type Store } from "../src/api/Store.ts"
import { type PolicyRule, type Role, type RoleBinding } from "../src/shapes/Roles.ts"

const group = "rbac.authorization.k8s.io"
const asked: Attributes = { verb: "get", group: "", resource: "", subresource: "", namespace: "", name: "", path: "" }
const inDefault = { ...asked, resource: "pods", namespace: "default" }
const alice: User = { name: "alice", groups: ["dev", "system:authenticated"] }

const metadata = (name: string, namespace?: string, labels = {}) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
  labels,
  uid: name,
  resourceVersion: "",
  creationTimestamp: "2026-01-01T00:00:00Z"
})

const role = (name: string, rules: ReadonlyArray<PolicyRule>, namespace?: string, more: Partial<Role> = {}): Role => ({
  apiVersion: `${group}/v1`,
  kind: namespace === undefined ? "ClusterRole" : "Role",
  metadata: metadata(name, namespace),
  rules,
  ...more
})

type Subjects = NonNullable<RoleBinding["subjects"]>

const binding = (
  name: string,
  kind: string,
  roleName: string,
  subjects: Subjects,
  namespace?: string
): RoleBinding => ({
  apiVersion: `${group}/v1`,
  kind: namespace === undefined ? "ClusterRoleBinding" : "RoleBinding",
  metadata: metadata(name, namespace),
  roleRef: { apiGroup: group, kind, name: roleName },
  subjects
})

const addRole = (store: Store, one: Role) =>
  store.create(one.metadata.namespace === undefined ? "clusterroles" : "roles", one)
const addBinding = (store: Store, one: RoleBinding) =>
  store.create(one.metadata.namespace === undefined ? "clusterrolebindings" : "rolebindings", one)

const readPods: PolicyRule = { verbs: ["get", "list"], apiGroups: [""], resources: ["pods/log", "pods"] }
const toUser = (name: string): Subjects => [{ kind: "User", name }]

const storeWith = Effect.fnUntraced(function*(...objects: ReadonlyArray<Role | RoleBinding>) {
  const store = yield* makeStore()
  for (const one of objects) yield* "roleRef" in one ? addBinding(store, one) : addRole(store, one)
  return store
})

/** The refusal's status, or nothing when it is allowed. */
const refusalOf = (store: Store, user: User, attributes: Attributes) =>
  Effect.match(authorize(store, user, attributes), { onFailure: ({ status }) => status, onSuccess: () => undefined })

const messageOf = (store: Store, user: User, attributes: Attributes) =>
  Effect.map(refusalOf(store, user, attributes), (status) => status?.message)

// A small world, in which everything that a rule can name can be listed.
const verbs = ["get", "list", "create"]
const groups = ["", "apps"]
const resources = ["pods", "secrets", "pods/exec", "secrets/exec", "pods/log"]
const names = ["", "a", "b"]
const paths = ["/api", "/apis", "/apis/x", "/version"]
const users: ReadonlyArray<User> = [
  { name: "alice", groups: ["dev"] },
  { name: "bob", groups: ["dev", "ops"] },
  { name: "system:serviceaccount:one:robot", groups: ["system:serviceaccounts"] },
  { name: "system:serviceaccount:two:robot", groups: ["system:serviceaccounts"] }
]
const namespaces = ["one", "two"]

const subset = (of: ReadonlyArray<string>, maxLength = 2) =>
  Schema.Array(Schema.Literals(of)).check(Schema.isMaxLength(maxLength))
const ruleSchema = Schema.Struct({
  verbs: subset([...verbs, "*"]),
  apiGroups: subset([...groups, "*"]),
  resources: subset([...resources, "*", "*/exec", "*/log"]),
  resourceNames: subset(["a", "b"], 1),
  nonResourceURLs: subset([...paths, "*", "/api*", "/apis/*"])
})
const subjectSchema = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("User"), name: Schema.Literals(users.map(({ name }) => name)) }),
  Schema.Struct({ kind: Schema.Literal("Group"), name: Schema.Literals(["dev", "ops", "system:serviceaccounts"]) }),
  Schema.Struct({ kind: Schema.Literal("ServiceAccount"), name: Schema.Literal("robot") }),
  Schema.Struct({
    kind: Schema.Literal("ServiceAccount"),
    name: Schema.Literal("robot"),
    namespace: Schema.Literals(namespaces)
  })
])
const bindingSchema = Schema.Struct({
  /** "" for the whole cluster. */
  within: Schema.Literals(["", ...namespaces]),
  /** Which role, of the cluster or of the namespace. */
  role: Schema.Literals([0, 1, 2]),
  isClusterRole: Schema.Boolean,
  subjects: Schema.Array(subjectSchema).check(Schema.isMaxLength(2))
})

/** Every request that a rule allows, written out: the wildcards are replaced by all that they stand for. */
const requestsOf = (rule: PolicyRule): ReadonlyArray<string> => {
  const all = (list: ReadonlyArray<string>, world: ReadonlyArray<string>) =>
    list.flatMap((one) =>
      one === "*"
        ? world
        : one.startsWith("*/")
        ? world.filter((other) => other.split("/")[1] === one.slice(2))
        : one.endsWith("*")
        ? world.filter((other) => other.startsWith(one.slice(0, -1)))
        : [one]
    )
  const named = (rule.resourceNames ?? []).length === 0 ? names : rule.resourceNames ?? []
  return all(rule.verbs, verbs).flatMap((verb) => [
    ...all(rule.apiGroups ?? [], groups).flatMap((group) =>
      all(rule.resources ?? [], resources).flatMap((resource) =>
        named.map((name) => [verb, group, resource, name].join(" "))
      )
    ),
    ...all(rule.nonResourceURLs ?? [], paths).map((path) => `${verb} ${path}`)
  ])
}

describe("the authoriser", () => {
  it.effect.prop("allows just what the rules, written out one by one, allow", {
    clusterRoles: Schema.Tuple([ruleSchema, ruleSchema]),
    roles: Schema.Tuple([ruleSchema, ruleSchema]),
    bindings: Schema.Array(bindingSchema).check(Schema.isMaxLength(4))
  }, ({ bindings, clusterRoles, roles }) =>
    Effect.gen(function*() {
      // The third role that a binding may refer to does not exist; nor does a role of a namespace in the cluster.
      const store = yield* storeWith(
        ...clusterRoles.map((rule, index) => role(String(index), [rule])),
        ...namespaces.flatMap((namespace) => roles.map((rule, index) => role(String(index), [rule], namespace))),
        ...bindings.map(({ isClusterRole, role, subjects, within }, index) =>
          binding(`b${index}`, isClusterRole ? "ClusterRole" : "Role", String(role), subjects, within || undefined)
        )
      )
      for (const user of users) {
        const held = bindings.filter(({ subjects, within }) =>
          subjects.some((subject) =>
            subject.kind === "User"
              ? subject.name === user.name
              : subject.kind === "Group"
              ? user.groups.includes(subject.name)
              : user.name === `system:serviceaccount:${"namespace" in subject ? subject.namespace : within}:robot`
          )
        )
        const allowedIn = (namespace: string) =>
          new Set(
            held.filter(({ within }) => within === "" || within === namespace).flatMap((one) => {
              const all: ReadonlyArray<PolicyRule> = one.isClusterRole ? clusterRoles : one.within === "" ? [] : roles
              const rule = all[one.role]
              return rule === undefined ? [] : requestsOf(rule)
            })
          )
        for (const namespace of ["", ...namespaces]) {
          const allowed = allowedIn(namespace)
          const check = Effect.fnUntraced(function*(attributes: Attributes, key: string) {
            const decision = yield* decide(store, user, attributes)
            assert.strictEqual(decision.allowed, allowed.has(key), `${user.name} in "${namespace}": ${key}`)
          })
          for (const verb of verbs) {
            for (const group of groups) {
              for (const path of resources) {
                const [resource = "", subresource = ""] = path.split("/")
                for (const name of names) {
                  yield* check(
                    { verb, group, resource, subresource, namespace, name, path: "" },
                    [verb, group, path, name].join(" ")
                  )
                }
              }
            }
            if (namespace === "") {
              for (const path of paths) yield* check({ ...asked, verb, path }, `${verb} ${path}`)
            }
          }
        }
      }
    }), { arbitrary: { runs: 60 } })

  it.effect("refuses in the sentences of a real server", () =>
    Effect.gen(function*() {
      const store = yield* storeWith()
      const say = (changes: Partial<Attributes>) => refusalOf(store, alice, { ...asked, ...changes })
      const listed = yield* say({ verb: "list", resource: "pods", namespace: "default" })
      assert.deepStrictEqual(listed, {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        message:
          "pods is forbidden: User \"alice\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
        reason: "Forbidden",
        details: { kind: "pods" },
        code: 403
      })
      const exec = yield* say({ verb: "create", resource: "pods", subresource: "exec", namespace: "a", name: "x" })
      assert.strictEqual(
        exec?.message,
        "pods \"x\" is forbidden: User \"alice\" cannot create resource \"pods/exec\" in API group \"\" in the namespace \"a\""
      )
      assert.deepStrictEqual(exec?.details, { name: "x", kind: "pods" })
      const cluster = yield* say({ verb: "delete", group, resource: "clusterroles", name: "view" })
      assert.strictEqual(
        cluster?.message,
        "clusterroles.rbac.authorization.k8s.io \"view\" is forbidden: User \"alice\" cannot delete resource " +
          "\"clusterroles\" in API group \"rbac.authorization.k8s.io\" at the cluster scope"
      )
      assert.deepStrictEqual(cluster?.details, { name: "view", group, kind: "clusterroles" })
      const path = yield* say({ path: "/metrics" })
      assert.strictEqual(path?.message, "forbidden: User \"alice\" cannot get path \"/metrics\"")
      assert.deepStrictEqual(path?.details, {})
    }))

  it.effect("says which binding allows, and which role that is bound is not there", () =>
    Effect.gen(function*() {
      const robot: User = { name: "system:serviceaccount:default:robot", groups: [] }
      const store = yield* storeWith(
        role("reader", [readPods]),
        role("local", [readPods], "default"),
        binding("all", "ClusterRole", "reader", toUser("alice")),
        binding("here", "Role", "local", [{ kind: "ServiceAccount", name: "robot" }], "default"),
        binding("broken", "ClusterRole", "gone", toUser("bob")),
        binding("broken", "Role", "lost", toUser("bob"), "default")
      )
      assert.deepStrictEqual(yield* decide(store, alice, inDefault), {
        allowed: true,
        reason: "RBAC: allowed by ClusterRoleBinding \"all\" of ClusterRole \"reader\" to User \"alice\""
      })
      assert.strictEqual(
        (yield* decide(store, robot, inDefault)).reason,
        "RBAC: allowed by RoleBinding \"here/default\" of Role \"local\" to ServiceAccount \"robot/default\""
      )
      assert.strictEqual(
        yield* messageOf(store, { name: "bob", groups: [] }, inDefault),
        "pods is forbidden: User \"bob\" cannot get resource \"pods\" in API group \"\" in the namespace \"default\": " +
          "RBAC: [clusterrole.rbac.authorization.k8s.io \"gone\" not found, role.rbac.authorization.k8s.io \"lost\" not found]"
      )
    }))

  it.effect("asks nothing of system:masters, whatever is bound", () =>
    Effect.gen(function*() {
      const store = yield* storeWith()
      const master: User = { name: "x", groups: ["system:masters"] }
      assert.deepStrictEqual(yield* decide(store, master, inDefault), { allowed: true, reason: "" })
      assert.isFalse((yield* decide(store, { name: "system:masters", groups: [] }, inDefault)).allowed)
    }))

  it.effect("sees a binding that was made, and one that was taken away, at once", () =>
    Effect.gen(function*() {
      const store = yield* storeWith(role("reader", [readPods]))
      assert.isFalse((yield* decide(store, alice, inDefault)).allowed)
      yield* addBinding(store, binding("one", "ClusterRole", "reader", [{ kind: "Group", name: "dev" }], "default"))
      assert.isTrue((yield* decide(store, alice, inDefault)).allowed)
      assert.isFalse((yield* decide(store, alice, { ...inDefault, namespace: "other" })).allowed)
      yield* store.remove("rolebindings", "default", "one")
      assert.isFalse((yield* decide(store, alice, inDefault)).allowed)
    }))

  it("lets a WebSocket in only where a POST would be", () => {
    assert.deepStrictEqual([streamVerbs("GET"), streamVerbs("POST")], [["get", "create"], ["create"]])
  })
})

describe("the default roles", () => {
  const may = (as: string, changes: Partial<Attributes>) =>
    Effect.gen(function*() {
      const store = yield* storeWith(binding("alice", "ClusterRole", as, toUser("alice"), "default"))
      yield* storeDefaultRoles(store)
      return (yield* decide(store, alice, { ...inDefault, ...changes })).allowed
    })
  const exec = { verb: "create", subresource: "exec" }
  const secrets = { resource: "secrets" }
  const roles = { verb: "create", group, resource: "roles" }

  it.effect("view reads, edit writes, admin grants: each has what the one before it has", () =>
    Effect.gen(function*() {
      const table = [
        [{}, true, true, true],
        [{ verb: "watch", subresource: "log" }, true, true, true],
        [secrets, false, true, true],
        [exec, false, true, true],
        [{ verb: "delete" }, false, true, true],
        [{ verb: "create", subresource: "eviction" }, false, true, true],
        [{ verb: "create", resource: "serviceaccounts", subresource: "token" }, false, true, true],
        [{ verb: "impersonate", resource: "serviceaccounts" }, false, true, true],
        [{ verb: "create", group: "coordination.k8s.io", resource: "leases" }, false, true, true],
        [roles, false, false, true],
        [{ resource: "nodes" }, false, false, false],
        [{ namespace: "other" }, false, false, false]
      ] as const
      for (const [attributes, ...expected] of table) {
        for (const [index, name] of ["view", "edit", "admin"].entries()) {
          assert.strictEqual(yield* may(name, attributes), expected[index], `${name}: ${JSON.stringify(attributes)}`)
        }
      }
      assert.isTrue(yield* may("cluster-admin", { resource: "nodes", verb: "delete" }))
    }))

  it.effect("everybody may ask about themselves and read the discovery; nobody known, only health and version", () =>
    Effect.gen(function*() {
      const store = yield* storeWith()
      yield* storeDefaultRoles(store)
      const nobody: User = { name: "system:anonymous", groups: ["system:unauthenticated"] }
      const review = { ...asked, verb: "create", group: "authorization.k8s.io", resource: "selfsubjectaccessreviews" }
      const table: ReadonlyArray<readonly [Attributes, boolean, boolean]> = [
        [{ ...asked, path: "/version" }, true, true],
        [{ ...asked, path: "/readyz" }, true, true],
        [{ ...asked, path: "/apis/apps/v1" }, true, false],
        [{ ...asked, path: "/metrics" }, false, false],
        [review, true, false],
        [inDefault, false, false]
      ]
      for (const [attributes, known, unknown] of table) {
        const decisions = yield* Effect.all([decide(store, alice, attributes), decide(store, nobody, attributes)])
        assert.deepStrictEqual(decisions.map(({ allowed }) => allowed), [known, unknown], JSON.stringify(attributes))
      }
    }))

  it.effect(
    "a role that is labelled for view is in view, edit and admin, until it is deleted",
    () =>
      Effect.gen(function*() {
        const store = yield* storeWith()
        yield* storeDefaultRoles(store)
        const rulesOf = (name: string) => Effect.map(store.get("clusterroles", "", name), ({ rules }) => rules ?? [])
        const before = yield* Effect.all(["view", "edit", "admin"].map(rulesOf))
        yield* keepAggregated(store)
        const rule: PolicyRule = { verbs: ["get"], apiGroups: ["example.com"], resources: ["things"] }
        const labels = { "rbac.authorization.k8s.io/aggregate-to-view": "true" }
        const settled = (length: number) =>
          Effect.repeat(Effect.andThen(Effect.yieldNow, rulesOf("admin")), {
            until: (rules) => rules.length === (before[2]?.length ?? 0) + length
          })
        yield* addRole(store, role("more", [rule], undefined, { metadata: metadata("more", undefined, labels) }))
        yield* settled(1)
        for (const name of ["view", "edit", "admin"]) assert.deepInclude(yield* rulesOf(name), rule)
        yield* store.remove("clusterroles", "", "more")
        yield* settled(0)
        assert.deepStrictEqual(yield* Effect.all(["view", "edit", "admin"].map(rulesOf)), before)
      }),
    20_000
  )

  it.effect("an aggregated role is selected by expressions, too", () =>
    Effect.gen(function*() {
      const labelled = (name: string, labels: object, verb: string) =>
        role(name, [{ ...readPods, verbs: [verb] }], undefined, { metadata: metadata(name, undefined, labels) })
      const gathering = (key: string, operator: string, values: ReadonlyArray<string> = []) =>
        role("all", [], undefined, {
          aggregationRule: { clusterRoleSelectors: [{ matchExpressions: [{ key, operator, values }] }] }
        })
      const cases = [
        [gathering("tier", "In", ["a"]), ["one"]],
        [gathering("tier", "NotIn", ["a"]), ["three", "two"]],
        [gathering("tier", "Exists"), ["one", "two"]],
        [gathering("tier", "DoesNotExist"), ["three"]]
      ] as const
      for (const [all, expected] of cases) {
        const store = yield* storeWith(
          all,
          labelled("one", { tier: "a" }, "one"),
          labelled("two", { tier: "b" }, "two"),
          labelled("three", {}, "three")
        )
        yield* keepAggregated(store)
        const { rules } = yield* Effect.repeat(Effect.andThen(Effect.yieldNow, store.get("clusterroles", "", "all")), {
          until: ({ rules }) => rules?.length === expected.length
        })
        assert.deepStrictEqual(rules?.flatMap(({ verbs }) => verbs), [...expected])
      }
    }), 20_000)
})

describe("whoever writes roles and bindings", () => {
  const manager = role("manager", [{
    verbs: ["create", "update"],
    apiGroups: [group],
    resources: ["roles", "rolebindings"]
  }])
  const base = [manager, binding("manager", "ClusterRole", "manager", toUser("alice"))]
  const check = (store: Store, next: Role | RoleBinding, isNew = true) =>
    Effect.match(
      checkEscalation(
        store,
        alice,
        "roleRef" in next ? "rolebindings" : next.kind === "Role" ? "roles" : "clusterroles",
        next,
        isNew
      ),
      { onFailure: ({ status }) => [status.code, status.message], onSuccess: () => [200] }
    )
  const wanted = role("r", [readPods, { verbs: ["get"], nonResourceURLs: ["/x"] }], "default")

  it.effect("grants no more than they hold, and is told what is missing", () =>
    Effect.gen(function*() {
      const store = yield* storeWith(...base)
      const [code, message] = yield* check(store, role("r", [readPods], "default"))
      assert.strictEqual(code, 403)
      assert.strictEqual(
        message,
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"alice\" (groups=[\"dev\" \"system:authenticated\"]) " +
          "is attempting to grant RBAC permissions not currently held:\n" +
          "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}\n" +
          "{APIGroups:[\"\"], Resources:[\"pods/log\"], Verbs:[\"get\" \"list\"]}"
      )
      yield* addRole(store, role("some", [{ ...readPods, resources: ["*"], verbs: ["get"] }]))
      yield* addBinding(store, binding("some", "ClusterRole", "some", toUser("alice")))
      const [, second] = yield* check(store, wanted)
      assert.deepStrictEqual(String(second).split("\n").slice(1), [
        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}",
        "{APIGroups:[\"\"], Resources:[\"pods/log\"], Verbs:[\"list\"]}",
        "{NonResourceURLs:[\"/x\"], Verbs:[\"get\"]}"
      ])
    }))

  it.effect("grants what they hold, by any rule that covers it", () =>
    Effect.gen(function*() {
      const held: PolicyRule = { verbs: ["*"], apiGroups: ["*"], resources: ["pods", "*/log"], nonResourceURLs: ["/*"] }
      const store = yield* storeWith(
        ...base,
        role("held", [held]),
        binding("held", "ClusterRole", "held", toUser("alice"))
      )
      assert.deepStrictEqual(yield* check(store, wanted), [200])
      const named = (names: ReadonlyArray<string>) => role("r", [{ ...readPods, resourceNames: names }], "default")
      assert.deepStrictEqual(yield* check(store, named(["a"])), [200])
      assert.strictEqual((yield* check(store, role("r", [{ ...readPods, resources: ["*"] }], "default")))[0], 403)
    }))

  it.effect("holds a name, and grants that one only", () =>
    Effect.gen(function*() {
      const held = { ...readPods, resourceNames: ["a"] }
      const store = yield* storeWith(
        ...base,
        role("held", [held]),
        binding("held", "ClusterRole", "held", toUser("alice"))
      )
      const named = (names: ReadonlyArray<string>) => role("r", [{ ...readPods, resourceNames: names }], "default")
      assert.deepStrictEqual(yield* check(store, named(["a"])), [200])
      assert.strictEqual((yield* check(store, named(["a", "b"])))[0], 403)
      assert.strictEqual((yield* check(store, role("r", [readPods], "default")))[0], 403)
    }))

  it.effect("may with the verbs escalate and bind, for those roles that they name", () =>
    Effect.gen(function*() {
      const verbs = (verb: string, resource: string): PolicyRule => ({
        verbs: [verb],
        apiGroups: [group],
        resources: [resource],
        resourceNames: ["r"]
      })
      const store = yield* storeWith(
        ...base,
        wanted,
        role("other", [readPods], "default"),
        role("free", [verbs("escalate", "roles"), verbs("bind", "roles")]),
        binding("free", "ClusterRole", "free", toUser("alice"))
      )
      const bind = (name: string) => binding("b", "Role", name, toUser("bob"), "default")
      assert.deepStrictEqual(yield* check(store, bind("r")), [200])
      assert.strictEqual((yield* check(store, bind("other")))[0], 403)
      assert.strictEqual((yield* check(store, bind("gone")))[0], 404)
      // A role that is not yet there has no name to be authorised by.
      assert.strictEqual((yield* check(store, wanted))[0], 403)
      assert.deepStrictEqual(yield* check(store, wanted, false), [200])
    }))

  it.effect("is not asked for other resources", () =>
    Effect.gen(function*() {
      yield* checkEscalation(yield* storeWith(...base), alice, "configmaps", wanted, true)
    }))

  it.effect("gathers by labels only with all rights", () =>
    Effect.gen(function*() {
      const store = yield* storeWith(...base)
      const [code, message] = yield* check(store, role("c", [], undefined, { aggregationRule: {} }))
      assert.strictEqual(code, 403)
      assert.strictEqual(String(message).split("\n")[1], "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}")
    }))
})
