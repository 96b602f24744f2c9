/** What requests are made of before they are damaged. What they create runs nothing but `true`. */
import { Buffer } from "node:buffer"

const probe = { exec: { command: ["true"] }, periodSeconds: 5, failureThreshold: 3 }

/** A pod of many fields. */
export const richPod = {
  metadata: { labels: { app: "fuzz" }, annotations: { note: "x" }, finalizers: [], ownerReferences: [] },
  spec: {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 0,
    activeDeadlineSeconds: 20,
    nodeSelector: { "kubernetes.io/os": "linux" },
    tolerations: [{ key: "a", operator: "Exists", effect: "NoExecute", tolerationSeconds: 3 }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/os", operator: "In", values: ["linux"] }] }]
        }
      }
    },
    securityContext: {
      runAsUser: 1000,
      fsGroup: 1000,
      supplementalGroups: [1],
      seccompProfile: { type: "RuntimeDefault" }
    },
    initContainers: [{ name: "first", image: "busybox", command: ["true"] }],
    containers: [{
      name: "main",
      image: "busybox",
      command: ["true"],
      args: ["$(VALUE)"],
      workingDir: "/tmp",
      ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
      env: [
        { name: "VALUE", value: "$(OTHER)" },
        { name: "FIELD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        { name: "KEY", valueFrom: { configMapKeyRef: { name: "one", key: "key", optional: true } } },
        { name: "LIMIT", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } }
      ],
      envFrom: [{ prefix: "P_", secretRef: { name: "one", optional: true } }],
      resources: { requests: { cpu: "1m", memory: "1Mi" }, limits: { cpu: "100m", memory: "64Mi" } },
      livenessProbe: probe,
      readinessProbe: probe,
      startupProbe: probe,
      lifecycle: { preStop: { exec: { command: ["true"] } } },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      volumeMounts: [{ name: "empty", mountPath: "/mnt/empty", subPath: "a" }, { name: "all", mountPath: "/mnt/all" }]
    }],
    volumes: [
      { name: "empty", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      {
        name: "all",
        projected: {
          defaultMode: 420,
          sources: [
            { configMap: { name: "one", items: [{ key: "key", path: "a/b" }], optional: true } },
            { secret: { name: "one", optional: true } },
            { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
            { serviceAccountToken: { path: "token", expirationSeconds: 600 } }
          ]
        }
      },
      { name: "claim", persistentVolumeClaim: { claimName: "one" } }
    ]
  }
}
export const smallPod = {
  spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox", command: ["true"] }] }
}

export const reviews = {
  selfsubjectaccessreviews: { spec: { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } } },
  selfsubjectrulesreviews: { spec: { namespace: "default" } },
  selfsubjectreviews: {}
}
export const patches = {
  "application/merge-patch+json": { metadata: { labels: { a: "b", c: null } }, data: { key: "other" } },
  "application/strategic-merge-patch+json": {
    metadata: { labels: { a: "b" }, "$deleteFromPrimitiveList/finalizers": ["a/b"] },
    spec: {
      "$setElementOrder/containers": [{ name: "main" }],
      containers: [{ name: "main", image: "other" }, { name: "gone", $patch: "delete" }]
    }
  },
  "application/json-patch+json": [
    { op: "test", path: "/metadata/name", value: "one" },
    { op: "add", path: "/metadata/labels", value: { a: "b" } },
    { op: "copy", from: "/metadata/labels", path: "/metadata/annotations" },
    { op: "move", from: "/metadata/labels/a", path: "/metadata/labels/c" },
    { op: "remove", path: "/metadata/labels/c" }
  ],
  "application/apply-patch+yaml": { metadata: { labels: { a: "b" } } }
}
export const ephemeral = { spec: { ephemeralContainers: [{ name: "debug", image: "busybox", command: ["true"] }] } }
export const deletion = {
  gracePeriodSeconds: 0,
  propagationPolicy: "Foreground",
  preconditions: { uid: "x" },
  dryRun: []
}
export const eviction = {
  kind: "Eviction",
  apiVersion: "policy/v1",
  metadata: { name: "one" },
  deleteOptions: deletion
}
export const tokenRequest = {
  spec: { audiences: ["a"], expirationSeconds: 600, boundObjectRef: { kind: "Pod", name: "one" } }
}

export const bombs: ReadonlyArray<string> = [
  `a: &a [x,x,x,x,x,x,x,x,x]\n${
    "bcdefghijk".split("").map((name, index, all) =>
      `${name}: &${name} [${Array.from({ length: 9 }, () => `*${index === 0 ? "a" : all[index - 1]}`).join()}]`
    ).join("\n")
  }\n`,
  "&a [*a]\n",
  "a: &a\n  b: *a\n",
  "<<: *missing\n",
  "a: !!js/function 'x'\n",
  "a: !!binary '###'\n",
  "---\na: 1\n---\nb: 2\n",
  "? [a, b]\n: c\n",
  `${"[".repeat(20_000)}\n`,
  `${"a:\n".repeat(3)}  ${"- ".repeat(3000)}x\n`,
  `{${"a: {".repeat(3000)}`,
  "\t- x: [\n",
  "%YAML 9.9\n---\n%TAG ! x\n",
  `a: ${"'".repeat(9999)}\n`,
  "metadata: {name: one}\nmetadata: {name: two}\n"
]
export const texts: ReadonlyArray<string> = [
  "[".repeat(200_000),
  `${"{\"a\":".repeat(100_000)}1${"}".repeat(100_000)}`,
  `${"[".repeat(1500)}${"]".repeat(1500)}`,
  `{"metadata":{"name":"one"},"metadata":{"name":"two"}}`,
  `{"metadata":{"name":"one","generation":1e999}}`,
  "\ufeff{}",
  "nul",
  `"x"`,
  "1",
  "[]"
]
export const podBytes = Buffer.from(
  "azhzAAoJCgJ2MRIDUG9kEsoCChgKAWISABoHZGVmYXVsdCIAKgAyADgAQgASmwIKEAoBZRILEgkKABIFCgMxR2kKGgoBYxIVmgESCgMKAW0SCQoBaxIBcBiAAiABEp0BCgFjEgdidXN5Ym94GgVzbGVlcBoBOSoAOhEKAUESABoKIggKAwoBcxIBa0IPCg0KA2NwdRIGCgQxMDBtSg0KAWUQABoCL2UiADIAUiIKFhIUCgIveBIKCAEQABoEaHR0cBoAIgAQABgAIAMoADAAWhgKDBoKCgYIABBjGgASABAAGAAgACgAMABqAHIAegIgAIABAIgBAJABAKIBABIqCgFkEgdidXN5Ym94GgR0cnVlKgBCAGoAcgCAAQCIAQCQAQCiAQRGaWxlGgAgADIAQgBKAFIAWABgAGgAggEAigEAmgEAqAEAwgEAGhAKABoAIgAqADIASgBaAHIAGgAiAA==",
  "base64"
)
export const configMapBytes = Buffer.from(
  "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEk0KEwoDY20xEgAaACIAKgAyADgAQgASBgoBYRIBYhIPCgVmLnR4dBIGaGVsbG8KGh0KBWYuYmluEhRVwc97gl0EhmVAKZGiaXQda9QpZxoAIgA=",
  "base64"
)

export const queries: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["limit", ["1", "0", "500", "-1", "x"]],
  ["continue", ["x", "{}", ""]],
  ["labelSelector", ["app=fuzz", "a in (b,c)", "!a", "a==", "a in (", ","]],
  ["fieldSelector", ["metadata.name=one", "status.phase!=Running", "spec.x=1", "=", "metadata.name"]],
  ["resourceVersion", ["0", "1", "999999999", "-1", "x"]],
  ["resourceVersionMatch", ["Exact", "NotOlderThan", "x"]],
  ["sendInitialEvents", ["true", "false", "x"]],
  ["allowWatchBookmarks", ["true", "x"]],
  ["dryRun", ["All", "x", ""]],
  ["fieldValidation", ["Strict", "Ignore", "Warn", "x"]],
  ["fieldManager", ["x", "é", "x".repeat(200)]],
  ["force", ["true", "x"]],
  ["gracePeriodSeconds", ["0", "1", "-1", "x", "1e99"]],
  ["propagationPolicy", ["Foreground", "Background", "Orphan", "x"]],
  ["pretty", ["true"]],
  ["timeout", ["1s", "x"]],
  ["container", ["main", "first", "x"]],
  ["tailLines", ["1", "-1", "x"]],
  ["limitBytes", ["1", "x"]],
  ["sinceSeconds", ["1", "0", "x"]],
  ["sinceTime", ["1970-01-01T00:00:00Z", "x"]],
  ["timestamps", ["true", "x"]],
  ["previous", ["true"]],
  ["follow", ["true"]],
  ["includeObject", ["Object", "None", "x"]]
]

export const accepts: ReadonlyArray<string> = [
  "application/json",
  "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
  "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  "application/vnd.kubernetes.protobuf",
  "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
  "*/*;q=0.1",
  "",
  ";;,,=",
  "x".repeat(3000)
]
export const types: ReadonlyArray<string> = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  ...Object.keys(patches),
  "text/plain",
  "",
  "application/json; charset=x",
  "multipart/form-data; boundary=x"
]
export const elsewhere: ReadonlyArray<string> = [
  "/",
  "/api",
  "/apis",
  "/api/v1",
  "/apis/rbac.authorization.k8s.io",
  "/apis/coordination.k8s.io/v1",
  "/openapi/v2",
  "/openapi/v3",
  "/openapi/v3/api/v1",
  "/openapi/v3/apis/coordination.k8s.io/v1?hash=x",
  "/version",
  "/healthz/ping",
  "/readyz?verbose",
  "/metrics",
  "/minicluster",
  "/apis/apps/v1/deployments",
  "/api/v1/namespaces/default/pods/one/proxy/x",
  "/api/v1/watch/pods"
]
