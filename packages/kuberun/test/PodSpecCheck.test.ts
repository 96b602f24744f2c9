import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { decodeConfig } from "kuberun"

const linesOf = (podSpec: unknown) =>
  Effect.map(Effect.flip(decodeConfig({ pod: { podSpec } })), (error) => error.message.split("\n"))

const at = "pod.podSpec"

describe("a podSpec", () => {
  it.effect("with a field that the API does not know is refused with the field that was meant, or all there are", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* linesOf({ contaners: [{ name: "shell" }] }), [
        `${at}.contaners: is not a key that is known; did you mean containers?`,
        `${at}.containers: is missing`
      ])
      assert.deepStrictEqual(
        yield* linesOf({ containers: [{ name: "a", ports: [{ containerport: 1, wrong: 2 }] }] }),
        [
          `${at}.containers[0].ports[0].containerport: is not a key that is known; did you mean containerPort?`,
          `${at}.containers[0].ports[0].wrong: is not a key that is known; allowed here: containerPort, hostIP, hostPort, name, protocol`,
          `${at}.containers[0].ports[0].containerPort: is missing`
        ]
      )
    }))

  it.effect("has all its wrong types told at once, and never a value of a variable", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf({
        containers: [{
          name: "a",
          env: [{ name: "A", value: 314159 }, { name: "B", value: true }],
          args: "x",
          resources: { limits: { memory: "lots", cpu: 2 } },
          livenessProbe: { httpGet: { port: "http" }, periodSeconds: 1.5 }
        }, { name: "a" }],
        nodeSelector: { disk: 5 },
        volumes: [null],
        securityContext: [],
        hostNetwork: "yes",
        tolerations: {}
      })
      assert.sameMembers(lines, [
        `${at}.containers[0].env[0].value: a number is not allowed: expected string`,
        `${at}.containers[0].env[1].value: a boolean is not allowed: expected string`,
        `${at}.containers[0].args: a text is not allowed: expected array`,
        `${at}.containers[0].resources.limits.memory: a text is not allowed: expected a quantity such as 500m, 2 or "1Gi"`,
        `${at}.containers[0].livenessProbe.periodSeconds: a number is not allowed: expected an integer`,
        `${at}.nodeSelector.disk: a number is not allowed: expected string`,
        `${at}.volumes[0]: null is not allowed: expected object`,
        `${at}.securityContext: a list is not allowed: expected object`,
        `${at}.hostNetwork: a text is not allowed: expected boolean`,
        `${at}.tolerations: a map is not allowed: expected array`,
        `${at}.containers[1].name: a text is not allowed: expected a name that no other container has`
      ])
    }))

  it.effect("that is no map, or has no container, is refused", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* linesOf([]), [`${at}: a list is not allowed: expected object`])
      assert.deepStrictEqual(yield* linesOf({ containers: [] }), [
        `${at}.containers: a list is not allowed: expected at least one container`
      ])
      assert.deepStrictEqual(yield* linesOf({ containers: null }), [`${at}.containers: is missing`])
    }))

  it.effect("with much of what the API has is taken as it is", () =>
    Effect.gen(function*() {
      const podSpec = {
        containers: [{
          name: "shell",
          image: "busybox",
          env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "k", optional: true } } }],
          resources: { requests: { cpu: 0.5, memory: "64Mi" } },
          readinessProbe: { tcpSocket: { port: "ssh" } },
          securityContext: { runAsUser: 1000, capabilities: { drop: ["ALL"] } },
          volumeMounts: [{ name: "home", mountPath: "/home" }]
        }],
        volumes: [{ name: "home", emptyDir: { sizeLimit: "1Gi" } }, {
          name: "c",
          configMap: { name: "c", defaultMode: 420 }
        }],
        affinity: null,
        tolerations: [{ key: "a", operator: "Exists", tolerationSeconds: 5 }],
        topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }]
      }
      assert.deepStrictEqual<unknown>((yield* decodeConfig({ pod: { podSpec } })).pod.podSpec, podSpec)
    }))

  it.effect.prop(
    "made of anything at all is a podSpec or a fault, and shows none of its texts",
    {
      field: Schema.Literals([
        "containers",
        "volumes",
        "securityContext",
        "hostNetwork",
        "overhead",
        "none",
        "__proto__"
      ]),
      text: Schema.String.check(Schema.isPattern(/^secret[0-9]{6}$/u)),
      form: Schema.Literals(["text", "list", "map", "deep"])
    },
    ({ field, form, text }) =>
      Effect.gen(function*() {
        const value = form === "text" ? text : form === "list" ? [text] : form === "map" ? { a: text } : [{ env: text }]
        const input: unknown = JSON.parse(`{${JSON.stringify(field)}: ${JSON.stringify(value)}}`)
        assert.notInclude((yield* linesOf(input)).join("\n"), text)
      }),
    { arbitrary: { runs: 300 } }
  )
})
