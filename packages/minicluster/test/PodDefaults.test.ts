import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { at } from "../src/shapes/Json.ts"
import { type KubeObject } from "../src/shapes/Objects.ts"
import { canonical, parseQuantity } from "../src/shapes/Quantity.ts"
import { withDefaults } from "../src/shapes/Validation.ts"

const completed = (spec: object, more: object = {}): KubeObject =>
  withDefaults("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "default", uid: "u", resourceVersion: "", creationTimestamp: "" },
    spec,
    ...more
  } as KubeObject)
const container = (given: object, spec: object = {}) =>
  at(completed({ containers: [{ name: "a", image: "busybox:1", ...given }], ...spec }), "spec", "containers", 0)

describe("a pod's defaults", () => {
  it.effect("are those of an API server, for a pod that says only what it has to", () =>
    Effect.sync(() => {
      const pod = completed({ containers: [{ name: "a", image: "busybox:1" }] })
      const tolerated = { operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 }
      assert.deepStrictEqual(at(pod, "spec"), {
        containers: [{
          name: "a",
          image: "busybox:1",
          resources: {},
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
          imagePullPolicy: "IfNotPresent"
        }],
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 30,
        dnsPolicy: "ClusterFirst",
        serviceAccountName: "default",
        serviceAccount: "default",
        securityContext: {},
        schedulerName: "default-scheduler",
        enableServiceLinks: true,
        preemptionPolicy: "PreemptLowerPriority",
        priority: 0,
        tolerations: [
          { key: "node.kubernetes.io/not-ready", ...tolerated },
          { key: "node.kubernetes.io/unreachable", ...tolerated }
        ]
      })
      assert.deepStrictEqual(at(pod, "status"), { phase: "Pending", qosClass: "BestEffort" })
    }))

  it.effect("give way to what is said, also where that is nothing or no", () =>
    Effect.sync(() => {
      const given = {
        restartPolicy: "Never",
        terminationGracePeriodSeconds: 0,
        enableServiceLinks: false,
        serviceAccount: "robot",
        priorityClassName: "system-node-critical",
        tolerations: [{ operator: "Exists" }]
      }
      const spec = at(completed({ containers: [], ...given }), "spec")
      for (const [name, value] of Object.entries(given)) assert.deepStrictEqual(at(spec, name), value, name)
      assert.strictEqual(at(spec, "serviceAccountName"), "robot")
      // The class says the priority, and that is the admission's business.
      assert.strictEqual(at(spec, "priority"), undefined)
    }))

  it.effect("pull an image each time whose tag is the latest, said or not", () =>
    Effect.sync(() => {
      const policies = [
        ["busybox", "Always"],
        ["busybox:latest", "Always"],
        ["registry.example:5000/busybox", "Always"],
        ["busybox:1", "IfNotPresent"],
        ["registry.example:5000/busybox:1", "IfNotPresent"],
        ["busybox@sha256:0123", "IfNotPresent"]
      ] as const
      for (const [image, policy] of policies) {
        assert.strictEqual(at(container({ image }), "imagePullPolicy"), policy, image)
      }
    }))

  it.effect("make a request of a limit, amounts canonical, and the class of service of both", () =>
    Effect.sync(() => {
      const limits = { cpu: "0.5", memory: "1024Mi" }
      assert.deepStrictEqual(at(container({ resources: { limits, requests: { cpu: 0.25 } } }), "resources"), {
        limits: { cpu: "500m", memory: "1Gi" },
        requests: { cpu: "250m", memory: "1Gi" }
      })
      assert.deepStrictEqual(at(completed({ overhead: { cpu: "0.1" } }), "spec", "overhead"), { cpu: "100m" })
      const classOf = (resources: object) =>
        at(completed({ containers: [{ name: "a", image: "b", resources }] }), "status", "qosClass")
      assert.deepStrictEqual(
        [classOf({ limits }), classOf({ limits, requests: { cpu: "1m" } }), classOf({})],
        ["Guaranteed", "Burstable", "BestEffort"]
      )
    }))

  it.effect("reach into ports, variables, probes, hooks and volumes", () =>
    Effect.sync(() => {
      const one = container({
        ports: [{ containerPort: 80 }, { containerPort: 53, protocol: "UDP" }],
        env: [
          { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "B", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } }
        ],
        livenessProbe: { httpGet: { port: 80 }, timeoutSeconds: 0, periodSeconds: 5 },
        startupProbe: { tcpSocket: { port: 1 } },
        lifecycle: {
          postStart: { httpGet: { port: 80 } },
          preStop: { httpGet: { port: 80, path: "/bye", scheme: "HTTPS" } }
        }
      }, { hostNetwork: true })
      assert.deepStrictEqual(at(one, "ports"), [
        { containerPort: 80, protocol: "TCP", hostPort: 80 },
        { containerPort: 53, protocol: "UDP", hostPort: 53 }
      ])
      assert.strictEqual(at(one, "env", 0, "valueFrom", "fieldRef", "apiVersion"), "v1")
      assert.strictEqual(at(one, "env", 1, "valueFrom", "resourceFieldRef", "divisor"), "0")
      assert.deepStrictEqual(at(one, "livenessProbe"), {
        httpGet: { port: 80, path: "/", scheme: "HTTP" },
        timeoutSeconds: 1,
        periodSeconds: 5,
        successThreshold: 1,
        failureThreshold: 3
      })
      assert.strictEqual(at(one, "startupProbe", "periodSeconds"), 10)
      assert.deepStrictEqual(at(one, "lifecycle", "postStart", "httpGet"), { port: 80, path: "/", scheme: "HTTP" })
      assert.deepStrictEqual(at(one, "lifecycle", "preStop", "httpGet"), { port: 80, path: "/bye", scheme: "HTTPS" })
      const volumes = at(
        completed({
          volumes: [
            { name: "nothing" },
            { name: "config", configMap: { name: "c" } },
            { name: "secret", secret: { secretName: "s", defaultMode: 256 } },
            { name: "open", secret: { secretName: "s" } },
            { name: "host", hostPath: { path: "/" } },
            { name: "sized", emptyDir: { sizeLimit: "2048Ki" } },
            {
              name: "all",
              projected: {
                sources: [
                  { serviceAccountToken: { path: "t" } },
                  { downwardAPI: { items: [{ path: "n", fieldRef: { fieldPath: "metadata.name" } }] } }
                ]
              }
            }
          ]
        }),
        "spec",
        "volumes"
      )
      assert.deepStrictEqual(volumes, [
        { name: "nothing", emptyDir: {} },
        { name: "config", configMap: { name: "c", defaultMode: 420 } },
        { name: "secret", secret: { secretName: "s", defaultMode: 256 } },
        { name: "open", secret: { secretName: "s", defaultMode: 420 } },
        { name: "host", hostPath: { path: "/", type: "" } },
        { name: "sized", emptyDir: { sizeLimit: "2Mi" } },
        {
          name: "all",
          projected: {
            defaultMode: 420,
            sources: [
              { serviceAccountToken: { path: "t", expirationSeconds: 3600 } },
              { downwardAPI: { items: [{ path: "n", fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } }] } }
            ]
          }
        }
      ])
    }))

  it.effect("take no status from a pod's author, and leave that of a stored pod alone", () =>
    Effect.sync(() => {
      const status = { phase: "Running", qosClass: "Burstable", conditions: [{ lastProbeTime: null }] }
      assert.strictEqual(at(completed({}, { status }), "status", "phase"), "Pending")
      const stored = completed({}, { status, metadata: { name: "p", resourceVersion: "7" } })
      assert.deepStrictEqual(at(stored, "status"), status)
    }))
})

describe("a quantity", () => {
  it.effect("is written in one way, whatever way it came", () =>
    Effect.sync(() => {
      const written = [
        [1, "1"],
        ["0.5", "500m"],
        ["1500m", "1500m"],
        ["2000m", "2"],
        ["100000", "100k"],
        ["1e3", "1e3"],
        ["0", "0"],
        ["-1.50", "-1500m"],
        ["1024Mi", "1Gi"],
        ["1.5Gi", "1536Mi"],
        ["0.5Ki", "512"],
        ["1Ki", "1Ki"],
        ["-1Ki", "-1Ki"],
        ["1n", "1n"],
        ["0.1n", "1n"],
        [".5", "500m"]
      ] as const
      for (const [given, text] of written) assert.strictEqual(canonical(given), text, String(given))
      for (const none of ["", "x", "1 Gi", "1gi", "--1", "."]) assert.strictEqual(parseQuantity(none), undefined, none)
    }))

  it.effect.prop("keeps its amount when it is written, and is then written the same", {
    digits: Schema.Int.check(Schema.isBetween({ minimum: -1_000_000_000, maximum: 1_000_000_000 })),
    suffix: Schema.Literals([
      "",
      "n",
      "u",
      "m",
      "k",
      "M",
      "G",
      "T",
      "P",
      "E",
      "Ki",
      "Mi",
      "Gi",
      "Ti",
      "Pi",
      "Ei",
      "e3",
      "E-2"
    ])
  }, ({ digits, suffix }) =>
    Effect.sync(() => {
      const text = canonical(`${digits}${suffix}`)
      assert.strictEqual(parseQuantity(text)?.amount, parseQuantity(`${digits}${suffix}`)?.amount)
      assert.strictEqual(canonical(text), text)
    }), { arbitrary: { runs: 300 } })
})
