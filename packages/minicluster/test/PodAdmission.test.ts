import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { admit } from "../src/api/PodAdmission.ts"
import { makeStore, type Store } from "../src/api/Store.ts"
import { at, listOf } from "../src/shapes/Json.ts"
import { type KubeObject, type Pod } from "../src/shapes/Objects.ts"
import { createCauses, withDefaults } from "../src/shapes/Validation.ts"

const user = { name: "jane", groups: [] }
const metadata = (name: string) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "",
  creationTimestamp: ""
})
const podOf = (spec: object): KubeObject =>
  withDefaults("pods", { apiVersion: "v1", kind: "Pod", metadata: metadata("p"), spec } as KubeObject)
const container = (more: object = {}) => ({ name: "a", image: "busybox:1", ...more })
const account = (name: string, more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: metadata(name),
  ...more
})
const withStore = <A, E>(test: (store: Store) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const store = yield* makeStore()
    const { namespace: _, ...own } = metadata("default")
    yield* store.create("namespaces", { apiVersion: "v1", kind: "Namespace", metadata: own })
    yield* store.create("serviceaccounts", account("default"))
    return yield* test(store)
  })
const refusal = (store: Store, object: KubeObject) =>
  Effect.map(Effect.flip(admit(store, "pods", object, user)), ({ status }) => [status.code, status.message])

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"

describe("a pod that is admitted", () => {
  it.effect("finds its account's token in every container that has nothing else in that place", () =>
    withStore((store) =>
      Effect.gen(function*() {
        const own = [{ name: "mine", mountPath: tokenPath }]
        const pod = yield* admit(
          store,
          "pods",
          podOf({
            volumes: [{ name: "mine" }],
            initContainers: [container({ name: "i" })],
            containers: [container(), container({ name: "b", volumeMounts: own })]
          }),
          user
        )
        const [, volume] = listOf(at(pod, "spec", "volumes"))
        assert.match(String(at(volume, "name")), /^kube-api-access-[a-z0-9]{5}$/)
        assert.deepStrictEqual(at(volume, "projected"), {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
            { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
            {
              downwardAPI: {
                items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }]
              }
            }
          ]
        })
        const mount = [{ name: at(volume, "name"), readOnly: true, mountPath: tokenPath }]
        assert.deepStrictEqual(at(pod, "spec", "initContainers", 0, "volumeMounts"), mount)
        assert.deepStrictEqual(at(pod, "spec", "containers", 0, "volumeMounts"), mount)
        assert.deepStrictEqual(at(pod, "spec", "containers", 1, "volumeMounts"), own)
        assert.deepStrictEqual(createCauses("pods", pod), [])
        // What was admitted is admitted again as it is.
        assert.deepStrictEqual(yield* admit(store, "pods", withDefaults("pods", pod), user), pod)
      })
    ))

  it.effect("finds no token where the pod or its account wants none, and the pod has the last word", () =>
    withStore((store) =>
      Effect.gen(function*() {
        yield* store.create(
          "serviceaccounts",
          account("shy", { automountServiceAccountToken: false, imagePullSecrets: [{ name: "s" }] })
        )
        const volumes = (spec: object) =>
          Effect.map(admit(store, "pods", podOf({ containers: [container()], ...spec }), user), (pod) =>
            (pod as Pod).spec.volumes?.length ?? 0)
        assert.strictEqual(yield* volumes({ automountServiceAccountToken: false }), 0)
        assert.strictEqual(yield* volumes({ serviceAccountName: "shy" }), 0)
        assert.strictEqual(yield* volumes({ serviceAccountName: "shy", automountServiceAccountToken: true }), 1)
        const pod = yield* admit(store, "pods", podOf({ containers: [container()], serviceAccountName: "shy" }), user)
        assert.deepStrictEqual(at(pod, "spec", "imagePullSecrets"), [{ name: "s" }])
        const own = { serviceAccountName: "shy", imagePullSecrets: [{ name: "own" }] }
        const proud = yield* admit(store, "pods", podOf({ containers: [container()], ...own }), user)
        assert.deepStrictEqual(at(proud, "spec", "imagePullSecrets"), own.imagePullSecrets)
        const plain = yield* admit(store, "pods", podOf({ containers: [container()] }), user)
        assert.notProperty(at(plain, "spec"), "imagePullSecrets")
      })
    ))

  it.effect("has the priority of its class", () =>
    withStore((store) =>
      Effect.gen(function*() {
        const critical = { containers: [container()], priorityClassName: "system-node-critical" }
        const pod = yield* admit(store, "pods", podOf(critical), user)
        assert.strictEqual((pod as Pod).spec.priority, 2_000_001_000)
        assert.deepStrictEqual(yield* refusal(store, podOf({ ...critical, priority: 5 })), [
          403,
          "pods \"p\" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 2000001000 from the given PriorityClass name"
        ])
        assert.deepStrictEqual(yield* refusal(store, podOf({ ...critical, priorityClassName: "mine" })), [
          403,
          "pods \"p\" is forbidden: no PriorityClass with name mine was found"
        ])
      })
    ))
})

describe("a pod is refused", () => {
  it.effect("without its service account", () =>
    withStore((store) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(
          yield* refusal(store, podOf({ containers: [container()], serviceAccountName: "robot" })),
          [
            403,
            "pods \"p\" is forbidden: error looking up service account default/robot: serviceaccount \"robot\" not found"
          ]
        )
      })
    ))

  it.effect("by quota, by a webhook and by RBAC where its image says so, in the name of whoever asked", () =>
    withStore((store) =>
      Effect.gen(function*() {
        const ofImage = (image: string) => refusal(store, podOf({ containers: [container({ image })] }))
        assert.deepStrictEqual(yield* ofImage("kuberun.test/quota:1"), [
          403,
          "pods \"p\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=10, limited: pods=10"
        ])
        assert.deepStrictEqual(yield* ofImage("kuberun.test/denied"), [
          403,
          "admission webhook \"policy.kuberun.test\" denied the request: image kuberun.test/denied is not allowed here"
        ])
        assert.deepStrictEqual(yield* ofImage("kuberun.test/rbac"), [
          403,
          "pods is forbidden: User \"jane\" cannot create resource \"pods\" in API group \"\" in the namespace \"default\""
        ])
      })
    ))

  it.effect("by a namespace that goes, as everything else is, and by one that is not there", () =>
    withStore((store) =>
      Effect.gen(function*() {
        yield* store.update("namespaces", "", "default", (current) => ({
          ...current,
          metadata: { ...current.metadata, finalizers: ["kubernetes"], deletionTimestamp: "2026-01-01T00:00:00Z" }
        }))
        const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("c") }
        const { status } = yield* Effect.flip(admit(store, "configmaps", configMap, user))
        assert.strictEqual(
          status.message,
          "configmaps \"c\" is forbidden: unable to create new content in namespace default because it is being terminated"
        )
        assert.deepStrictEqual(status.details?.causes, [{
          reason: "NamespaceTerminating",
          message: "namespace default is being terminated",
          field: "metadata.namespace"
        }])
        const elsewhere = { ...configMap, metadata: { ...metadata("c"), namespace: "nowhere" } }
        const missing = yield* Effect.flip(admit(store, "configmaps", elsewhere, user))
        assert.strictEqual(missing.status.message, "namespaces \"nowhere\" not found")
      })
    ))
})
