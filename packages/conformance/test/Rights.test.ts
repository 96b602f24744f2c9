import { assert, describe, it } from "@effect/vitest"
import { CoreV1Api, KubeConfig, loadYaml, RbacAuthorizationV1Api, type V1Role } from "@kubernetes/client-node"
import { make } from "@kuberun/minicluster"
import { Effect, Schedule } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start } from "./support/Service.ts"

const namespace = "shells"

/** The Role that the README gives the service. */
const readmeRole = (): V1Role => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8")
  const [, text = ""] = /```yaml\n(apiVersion: rbac[^`]*)```/.exec(readme) ?? []
  return loadYaml<V1Role>(text)
}

/** A service that is known to the embedded cluster as a user with just these rules. */
const serviceWith = Effect.fnUntraced(function*(
  rules: (role: V1Role) => V1Role["rules"],
  options: { readonly pod?: Readonly<Record<string, unknown>>; readonly config?: Readonly<Record<string, unknown>> } =
    {}
) {
  const cluster = yield* make()
  const admin = new KubeConfig()
  admin.loadFromString(cluster.kubeconfig)
  const core = admin.makeApiClient(CoreV1Api)
  const rbac = admin.makeApiClient(RbacAuthorizationV1Api)
  const role = readmeRole()
  yield* Effect.promise(async () => {
    await core.createNamespace({ body: { metadata: { name: namespace } } })
    await rbac.createNamespacedRole({ namespace, body: { metadata: role.metadata ?? {}, rules: rules(role) ?? [] } })
    await rbac.createNamespacedRoleBinding({
      namespace,
      body: {
        metadata: { name: "kuberun" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata?.name ?? "" },
        subjects: [{ kind: "User", name: "kuberun-service" }]
      }
    })
  })
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-rights-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const kubeconfig = join(folder, "kubeconfig")
  writeFileSync(kubeconfig, yield* cluster.kubeconfigFor({ user: "kuberun-service" }))
  const service = yield* start({
    kubeconfig,
    pod: { namespace, ...options.pod },
    config: options.config ?? {},
    timeout: "20s"
  })
  const pods = Effect.map(Effect.promise(() => core.listNamespacedPod({ namespace })), ({ items }) => items)
  return { service, pods }
})

const patch = { apiGroups: [""], resources: ["pods"], verbs: ["patch"] }
const leases = {
  apiGroups: ["coordination.k8s.io"],
  resources: ["leases"],
  verbs: ["create", "list", "update", "delete"]
}
const claims = { apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["create"] }
const attach = { apiGroups: [""], resources: ["pods/attach"], verbs: ["create", "get"] }

/** What the README says that one may configure, with the rights beside the Role that it says it needs. */
const further = [
  { name: "mode session", rules: [attach], options: { pod: { mode: "session" } } },
  { name: "a pool", rules: [patch], options: { config: { pool: { size: 1 } } } },
  {
    name: "mode user with a claim",
    rules: [patch, leases, claims],
    options: { pod: { mode: "user", claim: { mountPath: "/mnt" } } }
  }
]

/** A warning of what the cluster does not allow. */
const notAllowed = /cannot \w+ resource/

describe("a service with rights of its own", () => {
  for (const { name, options, rules } of further) {
    it.live(`needs no others than the README says: ${name}`, () =>
      Effect.scoped(Effect.gen(function*() {
        const { pods, service } = yield* serviceWith((role) => [...role.rules ?? [], ...rules], options)
        const waiting = options.config === undefined ? 0 : 1
        const counts = (count: number) =>
          Effect.repeat(pods, { schedule: Schedule.spaced("50 millis"), until: (items) => items.length === count })
        yield* counts(waiting)
        const result = yield* service.run("$SSH 'echo in; exit 7'")
        assert.deepStrictEqual([result.code, result.out, result.err], [7, "in\n", ""])
        yield* counts(waiting)
        yield* service.process.signal("SIGTERM")
        assert.strictEqual(yield* service.process.exit, 0)
        yield* counts(0)
        assert.notMatch(yield* service.process.stderr, notAllowed)
      })), 60_000)
  }

  it.live("needs no others than the README says", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pods, service } = yield* serviceWith(({ rules }) => rules)
      const result = yield* service.run("$SSH 'echo in; exit 7'")
      assert.deepStrictEqual([result.code, result.out, result.err], [7, "in\n", ""])
      yield* Effect.repeat(pods, { schedule: Schedule.spaced("50 millis"), until: (items) => items.length === 0 })
    })), 60_000)

  it.live("says what it may not do, and leaves no pod", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pods, service } = yield* serviceWith(({ rules = [] }) =>
        rules.filter(({ resources }) => resources?.includes("pods/exec") !== true)
      )
      const result = yield* service.run("$SSH true")
      assert.strictEqual(result.code, 255)
      assert.match(result.err, /^[^\n]*cannot (get|create) resource "pods\/exec"[^\n]*\n$/)
      yield* Effect.repeat(pods, { schedule: Schedule.spaced("50 millis"), until: (items) => items.length === 0 })
    })), 60_000)
})
