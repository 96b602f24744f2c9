/** Requests of the API that are nearly right. What they create runs nothing but `true`. */
import { Buffer } from "node:buffer"
import { groupVersion, type Resource, resourceTypes, reviewTypes } from "../../src/Resources.ts"
import { type Dice, mutateBytes, mutateJson, oddTexts } from "./Mutation.ts"
import { pathOf, resources, samples } from "./Samples.ts"

export interface FuzzRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
  /** An answer that may have no end by itself: its first bytes are enough. */
  readonly endless: boolean
}

/** Few, so that requests meet what others made. None of them is the node's name. */
const names = ["one", "two", "three", "four"]
export const fuzzNamespaces = ["default", "fuzz-one", "fuzz-two"]

const probe = { exec: { command: ["true"] }, periodSeconds: 5, failureThreshold: 3 }

/** A pod of many fields. */
const richPod = {
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
const smallPod = {
  spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox", command: ["true"] }] }
}

const reviews = {
  selfsubjectaccessreviews: { spec: { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } } },
  selfsubjectrulesreviews: { spec: { namespace: "default" } },
  selfsubjectreviews: {}
}
const patches = {
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
const ephemeral = { spec: { ephemeralContainers: [{ name: "debug", image: "busybox", command: ["true"] }] } }
const deletion = { gracePeriodSeconds: 0, propagationPolicy: "Foreground", preconditions: { uid: "x" }, dryRun: [] }
const eviction = { kind: "Eviction", apiVersion: "policy/v1", metadata: { name: "one" }, deleteOptions: deletion }
const tokenRequest = {
  spec: { audiences: ["a"], expirationSeconds: 600, boundObjectRef: { kind: "Pod", name: "one" } }
}

/** Whatever became of a value: every program in it is `true`, and every image one that runs what it is told. */
const harmless = (value: unknown, depth = 0): unknown => {
  if (typeof value !== "object" || value === null || depth > 60) return value
  if (Array.isArray(value)) return value.map((one) => harmless(one, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      key === "command" && Array.isArray(one) && one.length > 0
        ? ["true", ...one.slice(1)]
        : harmless(one, depth + 1)
    ])
  )
}

const bombs: ReadonlyArray<string> = [
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
const texts: ReadonlyArray<string> = [
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
const podBytes = Buffer.from(
  "azhzAAoJCgJ2MRIDUG9kEsoCChgKAWISABoHZGVmYXVsdCIAKgAyADgAQgASmwIKEAoBZRILEgkKABIFCgMxR2kKGgoBYxIVmgESCgMKAW0SCQoBaxIBcBiAAiABEp0BCgFjEgdidXN5Ym94GgVzbGVlcBoBOSoAOhEKAUESABoKIggKAwoBcxIBa0IPCg0KA2NwdRIGCgQxMDBtSg0KAWUQABoCL2UiADIAUiIKFhIUCgIveBIKCAEQABoEaHR0cBoAIgAQABgAIAMoADAAWhgKDBoKCgYIABBjGgASABAAGAAgACgAMABqAHIAegIgAIABAIgBAJABAKIBABIqCgFkEgdidXN5Ym94GgR0cnVlKgBCAGoAcgCAAQCIAQCQAQCiAQRGaWxlGgAgADIAQgBKAFIAWABgAGgAggEAigEAmgEAqAEAwgEAGhAKABoAIgAqADIASgBaAHIAGgAiAA==",
  "base64"
)
const configMapBytes = Buffer.from(
  "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEk0KEwoDY20xEgAaACIAKgAyADgAQgASBgoBYRIBYhIPCgVmLnR4dBIGaGVsbG8KGh0KBWYuYmluEhRVwc97gl0EhmVAKZGiaXQda9QpZxoAIgA=",
  "base64"
)

const queries: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
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

const accepts: ReadonlyArray<string> = [
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
const types: ReadonlyArray<string> = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  ...Object.keys(patches),
  "text/plain",
  "",
  "application/json; charset=x",
  "multipart/form-data; boundary=x"
]
const elsewhere: ReadonlyArray<string> = [
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

/** In a URL as it may stand on the wire; now and then one that no decoder takes. */
const urlText = (dice: Dice, text: string): string =>
  dice.chance(0.1)
    ? dice.pick(["%", "%zz", "%ff", "%ed%a0%80", "%00", "a%2fb", ";", "&", "=", "?", "+"])
    : encodeURIComponent(text.toWellFormed()).slice(0, 4000)

const queryOf = (dice: Dice): string =>
  Array.from({ length: dice.int(4) }, () => {
    const [key, values] = dice.pick(queries)
    return `${dice.chance(0.05) ? urlText(dice, dice.pick(oddTexts)) : key}=${
      urlText(dice, dice.chance(0.8) ? dice.pick(values) : dice.pick(oddTexts))
    }`
  }).join("&")

interface Subject {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly type?: string
}

/** What a request is about, before anything is done to it. */
const subject = (dice: Dice): Subject => {
  const resource: Resource = dice.chance(0.3) ? "pods" : dice.pick(resources)
  const type = resourceTypes[resource]
  const collection = pathOf(resource, dice.pick(fuzzNamespaces))
  const name = dice.pick(names)
  const named = { apiVersion: groupVersion(type), kind: type.kind }
  const content = resource === "pods" ? dice.pick([richPod, smallPod]) : samples[resource]
  const object = { ...named, ...content, metadata: { ...(content === richPod ? richPod.metadata : {}), name } }
  const one = `${collection}/${name}`
  const patch = dice.pick(Object.keys(patches) as ReadonlyArray<keyof typeof patches>)
  const review = dice.pick(Object.keys(reviews) as ReadonlyArray<keyof typeof reviews>)
  const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] }
  const create = (): Subject => ({ method: "POST", path: collection, body: object })
  const change = (): Subject => ({ method: "PATCH", path: one, body: patches[patch], type: patch })
  return dice.pick<() => Subject>([
    create,
    create,
    create,
    create,
    change,
    change,
    change,
    () => ({ method: "PUT", path: one, body: object }),
    () => ({ method: "PUT", path: one, body: object }),
    () => ({ method: "DELETE", path: one, body: dice.chance(0.5) ? undefined : deletion }),
    // What every pod needs stays.
    () => ({
      method: "DELETE",
      path: dice.chance(0.1) && !["serviceaccounts", "configmaps"].includes(resource) ? collection : one,
      body: undefined
    }),
    () => ({ method: "GET", path: one, body: undefined }),
    () => ({ method: "GET", path: collection, body: undefined }),
    () => ({ method: "GET", path: collection.replace(/\/namespaces\/[^/]+/, ""), body: undefined }),
    () => ({ method: "GET", path: `${one}/log`, body: undefined }),
    () => ({ method: dice.pick(["PUT", "PATCH", "GET"]), path: `${one}/status`, body: { ...object, status } }),
    () => ({
      method: dice.pick(["PUT", "PATCH"]),
      path: `${pathOf("pods")}/${name}/ephemeralcontainers`,
      body: { metadata: { name }, ...ephemeral }
    }),
    () => ({ method: "POST", path: `${pathOf("pods")}/${name}/eviction`, body: eviction }),
    () => ({ method: "POST", path: `${pathOf("serviceaccounts")}/default/token`, body: tokenRequest }),
    () => ({
      method: "POST",
      path: `/apis/${groupVersion(reviewTypes[review])}/${review}`,
      body: { ...reviews[review], apiVersion: groupVersion(reviewTypes[review]), kind: reviewTypes[review].kind }
    }),
    () => ({ method: dice.pick(["GET", "GET", "POST"]), path: dice.pick(elsewhere), body: undefined })
  ])()
}

const bodyOf = (
  dice: Dice,
  method: string,
  { body: value, type }: Subject
): readonly [Buffer | undefined, string] => {
  const json = type ?? (method === "PATCH" ? dice.pick(Object.keys(patches)) : "application/json")
  if (value === undefined && dice.chance(0.95)) return [undefined, json]
  return dice.pick<() => readonly [Buffer, string]>([
    ...Array.from({ length: 4 }, () => (): readonly [Buffer, string] => [
      Buffer.from(JSON.stringify(harmless(value)) ?? ""),
      json
    ]),
    ...Array.from({ length: 7 }, () => (): readonly [Buffer, string] => [
      Buffer.from(JSON.stringify(harmless(mutateJson(dice, value ?? {}, 1 + dice.int(4)))) ?? ""),
      json
    ]),
    // What is damaged as a text must not be one of a pod that would run.
    () => [
      mutateBytes(dice, Buffer.from(JSON.stringify({ metadata: { name: "one" }, data: { a: "b" } })), 1 + dice.int(3)),
      json
    ],
    () => [Buffer.from(dice.pick(bombs)), method === "PATCH" ? "application/apply-patch+yaml" : "application/yaml"],
    () => [Buffer.from(dice.pick(texts)), json],
    () => [
      mutateBytes(dice, dice.pick([podBytes, configMapBytes]), 1 + dice.int(5)),
      "application/vnd.kubernetes.protobuf"
    ],
    () => [Buffer.concat([Buffer.from("k8s\0"), dice.bytes(dice.int(300))]), "application/vnd.kubernetes.protobuf"],
    () => [
      Buffer.alloc(dice.chance(0.02) ? 4 * 1024 * 1024 : 50_000, dice.pick(["[", "{", "\"", "9", "a: "])),
      dice.pick(types)
    ]
  ])()
}

/** A header's value as it may be sent at all. */
const headerText = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 8000)

export const fuzzRequest = (dice: Dice): FuzzRequest => {
  const about = subject(dice)
  const method = dice.chance(0.04)
    ? dice.pick(["HEAD", "OPTIONS", "TRACE", "GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
    : about.method
  const [bytes, type] = bodyOf(dice, method, about)
  const parts = about.path.split("/")
  if (dice.chance(0.12)) parts[dice.int(parts.length)] = urlText(dice, dice.pick(oddTexts))
  if (dice.chance(0.03)) {
    parts.splice(
      dice.int(parts.length),
      0,
      ...Array.from({ length: dice.pick([1, 2, 500]) }, () => "x")
    )
  }
  const path = parts.join("/")
  const watches = about.method === "GET" && dice.chance(0.06)
  const query = [queryOf(dice), watches ? "watch=true&timeoutSeconds=1" : ""].filter((part) => part !== "").join("&")
  const headers: Record<string, string> = {
    accept: dice.chance(0.6) ? "application/json" : dice.chance(0.5) ? accepts[1] ?? "" : dice.pick(accepts),
    ...(bytes === undefined ? {} : {
      "content-type": dice.chance(0.92) ? type : dice.pick(types),
      "content-length": String(bytes.length)
    }),
    ...(dice.chance(0.03) ? { "impersonate-user": headerText(dice.pick(oddTexts)) } : {}),
    ...(dice.chance(0.02) ? { "impersonate-group": headerText(dice.pick(oddTexts)) } : {}),
    ...(dice.chance(0.02)
      ? { [`impersonate-extra-${dice.pick(["a", "%", "%zz"])}`]: headerText(dice.pick(oddTexts)) }
      : {}),
    ...(dice.chance(0.02)
      ? { authorization: headerText(dice.pick(["Bearer", "Basic x", "Bearer a.b.c", ...oddTexts])) }
      : {}),
    ...(dice.chance(0.02) ? { "content-encoding": dice.pick(["gzip", "x"]) } : {}),
    ...(dice.chance(0.02) ? { [`x-${"y".repeat(dice.int(200))}`]: headerText(dice.pick(oddTexts)) } : {})
  }
  const target = `${path.startsWith("/") ? path : `/${path}`}${query === "" || path.includes("?") ? "" : `?${query}`}`
  return {
    method,
    path: target.replaceAll(/[^\x21-\x7e]/g, "%20").slice(0, 60_000),
    headers,
    body: bytes,
    endless: /watch|follow/.test(target)
  }
}
