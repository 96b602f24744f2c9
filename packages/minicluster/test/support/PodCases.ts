/** Pods to be judged: a plain one, one that has everything, and what is said of them. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Cause } from "../../src/api/Status.ts"
import { type KubeObject } from "../../src/shapes/Objects.ts"
import { createCauses, withDefaults } from "../../src/shapes/Validation.ts"

export type Json = Record<string, unknown>

export const metadata = {
  name: "p",
  namespace: "default",
  uid: "u",
  resourceVersion: "",
  creationTimestamp: "2026-01-01T00:00:00Z"
}
export const podOf = (spec: Json, more: Json = {}): KubeObject =>
  withDefaults("pods", { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, ...more }, spec } as KubeObject)
export const main = (container: Json = {}): Json => ({ name: "a", image: "busybox:1", ...container })
export const withContainer = (container: Json, spec: Json = {}) => podOf({ ...spec, containers: [main(container)] })
export const said = (causes: ReadonlyArray<Cause>) => causes.map(({ field, message }) => `${field}: ${message}`)

/** Each is a pod, and everything that is said of it. */
export const judged = (name: string, cases: ReadonlyArray<readonly [pod: KubeObject, causes: ReadonlyArray<string>]>) =>
  it.effect(name, () =>
    Effect.sync(() => {
      for (const [pod, causes] of cases) assert.deepStrictEqual(said(createCauses("pods", pod)), causes)
    }))

export const rich: Json = {
  activeDeadlineSeconds: 60,
  hostname: "host",
  subdomain: "sub",
  nodeSelector: { "kubernetes.io/os": "linux" },
  imagePullSecrets: [{ name: "pull" }],
  tolerations: [{ key: "k", operator: "Equal", value: "v", effect: "NoExecute", tolerationSeconds: 5 }],
  hostAliases: [{ ip: "10.0.0.1", hostnames: ["x.example"] }],
  readinessGates: [{ conditionType: "example.com/ready" }],
  schedulingGates: [{ name: "example.com/gate" }],
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }],
  securityContext: { runAsUser: 1000, supplementalGroups: [1, 2], fsGroup: 3 },
  dnsConfig: { nameservers: ["10.0.0.2"], searches: ["example.com"], options: [{ name: "ndots", value: "2" }] },
  affinity: { nodeAffinity: {} },
  os: { name: "linux" },
  volumes: [
    { name: "empty" },
    { name: "config", configMap: { name: "c", items: [{ key: "k", path: "a/b" }] } },
    { name: "secret", secret: { secretName: "s", defaultMode: 256 } },
    { name: "down", downwardAPI: { items: [{ path: "l", fieldRef: { fieldPath: "metadata.labels" } }] } },
    { name: "claim", persistentVolumeClaim: { claimName: "c" } },
    { name: "host", hostPath: { path: "/tmp", type: "Directory" } },
    { name: "both", projected: { sources: [{ serviceAccountToken: { path: "token" } }, { secret: { name: "s" } }] } }
  ],
  initContainers: [
    main({ name: "first" }),
    main({ name: "sidecar", restartPolicy: "Always", startupProbe: { exec: { command: ["true"] } } })
  ],
  containers: [
    main({
      command: ["sh"],
      args: ["-c", "$(A)"],
      workingDir: "/",
      env: [
        { name: "A", value: "1" },
        { name: "B.b-$", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "C", valueFrom: { fieldRef: { fieldPath: "metadata.annotations['Example.com/x']" } } },
        { name: "D", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1m" } } },
        { name: "E", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }
      ],
      envFrom: [{ prefix: "P_", configMapRef: { name: "c" } }],
      ports: [{ name: "http", containerPort: 80 }],
      resources: { limits: { cpu: "1500m", memory: "64Mi", "example.com/gpu": 1 }, requests: { cpu: 1 } },
      volumeMounts: [{ name: "config", mountPath: "/c", subPath: "a" }, { name: "empty", mountPath: "/e" }],
      livenessProbe: { httpGet: { port: "http", httpHeaders: [{ name: "X-A", value: "b" }] } },
      readinessProbe: { tcpSocket: { port: 80 }, successThreshold: 3 },
      lifecycle: { postStart: { exec: { command: ["true"] } }, preStop: { sleep: { seconds: 3 } } },
      securityContext: { runAsUser: 0, runAsNonRoot: false, allowPrivilegeEscalation: false }
    }),
    main({ name: "b", image: "registry.example:5000/b@sha256:0123" })
  ]
}
