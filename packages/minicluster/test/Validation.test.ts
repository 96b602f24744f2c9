import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { at } from "../src/shapes/Json.ts"
import { type KubeObject } from "../src/shapes/Objects.ts"
import { type Resource, resourceTypes } from "../src/shapes/Resources.ts"
import { createCauses, updateCauses, withDefaults } from "../src/shapes/Validation.ts"

const objectOf = (resource: Resource, content: object, metadata: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: resourceTypes[resource].kind,
  metadata: {
    name: "x",
    ...(resourceTypes[resource].namespaced ? { namespace: "default" } : {}),
    uid: "u",
    resourceVersion: "",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...metadata
  },
  ...content
})
const completed = (resource: Resource, content: object, metadata: object = {}) =>
  withDefaults(resource, objectOf(resource, content, metadata))
const created = (resource: Resource, content: object) =>
  createCauses(resource, completed(resource, content)).map(({ field, message }) => `${field}: ${message}`)
const changed = (resource: Resource, next: object, previous: object) =>
  updateCauses(
    resource,
    completed(resource, next, { resourceVersion: "1" }),
    completed(resource, previous, { resourceVersion: "1" })
  )
    .map(({ field, message }) => `${field}: ${message}`)
const encoded = (text: string) => Buffer.from(text).toString("base64")

/** Contents, and everything that is said of each. */
const judged = (
  name: string,
  resource: Resource,
  cases: ReadonlyArray<readonly [content: object, causes: ReadonlyArray<string>]>
) =>
  it.effect(name, () =>
    Effect.sync(() => {
      for (const [content, causes] of cases) assert.deepStrictEqual(created(resource, content), causes)
    }))

const mebibyte = 1024 * 1024

describe("a config map", () => {
  judged("has keys that can be files, each once, and at most a mebibyte", "configmaps", [
    [{ data: { "a.b-c_D": "x" }, binaryData: { e: encoded("y") } }, []],
    [{ data: { "..": "", "...x": "", a: "" }, binaryData: { a: "" } }, [
      "data[..]: Invalid value: \"..\": must not be '..'",
      "data[...x]: Invalid value: \"...x\": must not start with '..'",
      "data[a]: Invalid value: \"a\": duplicate of key present in binaryData"
    ]],
    [{ data: { a: "x".repeat(mebibyte / 2) }, binaryData: { b: encoded("x".repeat(mebibyte / 2)) } }, []],
    [{ data: { a: "x".repeat(mebibyte / 2) }, binaryData: { b: encoded("x".repeat(mebibyte / 2 + 1)) } }, [
      "[]: Too long: may not be more than 1048576 bytes"
    ]]
  ])

  it.effect("that was sealed stays as it is, and sealed", () =>
    Effect.sync(() => {
      const sealed = { immutable: true, data: { a: "b" } }
      assert.deepStrictEqual(changed("configmaps", sealed, sealed), [])
      assert.deepStrictEqual(changed("configmaps", sealed, { data: { a: "c" } }), [])
      assert.deepStrictEqual(changed("configmaps", { data: { a: "c" } }, sealed), [
        "immutable: Forbidden: field is immutable when `immutable` is set",
        "data: Forbidden: field is immutable when `immutable` is set"
      ])
    }))
})

describe("a secret", () => {
  it.effect("is opaque when it does not say what it is, and keeps texts as data", () =>
    Effect.sync(() => {
      const secret = completed("secrets", {
        data: { a: encoded("1"), b: encoded("2") },
        stringData: { b: "3", c: "é" }
      })
      assert.strictEqual(at(secret, "type"), "Opaque")
      assert.deepStrictEqual(at(secret, "data"), { a: encoded("1"), b: encoded("3"), c: encoded("é") })
      assert.strictEqual(at(secret, "stringData"), undefined)
    }))

  judged("has the keys of its type, and at most a mebibyte", "secrets", [
    [{ type: "kubernetes.io/tls", stringData: { "tls.crt": "" } }, ["data[tls.key]: Required value"]],
    [{ type: "kubernetes.io/dockerconfigjson" }, ["data[.dockerconfigjson]: Required value"]],
    [{ type: "kubernetes.io/basic-auth" }, ["data[username]: Required value", "data[password]: Required value"]],
    [{ type: "kubernetes.io/basic-auth", stringData: { password: "" } }, []],
    [{ type: "kubernetes.io/ssh-auth" }, ["data[ssh-privatekey]: Required value"]],
    [{ type: "example.com/own" }, []],
    [{ stringData: { "..": "" } }, ["data[..]: Invalid value: \"..\": must not be '..'"]],
    [{ stringData: { a: "x".repeat(mebibyte) } }, []],
    [{ stringData: { a: "x".repeat(mebibyte + 1) } }, ["data: Too long: may not be more than 1048576 bytes"]]
  ])

  it.effect("keeps its type", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(changed("secrets", { type: "example.com/a" }, { type: "example.com/b" }), [
        "type: Invalid value: \"example.com/a\": field is immutable"
      ])
      const sealed = { immutable: true, stringData: { a: "b" } }
      assert.deepStrictEqual(changed("secrets", { ...sealed, stringData: { a: "c" } }, sealed), [
        "data: Forbidden: field is immutable when `immutable` is set"
      ])
      assert.deepStrictEqual(changed("secrets", { stringData: { "..": "" } }, {}), [
        "data[..]: Invalid value: \"..\": must not be '..'"
      ])
    }))
})

describe("a namespace", () => {
  it.effect("carries its name as a label, and begins active with the finalizer of a cluster", () =>
    Effect.sync(() => {
      const namespace = completed("namespaces", { status: { phase: "Terminating" } }, { labels: { a: "b" } })
      assert.deepStrictEqual(namespace.metadata.labels, { a: "b", "kubernetes.io/metadata.name": "x" })
      assert.deepStrictEqual(at(namespace, "spec"), { finalizers: ["kubernetes"] })
      assert.deepStrictEqual(at(namespace, "status"), { phase: "Active" })
      assert.deepStrictEqual(createCauses("namespaces", namespace), [])
      assert.deepStrictEqual(at(completed("namespaces", {}, { resourceVersion: "1" }), "spec"), {
        finalizers: ["kubernetes"]
      })
      const going = { spec: { finalizers: [] }, status: { phase: "Terminating" } }
      assert.deepStrictEqual(at(completed("namespaces", going, { resourceVersion: "1" }), "spec"), going.spec)
    }))
})

const claimOf = (storage: string, more: object = {}) => ({
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } }, ...more }
})

describe("a claim of a volume", () => {
  it.effect("is of the standard class and begins pending", () =>
    Effect.sync(() => {
      const claim = completed("persistentvolumeclaims", claimOf("1024Mi"))
      assert.deepStrictEqual(at(claim, "spec"), {
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: "1Gi" } },
        storageClassName: "standard",
        volumeMode: "Filesystem"
      })
      assert.deepStrictEqual(at(claim, "status"), { phase: "Pending" })
    }))

  judged("says how much, and who may have it", "persistentvolumeclaims", [
    [claimOf("1Gi"), []],
    [claimOf("1Gi", { accessModes: ["ReadWriteMany", "ReadOnlyMany"] }), []],
    [claimOf("1Gi", { accessModes: ["ReadWriteOncePod"] }), []],
    [{ spec: {} }, [
      "spec.accessModes: Required value: at least 1 access mode is required",
      "spec.resources[storage]: Required value"
    ]],
    [
      claimOf("0", {
        accessModes: ["ReadWriteOncePod", "ReadWriteOnce", "All"],
        volumeMode: "Tape",
        storageClassName: "-"
      }),
      [
        "spec.accessModes: Unsupported value: \"All\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
        "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        "spec.storageClassName: Invalid value: \"-\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
        "spec.resources[storage]: Invalid value: \"0\": must be greater than zero"
      ]
    ]
  ])

  it.effect("grows once it is bound, and changes in nothing else", () =>
    Effect.sync(() => {
      const bound = (storage: string, more: object = {}) => ({
        ...claimOf(storage, { volumeName: "v", ...more }),
        status: { phase: "Bound", capacity: { storage: "1Gi" } }
      })
      const lead =
        "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
      assert.deepStrictEqual(changed("persistentvolumeclaims", bound("2Gi"), bound("1Gi")), [])
      assert.deepStrictEqual(changed("persistentvolumeclaims", claimOf("1Gi", { volumeName: "v" }), claimOf("1Gi")), [])
      assert.deepStrictEqual(changed("persistentvolumeclaims", bound("1Gi", { volumeName: "w" }), bound("1Gi")), [
        `${lead}  spec.volumeName: "v" -> "w"\n`
      ])
      assert.deepStrictEqual(changed("persistentvolumeclaims", bound("1Gi"), bound("2Gi")), [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
      ])
      assert.deepStrictEqual(changed("persistentvolumeclaims", claimOf("2Gi"), claimOf("1Gi")), [
        `${lead}  spec.resources.requests.storage: "1Gi" -> "2Gi"\n`
      ])
    }))
})

describe("a role", () => {
  judged("has rules with verbs, about resources of a group", "roles", [
    [{ rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["p"] }] }, []],
    [{}, []],
    [{ rules: [{}, { verbs: ["get"], apiGroups: [""], resources: ["a", "b"], resourceNames: ["p"] }] }, [
      "rules[0].verbs: Required value: verbs must contain at least one value",
      "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
      "rules[0].resources: Required value: resource rules must supply at least one resource",
      "rules[1].resourceNames: Required value: resource names cannot apply to multiple resources"
    ]],
    [{ rules: [{ verbs: ["get"], nonResourceURLs: ["/healthz"], resources: ["a"] }] }, [
      "rules[0].nonResourceURLs: Invalid value: [\"/healthz\"]: namespaced rules cannot apply to non-resource URLs",
      "rules[0].nonResourceURLs: Invalid value: [\"/healthz\"]: rules cannot apply to both regular resources and non-resource URLs"
    ]]
  ])
  judged("of the cluster may be about paths", "clusterroles", [[{
    rules: [{ verbs: ["get"], nonResourceURLs: ["/x"] }]
  }, []], [
    { rules: [{ nonResourceURLs: ["/x"] }] },
    ["rules[0].verbs: Required value: verbs must contain at least one value"]
  ]])
})

describe("a binding", () => {
  const group = "rbac.authorization.k8s.io"

  it.effect("gets the group of its role and of its people", () =>
    Effect.sync(() => {
      const account = { kind: "ServiceAccount", name: "robot", namespace: "default" }
      const roleRef = { kind: "Role", name: "r" }
      const binding = completed("rolebindings", { roleRef, subjects: [{ kind: "User", name: "u" }, account] })
      assert.deepStrictEqual(at(binding, "roleRef"), { ...roleRef, apiGroup: group })
      assert.deepStrictEqual(at(binding, "subjects"), [{ kind: "User", name: "u", apiGroup: group }, account])
      assert.deepStrictEqual(createCauses("rolebindings", binding), [])
    }))

  judged("names a role, and whom it is for", "clusterrolebindings", [
    [{
      roleRef: { kind: "Role", name: "" },
      subjects: [{ kind: "ServiceAccount", name: "s" }, { kind: "Robot", name: "r" }, { kind: "User" }]
    }, [
      "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
      "roleRef.name: Required value",
      "subjects[0].namespace: Required value",
      "subjects[1].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
      "subjects[2].name: Required value"
    ]]
  ])

  judged("is for people of the one group that has people", "rolebindings", [
    [{
      roleRef: { kind: "User", name: "r", apiGroup: "example.com" },
      subjects: [{ kind: "Group", name: "g", apiGroup: "example.com" }, {
        kind: "ServiceAccount",
        name: "A",
        apiGroup: group
      }]
    }, [
      `roleRef.apiGroup: Unsupported value: "example.com": supported values: "${group}"`,
      "roleRef.kind: Unsupported value: \"User\": supported values: \"Role\", \"ClusterRole\"",
      `subjects[0].apiGroup: Unsupported value: "example.com": supported values: "${group}"`,
      "subjects[1].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      `subjects[1].apiGroup: Unsupported value: "${group}": supported values: ""`
    ]]
  ])

  it.effect("keeps its role", () =>
    Effect.sync(() => {
      const clusterRole = (name: string) => ({ roleRef: { kind: "ClusterRole", name } })
      assert.lengthOf(changed("clusterrolebindings", clusterRole("b"), clusterRole("a")), 1)
      const causes = changed("rolebindings", { roleRef: { kind: "Role", name: "b" } }, {
        roleRef: { kind: "Role", name: "a" }
      })
      assert.deepStrictEqual(causes, [
        `roleRef: Invalid value: {"kind":"Role","name":"b","apiGroup":"${group}"}: cannot change roleRef`
      ])
    }))
})

describe("a lease and an event", () => {
  judged("lasts some time", "leases", [
    [{ spec: { holderIdentity: "me", leaseDurationSeconds: 15, leaseTransitions: 0 } }, []],
    [{ spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } }, [
      "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
      "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"
    ]]
  ])
  judged("is in the namespace of what it is about", "events", [
    [{ involvedObject: { kind: "Pod", namespace: "default", name: "p" } }, []],
    [{ involvedObject: { kind: "Node", name: "n" } }, []],
    [{ involvedObject: { kind: "Pod", namespace: "other", name: "p" } }, [
      "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"
    ]]
  ])
})
